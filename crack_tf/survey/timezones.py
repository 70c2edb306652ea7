"""Local times to UTC, with the two nights a year on which a clock on the wall does not tell the time.

When clocks go back, an hour of local times happens twice; when they go forward, an hour never happens. Neither is guessed:
a time that happens twice needs a neighbour in time to tell which it was.
"""

from __future__ import annotations

import difflib
import re
import zoneinfo
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta, timezone, tzinfo

from tflite.errors import CrackError

_OFFSET = re.compile(r"(?:UTC|GMT)?([+-])(\d\d?)(?::?([0-5]\d))?")


def parse_timezone(text: str) -> tzinfo:
    """A time zone from its IANA name, such as "Europe/Vienna", or from an offset to UTC, such as "+02:00".

    Raises:
        CrackError: if it is neither.
    """
    match = _OFFSET.fullmatch(text.strip())
    if match is not None:
        offset = timedelta(hours=int(match[2]), minutes=int(match[3] or 0))
        if offset < timedelta(hours=24):
            return timezone(-offset if match[1] == "-" else offset)
    elif text.strip() in ("Z", "UTC"):
        return UTC
    else:
        try:
            return zoneinfo.ZoneInfo(text.strip())
        except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):  # unknown, not a relative path, or a folder
            pass
    names = difflib.get_close_matches(text, zoneinfo.available_timezones(), n=1)
    hint = f"Did you mean {names[0]}?" if names else "Give a name such as Europe/Vienna, or an offset such as +02:00."
    raise CrackError(f"--timezone {text!r} is not a known time zone. {hint}")


def candidates(local: datetime, zone: tzinfo) -> tuple[datetime, ...]:
    """What a local time may be in UTC: one time, two in the hour that happens twice, none in the hour that never happens.

    Args:
        local: without a time zone.
        zone: of the clock that told it.
    """
    found = []
    for fold in (0, 1):
        moment = local.replace(tzinfo=zone, fold=fold).astimezone(UTC)
        # A time that never happens comes back as another one (PEP 495).
        if moment.astimezone(zone).replace(tzinfo=None, fold=0) == local.replace(fold=0) and moment not in found:
            found.append(moment)
    return tuple(found)


def to_utc(local: datetime, zone: tzinfo, near: datetime | None = None) -> datetime | None:
    """A local time in UTC.

    Args:
        local: without a time zone.
        zone: of the clock that told it.
        near: a time close by, with a time zone, such as that of the photograph before: it tells which of two times it was.

    Returns:
        The time in UTC; None if it never happened, or happened twice and `near` is None.
    """
    found = candidates(local, zone)
    if len(found) == 1:
        return found[0]
    return min(found, key=lambda moment: abs(moment - near)) if found and near is not None else None


def sequence_to_utc(times: Sequence[datetime | None], zone: tzinfo) -> list[datetime | None]:
    """Local times of one recording in UTC, in their order; each settles its neighbours where an hour happens twice.

    Args:
        times: without a time zone, None where there is none; in that hour less than half an hour apart.
        zone: of the clock that told them.

    Returns:
        As many times; None for those that never happened, and for all that happened twice when nothing settles any of them.
    """
    found = [None if local is None else to_utc(local, zone) for local in times]
    # Forwards first, then backwards for a recording that starts within the hour.
    for order in (range(len(times)), reversed(range(len(times)))):
        near: datetime | None = None
        for number in order:
            local = times[number]
            if found[number] is None and local is not None and near is not None:
                found[number] = to_utc(local, zone, near)
            near = found[number] or near
    return found
