"""Numbers as flight logs write them."""

from __future__ import annotations

import math
import re

from tflite.place.logcontent import shown

_DEGREES = re.compile(r"([NSEW]?)\s*([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)\s*°?\s*([NSEW]?)", re.ASCII)
_PLAIN = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d{1,3})?", re.ASCII)
_LONGEST = 64


def degrees(text: str, letters: str) -> float:
    """Degrees from "-33.9", "33.9 S" or "33,9".

    Args:
        text: the value.
        letters: "NS" or "EW": what may stand beside it, the positive one first.

    Raises:
        ValueError: if it is none.
    """
    upper = text.strip().upper().replace(",", ".")
    match = _DEGREES.fullmatch(upper) if len(upper) <= _LONGEST else None
    letter = "" if match is None else match[1] + match[3]
    if match is None or len(letter) > 1 or (letter and letter not in letters):
        what = "latitude" if letters == "NS" else "longitude"
        raise ValueError(f"the {what} {shown(text)} is not understood: degrees such as 48.2 or 48.2 {letters[0]}")
    value = float(match[2])
    if letter and value < 0:
        raise ValueError(f"{shown(text)} has two signs")
    return -value if letter == letters[1] else value


def finite(text: str) -> float:
    """A finite number; a comma may be its decimal point.

    Raises:
        ValueError: if it is none.
    """
    text = text.strip().replace(",", ".")
    if len(text) > _LONGEST or not _PLAIN.fullmatch(text) or not math.isfinite(float(text)):
        raise ValueError(f"{shown(text)} is no number")
    return float(text)
