"""Where a crack ends that runs to the edge of what was taken for concrete: one rule for photographs and surveys.

A foreground that was found is off by a few pixels at its edge, and says where to look for cracks, not how far they go: cut off there, the
same crack would be as long as the foreground of the day. So what is drawn on concrete keeps its short ends beyond. A long mark beyond
is the edge itself, or something in the background, and is left out.

A crack that such a mark goes on from, or that reaches what a given mask leaves out, is cut off there: as at the photograph's border, nobody
knows where it ends.
"""

from __future__ import annotations

import numpy as np

from crack_tf.photo.ranges import AT_BORDER_PX
from tflite.device.tiles import Box

EDGE = (
    0.015  # of the photograph's longer side: GrabCut's edge is off by that much where background and concrete are alike
)
_ENDS = 3  # times that, the longest end


def longest_end(shape: tuple[int, ...]) -> int:
    """Pixels that a crack may go on beyond the foreground, on a photograph of that height and width."""
    return _ENDS * round(EDGE * max(shape[:2]))


def with_ends(drawn: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """What is drawn on concrete, with its ends beyond.

    Args:
        drawn: bool (height, width), where a crack is drawn, on and off the concrete.
        inside: bool (height, width), what was taken for concrete.

    Returns:
        bool (height, width), part of `drawn`: all of it inside, and of the rest the connected parts that touch that and are no longer
        than `longest_end`.
    """
    from scipy import ndimage

    kept = drawn & inside
    beyond = drawn & ~inside
    if not kept.any() or not beyond.any():
        return kept
    neighbours = np.ones((3, 3), bool)
    labels, _ = ndimage.label(beyond, neighbours)
    longest = longest_end(drawn.shape)
    for number, place in enumerate(ndimage.find_objects(labels), 1):
        rows, columns = place
        if np.hypot(rows.stop - rows.start, columns.stop - columns.start) > longest:
            continue
        around = (slice(max(0, rows.start - 1), rows.stop + 1), slice(max(0, columns.start - 1), columns.stop + 1))
        part = labels[around] == number
        if (ndimage.binary_dilation(part, neighbours) & drawn[around] & inside[around]).any():
            kept[around] |= part
    return kept


def is_cut_off(part: np.ndarray, box: Box, unknown: np.ndarray) -> bool:
    """Whether a part of a mask reaches where nothing is known, as nearly as a network's does the photograph's border.

    Args:
        part: bool (box.h, box.w).
        box: where it lies.
        unknown: bool (height, width), of the whole photograph.
    """
    from scipy import ndimage

    reach = AT_BORDER_PX
    top, left = max(0, box.y - reach), max(0, box.x - reach)
    there = unknown[top : box.y + box.h + reach, left : box.x + box.w + reach]
    if not there.any():
        return False
    near = ndimage.binary_dilation(np.pad(part, reach), np.ones((3, 3), bool), reach)
    y, x = top - (box.y - reach), left - (box.x - reach)
    return bool((near[y : y + there.shape[0], x : x + there.shape[1]] & there).any())
