"""Parts of a photograph that are too dark or burnt out to show a crack.

The limits are those below which a shipped classifier missed cracks that it found on the same tiles undamaged (`studies/tile_quality.py`).
"""

from __future__ import annotations

import numpy as np
from PIL import Image

PATCH_PX = 256
MIN_BRIGHTNESS = 7.0  # grey levels, mean; down to 8 no crack was missed, darker was not measured
MAX_BURNT = 0.95  # share of pixels of 250 and more; beyond, recall fell below 0.95
MUCH = 1 / 3  # of a photograph's parts; more is worth a word


def patch_grid(height: int, width: int) -> tuple[int, int]:
    """Rows and columns of parts of about `PATCH_PX`."""
    return max(1, round(height / PATCH_PX)), max(1, round(width / PATCH_PX))


def lit_badly(grey: np.ndarray) -> np.ndarray:
    """Which parts are too dark or burnt out: bool, as `patch_grid` has them.

    Args:
        grey: uint8 (height, width).
    """
    rows, columns = patch_grid(*grey.shape)
    sample = grey[::2, ::2]  # Pillow reduces it: a tile's answer needs no OpenCV
    mean, burnt = (
        np.asarray(Image.fromarray(values.astype(np.float32)).resize((columns, rows), Image.Resampling.BOX))
        for values in (sample, sample >= 250)
    )
    return np.asarray((mean < MIN_BRIGHTNESS) | (burnt > MAX_BURNT))
