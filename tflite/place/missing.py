"""In words, why pictures have no place: a person must be able to tell a wrong clock from a receiver without satellites."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence

from tflite.place.clock import CameraClock, utc_text

NO_SOURCE = "its own data hold no position, and there is no flight log"
NO_TIME = "its own data hold no position, and no time to look one up in the flight log"
NO_ZONE = "its camera's clock does not say its time zone, so the flight log cannot be asked: give --timezone"
NO_MOMENT = (
    "its camera's clock showed a time that happened twice or never that night, so the flight log cannot be asked"
)
IMPOSSIBLE = (
    "some photographs state what cannot be, and that was left out. The first is"  # begins what the first one states
)
OUTSIDE, HOLE = "taken before or after the flight log", "taken in a hole of the flight log"


def why_unplaced(
    seconds: float | None, local: float | None, clock: CameraClock, span: tuple[float, float] | None
) -> str:
    """Why a picture has no position.

    Args:
        seconds: when it was taken, since 1970 UTC; None where that is not known.
        local: by its camera's clock without a zone, or None.
        clock: what the user said about it.
        span: first and last moment of the flight log; None where there is none.
    """
    if span is None:
        return NO_SOURCE
    if seconds is None:
        if local is None:
            return NO_TIME
        return NO_ZONE if clock.zone is None else NO_MOMENT
    return HOLE if span[0] <= seconds <= span[1] else OUTSIDE


def why_not_journalled(
    seconds: float | None, time_source: str, asked: str | None, span: tuple[float, float] | None
) -> str:
    """Why a device found no position for a frame.

    Args:
        seconds, time_source: when it was taken and how that is known, as the journal tells.
        asked: "exif", "track", "live", or None where no source of positions was given.
        span: first and last moment of a track.
    """
    if asked is None:
        return "positions were not asked for: give --gps"
    if asked == "exif":
        return "its own data hold no position"
    if seconds is None:
        return NO_ZONE if time_source == "exif no zone" else NO_TIME
    if span is not None:
        return HOLE if span[0] <= seconds <= span[1] else OUTSIDE
    return "taken while the receiver had no position"


def count_unplaced(
    what: str,
    placed: int,
    reasons: Iterable[str],
    moments: Sequence[float] = (),
    span: tuple[float, float] | None = None,
    pictures: str = "photographs",
) -> str | None:
    """How many have a position, and why the others have none; None where all have one.

    Args:
        what: is counted, such as "positives".
        placed: that have a position.
        reasons: of the others, one each.
        moments: at which the others were taken, as far as known; seconds since 1970 UTC.
        span: first and last moment of the log that was asked, or None.
        pictures: what they were seen on, in the plural.

    Example:
        "0 of 6 positives have a position (6: taken before or after the flight log): video of 2026-07-01 10:00:00 to 10:00:12 UTC,
        flight log of 2025-06-01 12:00:00 to 12:00:59 UTC"
    """
    counted = Counter(reasons)
    missing = sum(counted.values())
    if not missing:
        return None
    told = "; ".join(
        f"{count}: {reason if count == 1 else re.sub('^its ', 'their ', reason)}"
        for reason, count in counted.most_common()
    )
    text = f"{placed} of {placed + missing} {what} {'has' if placed == 1 else 'have'} a position ({told})"
    if span is not None and moments:
        text += f": {pictures} of {_range(min(moments), max(moments))}, flight log of {_range(*span)}"
    return text


def _range(first: float, last: float) -> str:
    one, other = utc_text(first), utc_text(last)
    if one == other:
        return one
    day = one[:10] == other[:10]
    return f"{one.removesuffix(' UTC')} to {other[11:] if day else other}"
