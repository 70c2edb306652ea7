"""How well parts of a photograph show what is there: sharp, blurred, too dark or burnt out, or no concrete.

A photograph is cut into patches; each gets a letter, and the record of a photograph keeps them as rows of letters with
"/" between. The limits are those below which a shipped classifier missed cracks that it found on the same tiles undamaged; today's default
is lost later (`studies/tile_quality.py` measures it; results/tile-quality has the numbers, docs/coverage.md both).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from crack_tf.photo.light import MUCH, lit_badly, patch_grid
from crack_tf.survey.findings import PhotoRecord
from tflite.words import counted

GOOD, BLURRED, LIT_BADLY, NOT_CONCRETE = "g", "b", "d", "n"
# Sharp tiles have 0.33 and more; those of cameras that moved by 16 pixels, where recall fell below 0.95, mostly less.
MIN_SHARPNESS = 0.31
_TEXTURE = 3.0  # grey levels; what is smoother has nothing to be sharp
_REACH = 8  # pixels
_ALL = 0.995  # of a photograph's parts; that rounds to 100 %


def patches_of(image: np.ndarray, concrete: np.ndarray | None = None) -> str:
    """The letters of a photograph's patches.

    Args:
        image: uint8 (height, width, 3).
        concrete: bool (height, width), or None where nobody looked what is concrete.

    Returns:
        Rows of letters with "/" between.
    """
    import cv2

    height, width = image.shape[:2]
    rows, columns = patch_grid(height, width)
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    letters = np.full((rows, columns), GOOD)
    if min(height, width) > 4 * _REACH:
        letters[sharpness(grey, rows, columns) < MIN_SHARPNESS] = BLURRED
    letters[lit_badly(grey)] = LIT_BADLY
    if concrete is not None:
        letters[_means(concrete.astype(np.float32), rows, columns) < 0.5] = NOT_CONCRETE
    return "/".join("".join(row) for row in letters)


def sharpness(grey: np.ndarray, rows: int = 1, columns: int = 1) -> np.ndarray:
    """How sharp parts of a picture are, whatever they show: float32 (rows, columns).

    Grey values two pixels apart differ less than those eight pixels apart; how much less says how sharp a picture is, and blur makes it
    a quarter. Looked at are four directions, and the one that is least sharp counts, since a camera that moves blurs along its way
    only. A little smoothing first takes out the noise of the camera. Infinite where there is too little to see for telling.

    Args:
        grey: uint8 (height, width), both sides above `4 * _REACH`.
        rows, columns: parts to tell of.
    """
    import cv2

    smooth = cv2.GaussianBlur(grey, (0, 0), 1.0).astype(np.float32)
    least = np.full((rows, columns), np.inf, np.float32)
    height, width = grey.shape
    # Every fourth place of every fourth row is enough of twelve megapixels.
    here = smooth[_REACH : height - _REACH : 4, _REACH : width - _REACH : 4]
    for x, y in ((1, 0), (0, 1), (1, 1), (1, -1)):
        near, far = (
            _means(
                (
                    smooth[
                        _REACH + lag * y : height - _REACH + lag * y : 4,
                        _REACH + lag * x : width - _REACH + lag * x : 4,
                    ]
                    - here
                )
                ** 2,
                rows,
                columns,
            )
            for lag in (2, _REACH)
        )
        told = np.where(far >= _TEXTURE**2, np.sqrt(near / np.maximum(far, 1e-6)), np.inf)
        least = np.minimum(least, told)
    return least


def patch_codes(patches: str | None, across: np.ndarray, down: np.ndarray) -> np.ndarray:
    """The letters at places of a photograph.

    Args:
        patches: see `patches_of`; None where nothing was measured.
        across, down: float (n,), shares of width and height.

    Returns:
        Letters (n,); those of places outside mean nothing.
    """
    if not patches:
        return np.full(len(across), GOOD)
    table = np.array([list(row) for row in patches.split("/")])
    rows = (down * table.shape[0]).astype(int).clip(0, table.shape[0] - 1)
    columns = (across * table.shape[1]).astype(int).clip(0, table.shape[1] - 1)
    return np.asarray(table[rows, columns])


def unseen_share(patches: str | None) -> float | None:
    """Share of a photograph's parts, without those that are not concrete, that are blurred, too dark or burnt out.

    Args:
        patches: see `patches_of`.

    Returns:
        0 to 1; None where nothing was measured, or nothing is concrete.
    """
    letters = (patches or "").replace("/", "").replace(NOT_CONCRETE, "")
    return 1 - letters.count(GOOD) / len(letters) if letters else None


def share_without_sight(photo: PhotoRecord) -> float | None:
    """`unseen_share`, and what is transparent of the photograph besides; None where nothing was measured."""
    unseen, missing = unseen_share(photo.patches), photo.transparent
    if missing is None or photo.patches is None:
        return unseen
    return missing + (1 - missing) * (unseen or 0)


def told_of_none(photo: PhotoRecord) -> str:
    """What a person is told of a photograph without findings: what cannot be seen is never called free of cracks."""
    unseen = share_without_sight(photo) or 0
    if unseen <= MUCH:
        return "nothing found"
    return "nothing could be seen" if unseen > _ALL else f"nothing found; {100 * unseen:.0f} % not seen"


def warn_of_unseen(photos: Sequence[PhotoRecord]) -> list[str]:
    """What a person is told where photographs were searched on which much cannot be seen, or is not there."""
    found = []
    if partly := [photo for photo in photos if photo.transparent]:
        told = counted(len(partly), "photograph is", "photographs are")
        found.append(
            f"{told} transparent in part, {partly[0].name} by {100 * (partly[0].transparent or 0):.0f} %: nothing is known of what is "
            "not shown there."
        )
    return [*found, *_warn_of_blurred(photos)]


def _warn_of_blurred(photos: Sequence[PhotoRecord]) -> list[str]:
    lost = [photo.name for photo in photos if (unseen_share(photo.patches) or 0) > MUCH]
    if not lost:
        return []
    told = counted(len(lost), "photograph is", "photographs are")
    return [
        f"{told} blurred, too dark or burnt out in more than a third: a crack there may be missed. The first is {lost[0]}; "
        "see the column unseen of photos.csv."
    ]


def _means(values: np.ndarray, rows: int, columns: int) -> np.ndarray:
    """Means over equal parts of a picture: float32 (rows, columns)."""
    import cv2

    return np.asarray(cv2.resize(values, (columns, rows), interpolation=cv2.INTER_AREA)).reshape(rows, columns)
