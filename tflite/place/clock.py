"""Times as cameras and logs write them: text to a moment, local times to UTC, and a camera's clock that goes wrong.

A clock on the wall does not tell the time on two nights a year: when clocks go back, an hour of local times happens twice; when
they go forward, an hour never happens. Neither is guessed: a time that happens twice needs a neighbour in time to tell which it
was. Nor is a zone guessed: a time without one is no moment until somebody says where the clock was.
"""

from __future__ import annotations

import calendar
import difflib
import re
import zoneinfo
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone, tzinfo

from tflite.errors import CrackError

UTC = timezone.utc  # noqa: UP017  Python 3.10 on boards has no datetime.UTC
EPOCH = datetime(1970, 1, 1)
MDY, DMY = "month/day/year", "day/month/year"
UNDERSTOOD = (
    "2025-06-01T10:00:00Z (ISO 8601; also with a space, / or : in the date), 6/1/2025 10:00:00 AM, 13.06.2025 10:00:00, and "
    "seconds or milliseconds since 1970"
)
# What a clock that was never set, or a damaged file, says lies outside.
_FIRST_YEAR, _LAST_YEAR = 1990, 2100
_FIRST, _LAST = calendar.timegm((_FIRST_YEAR, 1, 1, 0, 0, 0)), calendar.timegm((_LAST_YEAR, 1, 1, 0, 0, 0))
_OFFSET = re.compile(r"(?:UTC|GMT)?([+-])(\d\d?)(?::?([0-5]\d))?")
_TIME = r"(\d{1,2}):(\d\d)(?::(\d\d)(?:[.,](\d{1,9})\d*)?)?(?: ?([AaPp])\.?[Mm]\.?)?"
_ZONE = r"(?: ?(Z|UTC|GMT|[+-]\d\d(?::?[0-5]\d)?))?"
_YEAR_FIRST = re.compile(rf"(\d{{4}})([-/:.])(\d\d?)\2(\d\d?)(?:[T ]|, ?){_TIME}{_ZONE}", re.ASCII)
_YEAR_LAST = re.compile(rf"(\d\d?)([-/.])(\d\d?)\2(\d{{4}})(?:[T ]|, ?){_TIME}{_ZONE}", re.ASCII)
_NUMBER = re.compile(r"\d{9,16}(\.\d{0,9})?", re.ASCII)


@dataclass(frozen=True)
class CameraClock:
    """What the user says about the clock that dated pictures.

    Attributes:
        zone: of times that do not say theirs; None where it is not known: such times are then no moment.
        offset_s: seconds to add to its times: 73 for a clock that is 73 s slow. Times of satellites are left alone.
    """

    zone: tzinfo | None = None
    offset_s: float = 0.0

    def settle(self, local: float) -> float | None:
        """Seconds since 1970 UTC of a local time.

        Args:
            local: the time that the clock showed, counted as if it were UTC.

        Returns:
            None where no zone is known, the time happened twice or never, or lies in no year that a picture was taken in.
        """
        if self.zone is None or not is_plausible(local):
            return None
        moment = to_utc(EPOCH + timedelta(seconds=local), self.zone)
        return None if moment is None else self.correct(moment.timestamp())

    def correct(self, moment: float) -> float:
        """A moment by this clock, in seconds since 1970 UTC, set right."""
        return moment + self.offset_s


PLAIN_CLOCK = CameraClock()  # about which nobody said anything


def is_plausible(seconds: float) -> bool:
    """Whether a moment, seconds since 1970, lies in the years in which pictures may have been taken: 1990 to 2099."""
    return _FIRST <= seconds < _LAST  # NaN fails too


def civil_seconds(year: int, month: int, day: int, hour: int = 0, minute: int = 0, second: float = 0.0) -> float:
    """A date and a time of day in seconds since 1970, counted as if they were UTC.

    Raises:
        ValueError: naming what is impossible.
    """
    if not _FIRST_YEAR <= year < _LAST_YEAR:
        raise ValueError(f"the year {year} is none in which a picture was taken")
    if not (1 <= month <= 12 and 1 <= day <= calendar.monthrange(year, month)[1]):
        raise ValueError(f"{year:04d}-{month:02d}-{day:02d} is no date")
    if not (0 <= hour < 24 and 0 <= minute < 60 and 0 <= second < 61):  # 60 is a leap second
        raise ValueError(f"{hour}:{minute}:{second:g} is no time of day")
    return calendar.timegm((year, month, day, hour, minute, 0)) + second


def parse_time(text: str, order: str | None = None) -> datetime:
    """A time as logs write it: UNDERSTOOD says how.

    Args:
        text: without spaces around it.
        order: MDY or DMY, of dates that end with the year, see `date_order`.

    Returns:
        With a time zone where the text says one; numbers are UTC.

    Raises:
        ValueError: if it is none of these.
    """
    if len(text) > 64:
        raise ValueError("too long for a time")
    if _NUMBER.fullmatch(text):
        return EPOCH.replace(tzinfo=UTC) + timedelta(seconds=_plausible_number(float(text)))
    match, by_year = _YEAR_FIRST.fullmatch(text), True
    if match is None:
        match, by_year = _YEAR_LAST.fullmatch(text), False
    if match is None:
        raise ValueError("no known form of a time")
    if by_year:
        year, month, day = int(match[1]), int(match[3]), int(match[4])
    elif order is None:
        raise ValueError("day and month cannot be told apart")
    else:
        first, second, year = int(match[1]), int(match[3]), int(match[4])
        month, day = (first, second) if order == MDY else (second, first)
    seconds = civil_seconds(year, month, day, _hour(int(match[5]), match[9]), int(match[6]), int(match[7] or 0))
    local = EPOCH + timedelta(seconds=seconds, microseconds=round(int((match[8] or "0").ljust(9, "0")) / 1000))
    return local if match[10] is None else local.replace(tzinfo=parse_offset(match[10]))


def date_order(texts: Iterable[str]) -> str | None:
    """Whether dates of a log that end with the year begin with the month or the day; None where there are none.

    A number above 12 tells. So does a dot (day first), and a 12-hour clock (month first: who writes AM and PM writes that).

    Args:
        texts: of its times.

    Raises:
        ValueError: if nothing tells, or the log contradicts itself; with an example.
    """
    seen: set[str] = set()
    example = ""
    for text in texts:
        match = _YEAR_LAST.fullmatch(text) if len(text) <= 64 else None
        if match is None:
            continue
        example = example or text
        if int(match[1]) > 12 and int(match[3]) > 12:  # damage
            continue
        if int(match[1]) > 12:
            seen.add(DMY)
        elif int(match[3]) > 12:
            seen.add(MDY)
    if len(seen) == 2:
        raise ValueError(f"dates such as {example!r} begin with the day in some lines and with the month in others")
    if seen or not example:
        return next(iter(seen), None)
    match = _YEAR_LAST.fullmatch(example)
    if match is not None and match[2] == ".":
        return DMY
    if match is not None and match[9] is not None:
        return MDY
    raise ValueError(f"whether {example!r} begins with the day or the month cannot be told: write the year first")


def parse_offset(text: str) -> timezone:
    """A zone such as "+02:00", "Z" or "UTC".

    Raises:
        ValueError: if it is none.
    """
    if text in ("Z", "UTC", "GMT"):
        return UTC
    match = _OFFSET.fullmatch(text)
    offset = None if match is None else timedelta(hours=int(match[2]), minutes=int(match[3] or 0))
    if match is None or offset is None or offset > timedelta(hours=14):  # Kiribati's; no place is further ahead
        raise ValueError(f"{text[:20]!r} is no offset to UTC")
    return timezone(-offset if match[1] == "-" else offset)


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


def utc_text(seconds: float) -> str:
    """A moment for a person: "2025-06-01 10:00:00 UTC"."""
    return f"{EPOCH + timedelta(seconds=round(seconds)):%Y-%m-%d %H:%M:%S} UTC"


def _plausible_number(number: float) -> float:
    # Seconds have ten digits from 2001 until 2286, milliseconds thirteen, microseconds sixteen.
    seconds = number / (1e6 if number >= 1e14 else 1e3 if number >= 1e11 else 1)
    if not is_plausible(seconds):
        raise ValueError("a number that is no time since 1970")
    return seconds


def _hour(hour: int, half: str | None) -> int:
    if half is None:
        return hour
    if not 1 <= hour <= 12:
        raise ValueError(f"{hour} is no hour of a 12-hour clock")
    return hour % 12 + (12 if half in "Pp" else 0)
