"""Sectors of zeros in a file: what a card that lost power, or a copy that broke off, leaves in place of data. numpy only.

Zeros are pixels too, where pixels are stored as they are: black ones. So these rules ask for more than zeros, and a black
border, or the black ground around an orthomosaic, is left alone. What they cannot tell: zeros that start exactly where a row does.
"""

from __future__ import annotations

import numpy as np

SECTOR = 512  # bytes; the least that a card or disk writes
_FULL = 0.9  # share of bytes that are not zero, in a row of a photograph
_LIT = 0.5
_MARGIN = 12  # bytes at both ends of a row in which black pixels are no sign


def zeroed_sectors(data: bytes, start: int, end: int, row: int = 0) -> int | None:
    """Where whole sectors of the file are zero while the bytes on both sides of them are not.

    A long run of zeros that means something begins and ends so by chance once in 260,000 times.

    Args:
        data: the whole file.
        start, end: where a run has to begin.
        row: bytes of a row, where rows of a photograph are stored as they are: the one above is then lit; 0 for other data.

    Returns:
        The place of the first such sector, or None.
    """
    first, last = -(-start // SECTOR), len(data) // SECTOR
    if last <= first:
        return None
    sectors = np.frombuffer(data, np.uint64, (last - first) * SECTOR // 8, first * SECTOR).reshape(-1, SECTOR // 8)
    zero = sectors[:, 17] == 0  # most sectors are told by one number of theirs
    zero[zero] = ~sectors[zero].any(axis=1)
    edges = np.diff(zero.astype(np.int8), prepend=0, append=0)
    for one, other in zip(np.flatnonzero(edges == 1), np.flatnonzero(edges == -1), strict=True):
        begin, stop = (first + int(one)) * SECTOR, (first + int(other)) * SECTOR
        alone = begin > start and data[begin - 1] and (not data[stop:] or data[stop])
        above = data[begin - row : min(stop - row, begin)] if begin - row >= start else b""
        if begin < end and alone and (not above or _is_lit(above)):
            return begin
    return None


def zeroed_tail(data: bytes, start: int, end: int, row: int) -> int | None:
    """Where rows of a photograph, stored as they are, turn to zeros in the middle of one and stay so to their end.

    Args:
        data: the whole file.
        start, end: of the rows in it.
        row: bytes of one.

    Returns:
        The place of the first zero, or None.
    """
    place = start + len(data[start:end].rstrip(b"\0"))
    column = (place - start) % row
    if end - place < max(SECTOR, row) or not _MARGIN < column < row - _MARGIN or place - row < start:
        return None
    # A dark border does not begin in the middle of a row, below another that is lit.
    return (
        place if _is_lit(data[place - column : place], _FULL) and _is_lit(data[place - row : place - column]) else None
    )


def _is_lit(part: bytes, share: float = _LIT) -> bool:
    return len(part) - part.count(0) > share * len(part)
