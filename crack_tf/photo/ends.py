"""Where a crack ends that runs to the edge of what was taken for concrete: one rule for photographs and surveys.

A foreground that was found is off by a few pixels at its edge, and says where to look for cracks, not how far they go: cut off there, the
same crack would be as long as the foreground of the day. So what is drawn on concrete keeps its short ends beyond. A long mark beyond
is the edge itself, or something in the background, and is left out.
"""

from __future__ import annotations

import numpy as np

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
