"""The cracks of a mask file, measured: `measure_mask` is what `crack-tf photo measure` calls."""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from crack_tf.common.arguments import check_config
from crack_tf.photo.crack import Crack
from crack_tf.photo.doubt import others
from crack_tf.photo.gsd import GroundSampling
from crack_tf.photo.limits import tell
from crack_tf.photo.masks import check_crack_mask, lay_on_photo, read_mask
from crack_tf.photo.measure import Drawing, find_scale, min_length, write_cracks
from crack_tf.photo.measure_config import FILES, RECORD, MeasureConfig
from crack_tf.photo.overlay import caption, words_of
from tflite.arguments import check_path, check_types
from tflite.errors import CrackError
from tflite.formats import is_drawn
from tflite.images import load_picture
from tflite.outputs import Output, check_folder, json_with, making
from tflite.words import counted

OUTPUT = Output("crack-tf photo measure", json_with(RECORD, "mask", "photo", "cracks"), FILES)


@dataclass(frozen=True)
class MaskConfig:
    """How a mask file is read, and how its cracks are measured.

    Attributes:
        photo: photograph of the mask: widths are measured in it, and it may tell the scale; None for the mask's widths.
        foreground: mask file of the concrete; cracks outside are left out.
        threshold: cut a soft mask there, in the file's own values.
        invert: black is crack.
        measure: which cracks count, and how large a pixel is.

    Raises:
        CrackError: naming the field as the command line does.
    """

    photo: Path | None = None
    foreground: Path | None = None
    threshold: float | None = None
    invert: bool = False
    measure: MeasureConfig = field(default_factory=MeasureConfig)

    def __post_init__(self) -> None:
        check_types(self)
        if self.threshold is not None and not self.threshold > 0:
            raise CrackError(f"--threshold {self.threshold:g}: give a number above 0.")


# Masks, drawn by hand or by a model, are up to twice as wide as the crack.
OF_MASK = (
    "note: widths are the mask's, which is often wider than the crack. Give --photo to read them off the photograph."
)


BY_MODEL = (
    "note: {mask} was drawn by photo segment: what the model drew in pieces is put together, and marks shorter than "
    "{shortest:g} pixels are left out, as there."
)


@dataclass(frozen=True)
class MeasuredMask:
    """The cracks of a mask.

    Attributes:
        folder: of the files.
        cracks: longest first, as in cracks.csv.
        unclear: shapes that may be no cracks, numbered on as there, each with a note.
        short: marks that are shorter than asked for, left out.
        limit_mm: widths that were asked about, see `MeasureConfig`.
        scale: how large a pixel is, or None where nothing says it.
        notes: sentences for the user about how the mask lies on its photograph; those to act on start with "warning".
    """

    folder: Path
    cracks: tuple[Crack, ...]
    scale: GroundSampling | None
    notes: tuple[str, ...] = ()
    unclear: tuple[Crack, ...] = ()
    short: int = 0
    limit_mm: tuple[float, ...] = ()

    def lines(self) -> list[str]:
        """For the person who asked: the scale, every crack, and how many."""
        told = [self.scale.describe() if self.scale is not None else "scale not known: results in pixels"]
        for crack in self.cracks:
            why = crack.width_doubt
            doubt = "" if why is None else f" (width not to be trusted: {why})"
            told.append(f"{caption(crack)}{doubt}")
        told += [f"{caption(crack)} ({(crack.note or '').removeprefix('unclear: ')})" for crack in self.unclear]
        total = counted(len(self.cracks), "crack") + others(Counter(crack.note for crack in self.unclear), self.short)
        limits = [
            tell(
                limit,
                [crack.judged(limit) for crack in self.cracks],
                len(self.unclear),
                why=[untold for crack in self.cracks if (untold := crack.untold(limit))],
            )
            for limit in self.limit_mm
        ]
        meaning = "; ".join(["length, mean / maximum width", *words_of(map(caption, self.cracks))])
        return [*told, *limits, f"{total} ({meaning}), written to {self.folder}"]


def measure_mask(
    mask: str | os.PathLike[str],
    out: str | os.PathLike[str],
    config: MaskConfig | None = None,
    *,
    overwrite: bool = False,
) -> MeasuredMask:
    """Measure the cracks of a mask: cracks.csv, widths.csv, cracks.json and, with a photograph, overlay.png.

    A mask that `crack-tf photo segment` wrote, which its file says, is measured as there: parts of one crack are put together.

    Args:
        mask: black and white, .png or .npy; white is crack.
        out: folder for the files.
        config: how; None for all defaults, in pixels.
        overwrite: replace earlier results in `out`.

    Returns:
        The cracks, in pixels and, where the scale is known, millimetres.

    Raises:
        CrackError: if a file cannot be read, they do not fit each other, the scale cannot be told, or `out` holds something else.
    """
    check_path("mask", mask, "a mask file, .png or .npy")
    check_path("out", out, "a folder for the results")
    check_config(config, MaskConfig, optional=True)
    config = config or MaskConfig()
    path, folder = Path(mask), Path(out)
    photo = None if config.photo is None else Path(config.photo)
    check_folder(folder, OUTPUT, overwrite, inputs=(path, photo, config.foreground))
    picture = None if photo is None else load_picture(photo)
    drawn = check_crack_mask(read_mask(path, threshold=config.threshold, invert=config.invert), name=str(path))
    by_model = is_drawn(path.read_bytes())
    if photo is not None and picture is not None:
        drawn, notes = lay_on_photo(drawn, picture.pixels, photo.read_bytes(), str(path), upright=by_model)
    else:
        notes = [OF_MASK]
    if by_model:
        notes.append(BY_MODEL.format(mask=path, shortest=min_length(config.measure, by_model)))
    scale = find_scale(config.measure, drawn.shape, photo)
    unknown = None
    if config.foreground is not None:
        unknown = ~read_mask(config.foreground, drawn.shape)
        drawn = drawn & ~unknown
    record = {"mask": path.name, "photo": None if photo is None else photo.name}
    with making(folder, OUTPUT, overwrite):
        drawing = Drawing(drawn, by_model, unknown=unknown)
        marks = write_cracks(folder, drawing, scale, config.measure, record, picture)
    return MeasuredMask(
        folder, marks.cracks, scale, tuple(notes), marks.unclear, len(marks.short), config.measure.limits
    )
