"""Cracks in photographs, many at a time: told about, recorded and drawn. `predict_photos` is what `crack-tf predict` calls."""

from __future__ import annotations

import math
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from crack_tf.common.progress import numbered
from crack_tf.inference.named_photos import Named, find_photos
from crack_tf.inference.overlay import draw_overlay
from crack_tf.inference.predictions import BARELY, CLASSIFIED, UNREADABLE, Predictions, is_barely
from crack_tf.inference.second_look import DOUBTED
from crack_tf.inference.tiles import Photo, PhotoClassifier
from crack_tf.models.shipped import find_model, is_research_only, model_name, research_note
from crack_tf.photo.gsd import from_photo
from crack_tf.photo.light import MUCH, lit_badly
from tflite.arguments import check_types
from tflite.device.tiles import MAX_OVERLAP
from tflite.errors import CrackError, ImageError
from tflite.files import atomic_path
from tflite.hardware import describe
from tflite.sameness import is_same, read_file
from tflite.sidecar import Sidecar
from tflite.transparency import for_people, missing_share
from tflite.words import counted, not_read, on_one_line


@dataclass(frozen=True)
class PredictConfig:
    """How photographs are classified.

    Attributes:
        model: name of a shipped model, or a .tflite file with its sidecar; None for the zoo's default.
        tile: side of a tile in pixels of the photograph; None for tiles that show as much of the surface as those of the training, where
            model and photograph tell their scales, and as many pixels where they do not.
        overlap: least share of a tile that its neighbour repeats.
        jobs: threads; None for all cores.
        overlay: also draw a heat map over each photograph.

    Raises:
        CrackError: if the overlap is none.
    """

    model: str | None = None
    tile: int | None = None
    overlap: float = 0.25
    jobs: int | None = None
    overlay: bool = False

    def __post_init__(self) -> None:
        check_types(self)
        if not 0 <= self.overlap <= MAX_OVERLAP:
            raise CrackError(f"--overlap {self.overlap:g}: choose a share from 0 to {MAX_OVERLAP}.")


@dataclass(frozen=True)
class Predicted:
    """What became of the photographs of one call.

    Attributes:
        crack, no_crack, unreadable: photographs looked at now.
        tiles: of them.
        done_before: photographs that an earlier run had classified.
        skipped: files in folders that are no photographs.
    """

    crack: int
    no_crack: int
    unreadable: int
    tiles: int
    done_before: int
    skipped: int


def predict_photos(
    paths: Sequence[Path],
    config: PredictConfig,
    out: Path | None = None,
    *,
    resume: bool = False,
    overwrite: bool = False,
) -> Predicted:
    """Classify photographs, print a line about each, and record them.

    Args:
        paths: image files and folders of them.
        config: with what, and how.
        out: folder for predictions.jsonl, photos.csv, tiles.csv and overlays; None keeps nothing.
        resume: go on in `out`; photographs done before are passed over.
        overwrite: replace an earlier run in `out`.

    Raises:
        CrackError: if an argument, the model or the output folder is not usable, or there is no photograph.
    """
    if out is None and (config.overlay or resume or overwrite):
        raise CrackError("--overlay, --resume and --overwrite need --out DIR.")
    photos, skipped = find_photos(paths, out)
    chosen = find_model(config.model)
    jobs = config.jobs or int(describe()["cores"])
    with ExitStack() as stack:
        side = config.tile or chosen.tile_side
        classifier = stack.enter_context(
            PhotoClassifier(
                chosen.path,
                jobs=jobs,
                side=side,
                overlap=config.overlap,
                scaled=config.tile is None,
                looks_again=chosen.looks_again,
            )
        )
        predictions = None
        if out is not None:
            settings = _settings(config, classifier)
            inputs = (*paths, config.model)
            predictions = Predictions(out, settings, resume=resume, overwrite=overwrite, inputs=inputs)
            stack.enter_context(predictions)
        session = Session(classifier, predictions, config.overlay)
        waiting = [photo for photo in photos if not session.is_done(photo)]
        complete = False
        try:
            session.work(waiting, jobs)
            complete = True
        finally:
            # After Ctrl-C too: the tables then hold what is done.
            if predictions is not None:
                predictions.write_tables([photo.name for photo in photos] if complete else ())
        done_before = len(photos) - len(waiting)
        print(session.summary(done_before, skipped), flush=True)
    counts = {name: session.counts[name] for name in ("crack", "no_crack", "unreadable", "tiles")}
    return Predicted(**counts, done_before=done_before, skipped=skipped)


class Session:
    """Classifies photographs, tells about each and records it.

    Args:
        classifier: the model.
        predictions: where to record, or None.
        overlay: whether to draw heat maps too.

    Attributes:
        counts: "crack", "no_crack" and "unreadable" photographs, those of the first that are "barely", those "unlit" or burnt
            out in more than a third, those "small"er than a tile, and "tiles".
    """

    def __init__(self, classifier: PhotoClassifier, predictions: Predictions | None, overlay: bool) -> None:
        self.counts: Counter[str] = Counter()
        self._classifier, self._predictions, self._overlay = classifier, predictions, overlay
        self._started = time.monotonic()

    def is_done(self, photo: Named) -> bool:
        """Whether an earlier session classified this file. Unreadable ones are tried again."""
        return self._predictions is not None and is_same(photo.path, self._predictions.files.get(photo.name))

    def work(self, photos: Sequence[Named], jobs: int) -> None:
        """Classify photographs, several at a time, and report them in order."""
        if not photos:
            return
        bar = _progress(len(photos))
        tell = partial(print, flush=True) if bar is None else bar.write  # a pipe's reader wants each line at once
        # A folder's bar counts photographs; a single one's counts tiles, which are known when it is decoded.
        advance = _tile_counter(bar) if bar is not None and len(photos) == 1 else None
        # These threads decode and draw, and wait while the classifier's own threads run the model.
        drivers = ThreadPoolExecutor(min(jobs, len(photos)), thread_name_prefix="photographs")
        try:
            for number, record in enumerate(drivers.map(lambda photo: self._handle(photo, advance), photos), 1):
                if self._predictions is not None:
                    self._predictions.add(record)
                self.counts[record.get("decision", record["status"])] += 1
                self.counts["tiles"] += len(record.get("tiles", ()))
                self.counts["barely"] += is_barely(record)
                self.counts["unlit"] += "unlit" in record
                self.counts["small"] += (
                    min(record.get("width", math.inf), record.get("height", math.inf)) < self._classifier.side
                )
                line = report_line(record)
                tell(numbered(number, len(photos), line) if bar is None else line)
                if bar is not None and advance is None:
                    bar.update()
        except BaseException:
            self._classifier.stop()
            raise
        finally:
            drivers.shutdown(cancel_futures=True)
            if bar is not None:
                bar.close()

    def summary(self, done_before: int, skipped: int) -> str:
        """Last words: counts, speed, and where the results are."""
        counts, seconds = self.counts, time.monotonic() - self._started
        read = counts["crack"] + counts["no_crack"]
        barely = f" ({counts['barely']} barely)" if counts["barely"] else ""
        text = f"{counted(read + counts['unreadable'], 'photograph')}: {counts['crack']} crack{barely}, {counts['no_crack']} no crack"
        text += f", {counts['unreadable']} NOT READ"
        if done_before:
            text += f"; {done_before} done before"
        if skipped:
            text += f"; {counted(skipped, 'other file')} passed over"
        if read:
            sidecar = self._classifier.sidecar
            text += f"\n{model_name(sidecar)} calls a tile cracked from a probability of {sidecar.threshold.probability:.3f} on"
        if barely:
            text += f"; barely: on no tile are the odds of a crack {BARELY:g} times the threshold's"
        tiles = f"{self._classifier.side} pixels wide"
        if small := counts["small"]:
            tiles += f", on {counted(small, 'smaller photograph')} as wide as the shorter side"
        if self._classifier.tile_mm is not None:
            tiles = f"{self._classifier.tile_mm:g} mm wide where photographs tell their scale, else {tiles}"
        text += (
            f"\n{counted(counts['tiles'], 'tile')} in {seconds:.1f} s, {counts['tiles'] / seconds:.0f} tiles/s; {tiles}"
        )
        if unlit := counts["unlit"]:
            told = counted(unlit, "photograph is", "photographs are")
            text += f"\nnote: {told} too dark or burnt out in more than a third: a crack there may be missed"
        if is_research_only(self._classifier.sidecar):
            text += f"\nnote: {research_note([model_name(self._classifier.sidecar)])}"
        if self._predictions is not None:
            text += f"\nresults in {self._predictions.folder}"
        return text

    def _handle(self, photo: Named, advance: Callable[[int, int], None] | None) -> dict[str, Any]:
        """One photograph's record, its overlay drawn."""
        sidecar = self._classifier.sidecar
        unreadable = {"status": UNREADABLE, "model_sha256": sidecar.sha256}
        if photo.trouble is not None:
            return {"photo": photo.name, "bytes": 0, **unreadable, "reason": photo.trouble}
        try:
            data, file = read_file(photo.path)
        except OSError as error:
            reason = f"{photo.name} cannot be read: {error.strerror}."
            return {"photo": photo.name, "bytes": 0, **unreadable, "reason": reason}
        record = {"photo": photo.name, "bytes": file.bytes}
        state = {"file": file.as_json()}
        try:
            scale = None if self._classifier.tile_mm is None else _scale_of(data)
            with self._classifier.photo(photo.path, advance, data, scale) as picture:
                overlay = self._draw(photo, picture) if self._overlay else None
                return {**record, **_found(picture), "overlay": overlay, **_model(sidecar), **state}
        except ImageError as error:
            return {**record, **unreadable, "reason": str(error), **state}

    def _draw(self, photo: Named, picture: Photo) -> str:
        assert self._predictions is not None  # --overlay needs --out
        self._predictions.check()
        sidecar = self._classifier.sidecar
        positive = sum(tile.crack for tile in picture.tiles)
        title = (
            f"{'crack' if picture.crack else 'no crack'}: {positive} of {counted(len(picture.tiles), 'tile')}"
            f"{' (doubted)' if picture.doubted else ''}, highest probability {picture.highest.probability:.3f}  ({model_name(sidecar)})"
        )
        shown = for_people(picture.image, picture.opaque)
        sheet = draw_overlay(shown, picture.tiles, sidecar.threshold.probability, title, picture.doubted)
        with atomic_path(self._predictions.folder / photo.overlay) as temporary:
            sheet.save(temporary, compress_level=3)
        return photo.overlay


def _scale_of(data: bytes) -> float | None:
    """Millimetres per pixel by a photograph's own data, a laser's or a lens's; None where they do not tell."""
    try:
        return from_photo(data).mm_per_pixel
    except CrackError:
        return None


def _found(picture: Photo) -> dict[str, Any]:
    """What a photograph's record says about its picture."""
    height, width = picture.image.shape[:2]
    missing = missing_share(picture.opaque)
    unlit = float(lit_badly(np.asarray(Image.fromarray(picture.image).convert("L"))).mean())
    return {
        "status": CLASSIFIED,
        "width": width,
        "height": height,
        "decision": _decision(picture.crack),
        **({"reason": DOUBTED} if picture.doubted else {}),
        "logit": picture.highest.logit,
        "probability": picture.highest.probability,
        "positive_tiles": sum(tile.crack for tile in picture.tiles),
        "left_out_tiles": picture.left_out,
        **({} if missing is None else {"transparent": missing}),
        **({"unlit": round(unlit, 3)} if unlit > MUCH else {}),
        "tiles": [
            {
                **tile.box.as_json(),
                "logit": tile.logit,
                "probability": tile.probability,
                "decision": _decision(tile.crack),
            }
            for tile in picture.tiles
        ],
    }


def _model(sidecar: Sidecar) -> dict[str, Any]:
    """What decided, for records and settings."""
    threshold = sidecar.threshold
    return {
        "threshold": {"probability": threshold.probability, "logit": threshold.logit},
        "model_sha256": sidecar.sha256,
    }


def report_line(record: dict[str, Any]) -> str:
    """What is told about a photograph: decision, highest probability, whether that is barely enough, positive tiles, name."""
    if "decision" not in record:
        return not_read(record["photo"], record["reason"])
    tiles = f"{record['positive_tiles']}/{len(record['tiles'])} tiles"
    left_out = ""
    if missing := record.get("transparent"):
        left_out = f" ({missing:.0%} transparent: {counted(record['left_out_tiles'], 'tile')} left out)"
    if unlit := record.get("unlit"):
        left_out += f" ({unlit:.0%} too dark or burnt out)"
    doubted = f" ({record['reason']})" if record.get("reason") else ""
    decision = record["decision"].replace("_", " ")
    barely = "barely" if is_barely(record) else ""
    return f"{decision:<8}  {record['probability']:.3f}  {barely:6}  {tiles:>13}  {on_one_line(record['photo'])}{doubted}{left_out}"


def _settings(config: PredictConfig, classifier: PhotoClassifier) -> dict[str, Any]:
    """What a run that is gone on with must have been started with."""
    sidecar = classifier.sidecar
    return {
        "model": model_name(sidecar),
        **_model(sidecar),
        # Only of adapted models: runs with the default, which always looked again, go on.
        **({"looks_again": True} if classifier.looks_again and "adapted" in sidecar.training else {}),
        "tile_side": classifier.side,
        "overlap": config.overlap,
        "overlay": config.overlay,
        **({"tile_mm": classifier.tile_mm} if classifier.tile_mm else {}),
        **({"reading": sidecar.reading} if sidecar.reading else {}),
    }


def _progress(photos: int) -> Any:
    """A tqdm bar on stderr, or None where nobody looks: importing tqdm takes time too."""
    if not sys.stderr.isatty():
        return None
    from tqdm import tqdm

    return tqdm(total=None if photos == 1 else photos, unit=" tiles" if photos == 1 else " photographs", leave=False)


def _tile_counter(bar: Any) -> Callable[[int, int], None]:
    def advance(tiles: int, of: int) -> None:
        bar.total = of
        bar.update(tiles)

    return advance


def _decision(crack: bool) -> str:
    return "crack" if crack else "no_crack"
