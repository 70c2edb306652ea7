"""`crack-tf photo segment`: photographs through a segmentation model, and their cracks measured. LiteRT only, no TensorFlow.

For every photograph a folder of its name in --out:

    probability.png   of a crack, 0 to 255
    mask.png          where it reaches the threshold
    foreground.png    where cracks were looked for, if not everywhere
    overlay.png       cracks, lengths and widths on the photograph
    cracks.csv        a row per crack
    widths.csv        a row per two pixels of a crack: its width there
    cracks.json       the same with shapes, and model, threshold, scale and seams; written last: where it lies, all is there

What is too wide for its length to be a crack is told as "unclear", with a note, and counts as no crack; shorter marks than --min-length
are left out and counted. Where the foreground was found and not given, it may be wrong: shade and moss are taken for background as sky and
leaves are. So what the model draws there is told too, as "unclear" likewise.

`photos.csv` has a row per photograph. One that could not be read is listed as unreadable, never as clean.
"""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Collection, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from crack_tf.common.progress import numbered, say_now
from crack_tf.inference.maps import SegmenterPool, photo_seams
from crack_tf.inference.named_photos import Named, find_photos
from crack_tf.inference.scales import segment_at_scales
from crack_tf.inference.segment_told import (
    COLUMNS,
    SEGMENTED,
    UNREADABLE,
    is_sure,
    is_whole,
    report_line,
    row_of,
    told_of_all,
    why_untold,
)
from crack_tf.models.shipped import find_model, is_research_only, model_name, research_note, stated_use
from crack_tf.photo.doubt import MAX_WIDTH
from crack_tf.photo.ends import with_ends
from crack_tf.photo.foreground import Foreground, Given, Prompt
from crack_tf.photo.grabcut import GrabCut
from crack_tf.photo.gsd import GroundSampling, ScaleRefusedError, implausible, photo_size, too_coarse
from crack_tf.photo.limits import CANNOT_TELL, Untold, column, tell
from crack_tf.photo.measure import Drawing, find_scale, min_length, write_cracks
from crack_tf.photo.measure_config import FILES, RECORD, MeasureConfig
from crack_tf.photo.overlay import ABOUT_WORDS
from tflite.arguments import check_types
from tflite.device.tiles import MAX_OVERLAP, refuse_small
from tflite.drawn import marked
from tflite.errors import CrackError, ImageError
from tflite.files import atomic_path, read_json, sha256_file, write_csv, write_json
from tflite.hardware import describe
from tflite.images import decode_picture
from tflite.locks import FolderLock
from tflite.outputs import Output, check_folder, clear_folder, json_with, remove_files, remove_leftovers
from tflite.sameness import FileState, is_same, read_file, refuse_changed
from tflite.segmenter import Segmenter
from tflite.transparency import missing_share

FORMAT = "crack_tf.photo_segment/1"
SETTINGS, PHOTOS = "segment.json", "photos.csv"
OUTPUT = Output(
    "crack-tf photo segment", json_with(SETTINGS, "model_sha256", format=FORMAT), (SETTINGS, PHOTOS), SETTINGS
)
_PICTURES = ("probability.png", "mask.png", "foreground.png")
FOUND = ("auto", "none")  # foregrounds that are found, not given as a mask
_MAX_CRACK_SHARE = 0.5  # of a photograph; more is no crack, and not measured


@dataclass(frozen=True)
class Place:
    """A photograph and where its results go.

    Attributes:
        photo: as given by the user.
        folder: of its results.
        alone: whether it is the only photograph.
    """

    photo: Named
    folder: Path
    alone: bool = False

    def finished(self, settings: str, limits: Collection[float] = ()) -> dict[str, Any] | None:
        """The record of an earlier run on this very file with these settings, or None.

        Args:
            settings: sha256 of the settings file.
            limits: widths in millimetres that its cracks are to be held against.
        """
        try:
            record = read_json(self.folder / RECORD)
        except CrackError:  # missing, or damaged since: done again
            return None
        same = is_same(self.photo.path, FileState.from_json(record.get("file")))
        return record if same and record.get("settings_sha256") == settings and is_whole(record, limits) else None


@dataclass(frozen=True)
class SegmentConfig:
    """How cracks are drawn and measured.

    Attributes:
        model: name of a shipped model, or a .tflite file with its sidecar; None for the zoo's.
        threshold: probability from which a pixel is crack; None for the model's own.
        foreground: where to look: "auto" is GrabCut's guess, "none" everywhere, else a mask file of the only photograph.
        fg, bg: points (x, y) on the concrete and elsewhere, of the only photograph.
        overlap: least share of a tile that its neighbour repeats.
        jobs: threads; None for all cores.
        measure: which cracks count, and how large a pixel is.

    Raises:
        CrackError: naming the field as the command line does.
    """

    model: str | None = None
    threshold: float | None = None
    foreground: str = "none"
    fg: tuple[tuple[int, int], ...] = ()
    bg: tuple[tuple[int, int], ...] = ()
    overlap: float = 0.25
    jobs: int | None = None
    measure: MeasureConfig = field(default_factory=MeasureConfig)

    def __post_init__(self) -> None:
        check_types(self)
        if not 0 <= self.overlap <= MAX_OVERLAP:
            raise CrackError(f"--overlap {self.overlap:g}: choose a share from 0 to {MAX_OVERLAP}.")
        if self.threshold is not None and not 0 < self.threshold < 1:
            raise CrackError(f"--threshold {self.threshold:g}: choose a probability strictly between 0 and 1.")
        if (self.fg or self.bg) and self.foreground not in FOUND:
            raise CrackError(f"--foreground {self.foreground} says it all: leave --fg and --bg out, or the mask.")

    @property
    def prompt(self) -> Prompt:
        """The points, as a foreground model takes them."""
        return Prompt(self.fg, self.bg)


@dataclass(frozen=True)
class Segmented:
    """What became of the photographs of one call.

    Attributes:
        photographs: all of them, those done before as well.
        cracked: with cracks.
        unreadable: that could not be read. They never count as clean.
    """

    photographs: int
    cracked: int
    unreadable: int


def segment_photos(
    paths: Sequence[Path], config: SegmentConfig, out: Path, *, resume: bool = False, overwrite: bool = False
) -> Segmented:
    """Draw the cracks of photographs, measure them, and write a folder for each.

    Args:
        paths: image files and folders of them.
        config: with what, and how.
        out: folder for the photographs' folders and photos.csv.
        resume: go on in `out`; photographs done before are passed over.
        overwrite: replace results in `out`.

    Raises:
        CrackError: if an argument, the model or the output folder is not usable, or there is no photograph.
    """
    if out.is_file():
        raise CrackError(f"--out {out} is a file. Give a folder.")
    photos, skipped = find_photos(paths, out)
    if len(photos) > 1 and (not config.prompt.empty or config.foreground not in FOUND):
        raise CrackError(
            f"points and a foreground mask are for one photograph, {len(photos)} are given. Take them one by one, or "
            "--foreground auto."
        )
    segmenter = Segmenter(find_model(config.model, task="segment").path)
    alone = len(photos) == 1
    if photos and photos[0].trouble is None and (alone or config.measure.focal_mm is not None):
        # A scale that the only photograph's data do not give ends the work, and so does one that is stated and impossible: before
        # anything is written.
        file = photos[0].path
        with contextlib.suppress(OSError, ImageError, *(() if alone else (ScaleRefusedError,))):
            find_scale(config.measure, photo_size(file), file)
    with ExitStack() as stack:
        if resume and not (out / SETTINGS).is_file():
            raise CrackError(f"--resume: there is no run in {out}. Leave --resume out to start one.")
        lock = stack.enter_context(FolderLock(out))
        settings = open_out(out, config, segmenter, resume, overwrite, (*paths, config.model))
        return work(photos, skipped, Session(config, segmenter, out, settings, lock), resume)


@dataclass(frozen=True)
class Session:
    """What one call does its photographs with.

    Attributes:
        config: how cracks are drawn and measured.
        segmenter: the model.
        out: folder, which is this process's.
        settings: sha256 of the settings file in it.
        lock: of it.
    """

    config: SegmentConfig
    segmenter: Segmenter
    out: Path
    settings: str
    lock: FolderLock

    @property
    def cut(self) -> float:
        """The probability from which a pixel is crack."""
        return cut(self.config, self.segmenter)


def work(photos: list[Named], skipped: int, session: Session, resume: bool) -> Segmented:
    """Do the photographs that are not done yet. See `segment_photos`."""
    config, segmenter, out = session.config, session.segmenter, session.out
    places = [
        Place(photo, out / Path(photo.overlay).relative_to("overlays").with_suffix(""), len(photos) == 1)
        for photo in photos
    ]
    jobs = config.jobs or int(describe()["cores"])
    rows: list[dict[str, Any]] = []
    answers: dict[float, list[str]] = {limit: [] for limit in config.measure.limits}
    why: dict[float, list[Untold]] = {limit: [] for limit in answers}
    done_before, marks_unclear, doubtful = 0, 0, False
    with SegmenterPool(segmenter, jobs) as pool:
        for number, place in enumerate(places, 1):
            record = place.finished(session.settings, answers) if resume else None
            done_before += record is not None
            if record is None:
                title = f"{number}/{len(places)} {place.photo.path.name}"
                record = handle(place, session, pool, title)
                say_now(numbered(number, len(places), report_line(record)))
            rows.append(row_of(record, place.folder.relative_to(out)))
            cracks, others = record.get("cracks", ()), record.get("unclear", ())
            doubtful |= not all(map(is_sure, cracks))
            marks_unclear += len(others)
            for limit, told in answers.items():
                told += [mark[column(limit)] for mark in cracks]
                why[limit] += [why_untold(limit, mark) for mark in cracks if mark[column(limit)] == CANNOT_TELL]
            # After every photograph: a run that is stopped leaves the table of what is done.
            session.lock.check(SETTINGS)
            write_csv(out / PHOTOS, rows, COLUMNS)
    unreadable = sum(row["status"] == UNREADABLE for row in rows)
    cracked = sum(bool(row["cracks"]) for row in rows)
    print("; ".join(told_of_all(rows, cracked, unreadable, done_before, skipped, config.measure)))
    scales = [row["mm_per_pixel"] for row in rows if row["mm_per_pixel"] is not None]
    if note := too_coarse(scales, min(answers), len(rows)) if answers else implausible(scales):
        print(f"note: {note}")
    for limit, told in answers.items():
        print(tell(limit, told, marks_unclear, why=why[limit]))
    if doubtful:
        print(ABOUT_WORDS)
    if is_research_only(segmenter.sidecar):
        print(f"note: {research_note([model_name(segmenter.sidecar)])}")
    print(f"results in {out}")
    return Segmented(len(rows), cracked, unreadable)


def open_out(
    out: Path,
    config: SegmentConfig,
    segmenter: Segmenter,
    resume: bool,
    overwrite: bool,
    inputs: Sequence[str | Path | None],
) -> str:
    """Write the settings into the folder, or compare them with those of the run that --resume goes on with.

    Returns:
        sha256 of the settings.

    Raises:
        CrackError: if the folder is in use, there is nothing to resume, an earlier version began it, or the settings differ.
    """
    sidecar = segmenter.sidecar
    measure = asdict(config.measure)
    limits = measure.pop("limit_mm")
    settings = {
        "format": FORMAT,
        "model": model_name(sidecar),
        "model_sha256": sidecar.sha256,
        "threshold": cut(config, segmenter),
        "overlap": config.overlap,
        "foreground": config.foreground,
        "fg": [list(point) for point in config.fg],
        "bg": [list(point) for point in config.bg],
        **measure,
        "min_length": min_length(config.measure, by_model=True),
        "max_width_share": MAX_WIDTH,  # of the length
        # Not stated where there are none.
        **({"limits_mm": list(limits)} if limits else {}),
    }
    use = stated_use(sidecar)
    path = out / SETTINGS
    if not resume:
        hint = "Choose another --out, add --resume to go on, or --overwrite."
        check_folder(out, OUTPUT, overwrite, inputs=inputs, hint=hint)
        clear(out)
        write_json(path, settings | use)
        return sha256_file(path)
    found = read_json(path)
    remove_leftovers(out, replace(OUTPUT, files=(*OUTPUT.files, *(f"**/{name}" for name in (*_PICTURES, *FILES)))))
    if "max_width_share" not in found:
        raise CrackError(
            f"--resume: {out} was made by an earlier version, which does not tell unclear marks from cracks. Give --overwrite in place "
            "of --resume, or another --out."
        )
    refuse_changed(out, found | use, settings | use)  # runs of versions that did not state the use go on
    return sha256_file(path)


def clear(out: Path) -> None:
    """Remove an earlier run's files. A photograph's folder is known by its record."""
    for path in list(out.glob(f"**/{RECORD}")):
        with contextlib.suppress(CrackError):
            if "settings_sha256" in read_json(path) and not path.is_symlink():
                found = [path.parent / name for name in (*_PICTURES, *FILES)]
                remove_files(out, [file for file in found if file.is_file() and not file.is_symlink()])
    clear_folder(out, OUTPUT)


def cut(config: SegmentConfig, segmenter: Segmenter) -> float:
    """The probability from which a pixel is crack."""
    return segmenter.threshold_probability if config.threshold is None else float(config.threshold)


def handle(place: Place, session: Session, pool: SegmenterPool, title: str) -> dict[str, Any]:
    """One photograph's files; returns the record of its cracks.json, or of its being unreadable.

    Where its own data give no scale, it is refused if the place is `alone`; among others it is measured in pixels, with a note.

    Raises:
        CrackError: if the foreground or the scale does not fit the photograph.
    """
    photo, config, sidecar = place.photo, session.config, session.segmenter.sidecar
    if photo.trouble is not None:
        return {"photo": photo.name, "status": UNREADABLE, "reason": photo.trouble}
    try:
        data, file = read_file(photo.path)
        picture = decode_picture(data, photo.name)
        pixels = picture.pixels
        refuse_small(photo.name, pixels.shape)
        started = time.perf_counter()
        scale, note = _scale_of(place, config, pixels.shape)
    except OSError as error:
        return {"photo": photo.name, "status": UNREADABLE, "reason": f"cannot be read: {error.strerror}"}
    except ImageError as error:
        return {"photo": photo.name, "status": UNREADABLE, "reason": str(error)}
    foreground = find_foreground(config.foreground, config.prompt, pixels)
    if foreground is not None:
        foreground = foreground.within(picture.opaque)
    found = foreground is not None and config.foreground in FOUND  # not given as a mask
    limits = None if foreground is None or found else foreground.mask
    with _Progress(title) as progress:
        probability = segment_at_scales(
            pixels, pool, session.cut, overlap=config.overlap, foreground=limits, progress=progress.show
        )
    if picture.opaque is not None:  # what was made up for transparent pixels shows no crack
        probability = np.where(picture.opaque, probability, np.float32(0))
    drawing = _told_apart(probability >= session.cut, picture.opaque, foreground, found)
    mask = drawing.mask
    if drawing.left_out is not None and drawing.left_out.mean() > _MAX_CRACK_SHARE:
        told = (
            f"{drawing.left_out.mean():.0%} of the photograph is called crack and not taken for concrete: not measured"
        )
        drawing, note = replace(drawing, left_out=None), told if note is None else f"{note} {told}"
    if missing := missing_share(picture.opaque):
        told = f"{missing:.0%} of the photograph is transparent: nothing is known of what is not shown there"
        note = told if note is None else f"{note}; {told}"
    session.lock.check(SETTINGS)
    (place.folder / RECORD).unlink(missing_ok=True)  # until the new files are whole
    save_grey(place.folder / "probability.png", np.rint(probability * 255))
    save_grey(place.folder / "mask.png", mask * 255)
    if foreground is not None:
        save_grey(place.folder / "foreground.png", foreground.mask * 255)
    # Where a mask was given, what it leaves out may not have been computed.
    steps = photo_seams(probability, pool, config.overlap) if limits is None else None
    plausible = float(mask.mean()) <= _MAX_CRACK_SHARE
    record = {
        "photo": photo.name,
        "bytes": file.bytes,
        "file": file.as_json(),
        "settings_sha256": session.settings,
        "status": SEGMENTED,
        "reason": None if plausible else f"{mask.mean():.0%} of the photograph is called crack: not measured",
        "model": model_name(sidecar),
        "model_sha256": sidecar.sha256,
        "licence": sidecar.licence,
        "threshold": session.cut,
        "tile": session.segmenter.image_size,
        "overlap": config.overlap,
        "foreground": None if foreground is None else {"backend": foreground.backend, "share": foreground.share},
        "seams": steps and {**asdict(steps), "ratio": steps.ratio if np.isfinite(steps.ratio) else None},
        "crack_pixels": int(mask.sum()),
        "seconds": None,  # known when it is measured
        "mm_per_pixel": None if scale is None else scale.mm_per_pixel,
        "note": "; ".join(text for text in (note, None if scale is None else scale.note) if text) or None,
    }
    drawing = drawing if plausible else replace(drawing, mask=np.zeros_like(mask))
    with _Progress(f"{title}: measuring", bar_format="{desc}"):
        write_cracks(place.folder, drawing, scale, config.measure, record, picture, started)
    return read_json(place.folder / RECORD)


def _scale_of(place: Place, config: SegmentConfig, shape: tuple[int, ...]) -> tuple[GroundSampling | None, str | None]:
    """The scale of a photograph, and a note where it is refused: the data of one must not end the work on the others."""
    try:
        return find_scale(config.measure, shape, place.photo.path), None
    except ImageError:
        raise
    except CrackError as error:
        if place.alone:
            raise
        return None, f"no scale: {error}"


def _told_apart(drawn: np.ndarray, opaque: np.ndarray | None, foreground: Foreground | None, found: bool) -> Drawing:
    """What counts of what was drawn, what is told as unclear, and where nothing is known.

    Args:
        drawn: by the model.
        opaque: False where pixels were made up; None for nowhere.
        foreground: where to look; None for everywhere.
        found: whether it was found here. A mask that a person gave is meant as it is.
    """
    unknown = None if opaque is None else ~opaque
    if foreground is None:
        return Drawing(drawn, True, unknown=unknown)
    mask = with_ends(drawn, foreground.mask) if found else drawn & foreground.mask
    left_out = drawn & ~mask if found else None
    beyond = ~foreground.mask if left_out is None else left_out
    return Drawing(mask, True, left_out, beyond if unknown is None else unknown | beyond)


def find_foreground(text: str, prompt: Prompt, pixels: np.ndarray) -> Foreground | None:
    """Where to look: None for everywhere.

    Args:
        text: "auto", "none" or a mask file.
        prompt: points that a person gave.
        pixels: the photograph.

    Raises:
        CrackError: if the prompt or the mask does not fit.
    """
    if text not in FOUND:
        return Given(Path(text)).segment(pixels, prompt)
    if text == "none" and prompt.empty:
        return None
    return GrabCut().segment(pixels, prompt)


def save_grey(path: Path, values: np.ndarray) -> None:
    """Write (height, width) of 0 to 255 as a greyscale PNG."""
    with atomic_path(path) as temporary:
        marked(Image.fromarray(values.astype(np.uint8))).save(temporary)


class _Progress:
    """A bar of tiles on stderr, or a line of another `bar_format`; silent where nobody looks."""

    def __init__(self, title: str, bar_format: str | None = None) -> None:
        self._bar: Any = None
        if sys.stderr.isatty():
            from tqdm import tqdm

            self._bar = tqdm(desc=title, unit=" tiles", leave=False, bar_format=bar_format)

    def __enter__(self) -> _Progress:
        return self

    def __exit__(self, *error: object) -> None:
        if self._bar is not None:
            self._bar.close()

    def show(self, done: int, total: int) -> None:
        """Take in the tiles done so far."""
        if self._bar is not None:
            self._bar.total = total
            self._bar.update(done - self._bar.n)
