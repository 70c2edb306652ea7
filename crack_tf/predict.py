"""`crack-tf predict`: cracks in photographs, with a shipped model or a .tflite file. LiteRT only: no TensorFlow is imported.

    crack-tf predict pier.jpg
    crack-tf predict DCIM --out found --overlay

A photograph about as large as a training tile is classified whole; a larger one is cut into overlapping tiles, and is called
cracked when one of them is.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tflite.cli import positive_int, run_main
from tflite.errors import CrackError, ImageError

if TYPE_CHECKING:
    from crack_tf.predictions import Predictions
    from crack_tf.tiled import Photo, PhotoClassifier
    from tflite.sidecar import Sidecar

_LONGEST_NAME = 200  # bytes of a photograph's name that its overlay repeats
EXIT_GAPS = 1  # every photograph was tried, and at least one could not be read
EPILOG = """exit codes: 0 all photographs were read (cracked or not), 1 some could not be read: they are listed and recorded as
unreadable, never as clean; 2 nothing could be done as asked; 130 stopped by Ctrl-C, go on with --resume."""


@dataclass(frozen=True)
class Named:
    """A photograph to classify.

    Attributes:
        path: of the file.
        name: the same as text that any file can hold.
        overlay: of its picture, below the output folder.
        trouble: why it cannot be looked at, known before it is tried; None where it may be tried.
    """

    path: Path
    name: str
    overlay: str
    trouble: str | None = None


def make_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("crack-tf predict", description=__doc__, epilog=EPILOG)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("photos", nargs="+", type=Path, metavar="PHOTO|FOLDER", help="image files, folders of them")
    parser.add_argument(
        "--model",
        metavar="NAME|FILE",
        help="a shipped model (python -m crack_tf.zoo list) or a .tflite file with its sidecar (default: the zoo's default)",
    )
    parser.add_argument(
        "--out", type=Path, metavar="DIR", help="write predictions.jsonl, photos.csv and tiles.csv to this folder"
    )
    parser.add_argument("--overlay", action="store_true", help="also draw a heat map over each photograph; needs --out")
    parser.add_argument(
        "--tile",
        type=_tile,
        default=None,
        metavar="auto|PX",
        help="side of a tile in pixels of the photograph (default: auto, that of the model's training tiles)",
    )
    parser.add_argument(
        "--overlap",
        type=float,
        default=0.25,
        metavar="SHARE",
        help="least share of a tile that its neighbour repeats (default: 0.25)",
    )
    parser.add_argument("--jobs", type=positive_int, metavar="N", help="threads (default: all cores)")
    again = parser.add_mutually_exclusive_group()
    again.add_argument("--resume", action="store_true", help="go on in --out; photographs done before are passed over")
    again.add_argument("--overwrite", action="store_true", help="replace an earlier run in --out")
    return parser


def run(args: argparse.Namespace) -> int:
    """Do what the command line asks for.

    Returns:
        0, or 1 when a photograph could not be read.

    Raises:
        CrackError: if an argument, the model or the output folder is not usable, or there is no photograph.
    """
    from tflite.device.tiles import MAX_OVERLAP

    if not 0 <= args.overlap <= MAX_OVERLAP:
        raise CrackError(f"--overlap {args.overlap:g}: choose a share from 0 to {MAX_OVERLAP}.")
    if args.out is None and (args.overlay or args.resume or args.overwrite):
        raise CrackError("--overlay, --resume and --overwrite need --out DIR.")
    photos, skipped = find_photos(args.photos, args.out)

    from crack_tf.tiled import PhotoClassifier
    from crack_tf.zoo import find_model
    from tflite.hardware import describe

    chosen = find_model(args.model)
    jobs = args.jobs or int(describe()["cores"])
    with ExitStack() as stack:
        side = args.tile or chosen.tile_side
        classifier = stack.enter_context(PhotoClassifier(chosen.path, jobs=jobs, side=side, overlap=args.overlap))
        predictions = _open_out(args, classifier)
        if predictions is not None:
            stack.enter_context(predictions)
        session = Session(classifier, predictions, args.overlay)
        waiting = [photo for photo in photos if not session.is_done(photo)]
        complete = False
        try:
            session.work(waiting, jobs)
            complete = True
        finally:
            # After Ctrl-C too: the tables then hold what is done.
            if predictions is not None:
                predictions.write_tables([photo.name for photo in photos] if complete else ())
        print(session.summary(len(photos) - len(waiting), skipped), flush=True)
    return EXIT_GAPS if session.counts["unreadable"] else 0


def main(argv: list[str] | None = None) -> int:
    args = make_parser().parse_args(argv)
    return run_main(lambda: run(args), interrupted="With --out, the same command with --resume goes on.")


def find_photos(paths: Sequence[Path], out: Path | None) -> tuple[list[Named], int]:
    """All photographs that files and folders given by the user stand for, each once.

    A file is taken whatever its name; in folders, what is no photograph by name and content is passed over and counted, and what
    may hide photographs (a link to nothing, a folder that cannot be read) is one that cannot be read.

    Args:
        paths: files and folders.
        out: where results will be written.

    Returns:
        The photographs in the order given, folders sorted; and the number of files passed over.

    Raises:
        CrackError: if a path does not exist, a folder holds the output folder, or there is no photograph.
    """
    from crack_tf.predictions import OVERLAYS
    from tflite.formats import SUFFIXES
    from tflite.photographs import list_photographs

    found: dict[Path, tuple[Path, Path]] = {}  # by real path: as given, and relative to the folder it was found in
    troubles: dict[Path, Named] = {}
    skipped = 0
    for path in paths:
        if not path.exists():
            raise CrackError(f"{path} does not exist. Give image files or folders of them.")
        if not path.is_dir():
            found.setdefault(path.resolve(), (path, Path(path.name)))
            continue
        if out is not None and path.resolve() in (out.resolve(), *out.resolve().parents):
            raise CrackError(
                f"--out {out} lies in {path}: its overlays would become photographs. Choose another folder."
            )
        listing = list_photographs(path)
        skipped += len(listing.others)
        for image in listing.photographs:
            found.setdefault(image.resolve(), (image, image.relative_to(path)))
        for trouble in listing.troubles:
            name, overlay = _text(trouble.path), f"{OVERLAYS}/{_text(trouble.path.relative_to(path))}.png"
            troubles[trouble.path] = Named(trouble.path, name, overlay, f"{name} {trouble.reason}.")
    if not found and not troubles:
        raise CrackError(
            f"no photograph in {', '.join(map(str, paths))}: files ending in {', '.join(sorted(SUFFIXES))} are looked for."
        )
    taken = Counter(relative for _, relative in found.values())
    names = Counter(_text(path) for path, _ in found.values())
    photos = [
        Named(path, _name(path, names), _overlay_name(path, relative, taken)) for path, relative in found.values()
    ]
    return [*photos, *troubles.values()], skipped


class Session:
    """Classifies photographs, tells about each and records it.

    Args:
        classifier: the model.
        predictions: where to record, or None.
        overlay: whether to draw heat maps too.

    Attributes:
        counts: "crack", "no_crack" and "unreadable" photographs, and "tiles".
    """

    def __init__(self, classifier: PhotoClassifier, predictions: Predictions | None, overlay: bool) -> None:
        self.counts: Counter[str] = Counter()
        self._classifier, self._predictions, self._overlay = classifier, predictions, overlay
        self._started = time.monotonic()

    def is_done(self, photo: Named) -> bool:
        """Whether an earlier session classified this file. Unreadable ones are tried again."""
        from tflite.sameness import is_same

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
            for record in drivers.map(lambda photo: self._handle(photo, advance), photos):
                if self._predictions is not None:
                    self._predictions.add(record)
                self.counts[record.get("decision", record["status"])] += 1
                self.counts["tiles"] += len(record.get("tiles", ()))
                tell(report_line(record))
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
        text = f"{read + counts['unreadable']} photographs: {counts['crack']} crack, {counts['no_crack']} no crack"
        text += f", {counts['unreadable']} NOT READ"
        if done_before:
            text += f"; {done_before} done before"
        if skipped:
            text += f"; {skipped} other files passed over"
        text += f"\n{counts['tiles']} tiles in {seconds:.1f} s, {counts['tiles'] / seconds:.0f} tiles/s"
        if self._predictions is not None:
            text += f"\nresults in {self._predictions.folder}"
        return text

    def _handle(self, photo: Named, advance: Callable[[int, int], None] | None) -> dict[str, Any]:
        """One photograph's record, its overlay drawn."""
        from crack_tf.predictions import UNREADABLE
        from tflite.sameness import read_file

        sidecar = self._classifier.sidecar
        unreadable = {"status": UNREADABLE, "model_sha256": sidecar.sha256}
        if photo.trouble is not None:
            return {"photo": photo.name, "bytes": 0, **unreadable, "reason": photo.trouble}
        try:
            data, file = read_file(photo.path)
        except OSError as error:
            reason = f"cannot read image {photo.name}: {error.strerror}."
            return {"photo": photo.name, "bytes": 0, **unreadable, "reason": reason}
        record = {"photo": photo.name, "bytes": file.bytes}
        state = {"file": file.as_json()}
        try:
            with self._classifier.photo(photo.path, advance, data) as picture:
                overlay = self._draw(photo, picture) if self._overlay else None
                return {**record, **_found(picture), "overlay": overlay, **_model(sidecar), **state}
        except ImageError as error:
            return {**record, **unreadable, "reason": str(error), **state}

    def _draw(self, photo: Named, picture: Photo) -> str:
        from crack_tf.overlay import draw_overlay
        from tflite.files import atomic_path

        assert self._predictions is not None  # --overlay needs --out
        self._predictions.check()
        sidecar = self._classifier.sidecar
        positive = sum(tile.crack for tile in picture.tiles)
        title = (
            f"{'crack' if picture.crack else 'no crack'}: {positive} of {len(picture.tiles)} tiles, "
            f"highest probability {picture.highest.probability:.3f}  ({sidecar.model}, {sidecar.scheme})"
        )
        sheet = draw_overlay(picture.image, picture.tiles, sidecar.threshold.probability, title)
        with atomic_path(self._predictions.folder / photo.overlay) as temporary:
            sheet.save(temporary, compress_level=3)
        return photo.overlay


def _found(picture: Photo) -> dict[str, Any]:
    """What a photograph's record says about its picture."""
    from crack_tf.predictions import CLASSIFIED

    height, width = picture.image.shape[:2]
    return {
        "status": CLASSIFIED,
        "width": width,
        "height": height,
        "decision": _decision(picture.crack),
        "logit": picture.highest.logit,
        "probability": picture.highest.probability,
        "positive_tiles": sum(tile.crack for tile in picture.tiles),
        "left_out_tiles": picture.left_out,
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
    """What is told about a photograph: decision, highest probability, positive tiles, name."""
    if "decision" not in record:
        return f"NOT READ  {record['photo']}: {record['reason']}"
    tiles = f"{record['positive_tiles']}/{len(record['tiles'])} tiles"
    left_out = f" ({record['left_out_tiles']} transparent tiles left out)" if record["left_out_tiles"] else ""
    decision = record["decision"].replace("_", " ")
    return f"{decision:<8}  {record['probability']:.3f}  {tiles:>13}  {record['photo']}{left_out}"


def _open_out(args: argparse.Namespace, classifier: PhotoClassifier) -> Predictions | None:
    if args.out is None:
        return None
    from crack_tf.predictions import Predictions

    sidecar = classifier.sidecar
    settings = {
        "model": f"{sidecar.model}-{sidecar.scheme}",
        **_model(sidecar),
        "tile_side": classifier.side,
        "overlap": args.overlap,
        "overlay": args.overlay,
        **({"reading": sidecar.reading} if sidecar.reading else {}),
    }
    inputs = (*args.photos, args.model)
    return Predictions(args.out, settings, resume=args.resume, overwrite=args.overwrite, inputs=inputs)


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


def _overlay_name(path: Path, relative: Path, taken: Counter[Path]) -> str:
    """The photograph's name below its folder; photographs of one name from several folders get a mark of their folder."""
    from crack_tf.predictions import OVERLAYS
    from tflite.files import sha256_bytes

    *folders, name = (_shortened(_text(Path(part)), part) for part in relative.parts)
    if taken[relative] > 1:
        name = f"{name}-{sha256_bytes(os.fsencode(path.resolve().parent))[:8]}"
    return "/".join([OVERLAYS, *folders, f"{name}.png"])


def _shortened(text: str, part: str) -> str:
    """A name that still fits into a file system's 255 bytes with what is added to it; a long one is cut and gets a hash."""
    from tflite.files import sha256_bytes

    whole = text.encode()
    if len(whole) <= _LONGEST_NAME:
        return text
    return f"{whole[:_LONGEST_NAME].decode(errors='ignore')}-{sha256_bytes(os.fsencode(part))[:8]}"


def _name(path: Path, names: Counter[str]) -> str:
    """A path as text; two that are alike only as text, for their bytes are no text, get a mark."""
    from tflite.files import sha256_bytes

    text = _text(path)
    return text if names[text] == 1 else f"{text}#{sha256_bytes(os.fsencode(path))[:8]}"


def _text(path: Path) -> str:
    """A path that can be printed and stored, whatever bytes its name holds."""
    return path.as_posix().encode("utf-8", "backslashreplace").decode("utf-8")


def _decision(crack: bool) -> str:
    return "crack" if crack else "no_crack"


def _tile(text: str) -> int | None:
    """argparse type: auto or pixels."""
    from tflite.device.run import MIN_SIDE

    if text == "auto":
        return None
    side = positive_int(text)
    if side < MIN_SIDE:
        raise argparse.ArgumentTypeError(f"must be auto or at least {MIN_SIDE} pixels, got {text}")
    return side


if __name__ == "__main__":
    sys.exit(main())
