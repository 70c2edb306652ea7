"""Where the concrete of a photograph is, as mask files: `write_foreground` is what `crack-tf photo foreground` calls."""

from __future__ import annotations

import os
import reprlib
from dataclasses import dataclass
from pathlib import Path

from crack_tf.common.arguments import check_config
from crack_tf.photo.foreground import Backend, Foreground, Given, Prompt
from crack_tf.photo.grabcut import GrabCut
from crack_tf.photo.masks import check_mask_files, write_mask
from crack_tf.photo.segment_anything import PRESET, SegmentAnything
from tflite.arguments import check_choice, check_path, check_types, is_list, is_whole
from tflite.device.tiles import Box
from tflite.errors import CrackError
from tflite.images import load_picture

BACKENDS = ("grabcut", "sam", "none")


@dataclass(frozen=True)
class ForegroundConfig:
    """How the concrete is found.

    Attributes:
        backend: one of `BACKENDS`.
        fg, bg: points (x, y) on the concrete and elsewhere, in pixels of the photograph.
        box: around the concrete.
        preset: of the backend sam: a keras-hub preset or folder; None for its own.
        mask: of the backend none: a mask file to take as it is.

    Raises:
        CrackError: naming the field as the command line does.
    """

    backend: str = "grabcut"
    fg: tuple[tuple[int, int], ...] = ()
    bg: tuple[tuple[int, int], ...] = ()
    box: Box | None = None
    preset: str | None = None
    mask: Path | None = None

    def __post_init__(self) -> None:
        check_types(self)
        check_choice("backend", self.backend, BACKENDS)
        for name, points in (("fg", self.fg), ("bg", self.bg)):
            for point in points:
                if not (is_list(point) and len(point) == 2 and all(map(is_whole, point))):
                    raise CrackError(f"--{name} {reprlib.repr(point)}: give X,Y in whole pixels.")
        if self.preset is not None and self.backend != "sam":
            raise CrackError(f"--preset {self.preset} is for --backend sam, not {self.backend}.")
        if self.mask is not None and self.backend != "none":
            raise CrackError(f"--mask {self.mask} is for --backend none, not {self.backend}.")

    @property
    def prompt(self) -> Prompt:
        """What a person says about the photograph."""
        return Prompt(tuple((x, y) for x, y in self.fg), tuple((x, y) for x, y in self.bg), self.box)

    def make(self) -> Backend:
        """The backend, ready to be asked."""
        if self.backend == "sam":
            return SegmentAnything(self.preset or PRESET)
        return GrabCut() if self.backend == "grabcut" else Given(None if self.mask is None else Path(self.mask))


@dataclass(frozen=True)
class WrittenForeground:
    """What was found, and where it lies.

    Attributes:
        found: the mask and who found it.
        png, npy: the same mask twice, black and white, and bool.
    """

    found: Foreground
    png: Path
    npy: Path


def write_foreground(
    photo: str | os.PathLike[str],
    out: str | os.PathLike[str],
    config: ForegroundConfig | None = None,
    *,
    overwrite: bool = False,
) -> WrittenForeground:
    """Find the concrete in a photograph and write its mask.

    Args:
        photo: image file.
        out: mask file, .png; its .npy twin is written beside it.
        config: how; None for GrabCut without a word from a person.
        overwrite: replace the files.

    Returns:
        The mask: bool (height, width) of the upright photograph, and its files.

    Raises:
        CrackError: if the photograph cannot be read, the points do not fit it, the backend cannot work, or a file is in the way.
    """
    check_path("photo", photo, "an image file")
    check_path("out", out, "a mask file, .png")
    check_config(config, ForegroundConfig, optional=True)
    config = config or ForegroundConfig()
    path = Path(photo)
    check_mask_files(Path(out), overwrite, (path, config.mask))
    picture = load_picture(path)
    found = config.make().segment(picture.pixels, config.prompt).within(picture.opaque)
    return WrittenForeground(found, *write_mask(Path(out), found.mask, overwrite))
