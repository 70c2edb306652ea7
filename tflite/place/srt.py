"""The subtitles (.SRT) that drones write beside a video: where the camera was, block by block.

Families differ in what a block holds: a date, a position, altitudes, the gimbal's angles, in brackets with names or as a list. Two
of them write positions without names: "GPS(lon, lat, 16)" with the number of satellites, and "GPS(lat, lon, 19.0M)" with an
altitude; the third value tells which. A block that is cut off or says nothing that can be is left out and named.

Dates are of the drone's clock and carry no zone. Within its own video a block is found by the time at which it is shown, and needs
neither.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from tflite.errors import CrackError
from tflite.place.clock import EPOCH, CameraClock, civil_seconds, sequence_to_utc
from tflite.place.fix import Angles, Fix, known_angles, real_altitude, real_place
from tflite.place.logcontent import DAMAGED, NO_FIX, NO_MOMENT, NO_TIME, LogContent
from tflite.place.values import finite

NO_POSITION = "no position"
_LONGEST_BLOCK = 1 << 14
_COUNTER = re.compile(r"^\ufeff?[ \t]*(\d{1,9})[ \t]*\r?$", re.MULTILINE | re.ASCII)
_SHOWN = re.compile(r"(\d{1,3}):(\d\d):(\d\d)[,.](\d{1,3})\s*-->\s*(\d{1,3}):(\d\d):(\d\d)[,.](\d{1,3})", re.ASCII)
# Milliseconds and microseconds, each after a comma; some firmware writes both twice.
_DATE = re.compile(
    r"\b(\d{4})[-./](\d{1,2})[-./](\d{1,2})[ T](\d{1,2}):(\d\d):(\d\d)(?:[.,:](\d{1,6}))?(?:,(\d{3}))?", re.ASCII
)
_BRACKET = re.compile(r"\[([^\[\]]*)\]")
_PAIR = re.compile(r"([A-Za-z_][A-Za-z_.]*)\s*:\s*([^\s:,\[\]]+)")
_NUMBER = r"([-+]?\d+(?:\.\d+)?)"
_TUPLE = re.compile(rf"\b(?:GPS|RTK)\s*\(\s*{_NUMBER}\s*,\s*{_NUMBER}\s*(?:,\s*{_NUMBER}\s*([Mm]?)\s*)?\)", re.ASCII)
_BAROMETER = re.compile(rf"\b(?:BAROMETER|Hb)\s*[:(]\s*{_NUMBER}", re.ASCII)
_HEIGHT = re.compile(rf"\bH\s*[ =:]\s*{_NUMBER}\s*m\b", re.ASCII)  # above the place of take-off
_GIMBAL = re.compile(rf"\bG\.PRY\s*\(\s*{_NUMBER}°?\s*,\s*{_NUMBER}°?\s*,\s*{_NUMBER}°?\s*\)", re.ASCII)
_NAMES = {
    "lat": ("latitude", "lat"),
    "lon": ("longitude", "longtitude", "lon", "lng"),  # the second is DJI's spelling of some years
    "abs_alt": ("abs_alt", "altitude"),
    "rel_alt": ("rel_alt",),
    "yaw": ("gb_yaw", "gimbal_yaw"),
    "pitch": ("gb_pitch", "gimbal_pitch"),
    "roll": ("gb_roll", "gimbal_roll"),
}


@dataclass(frozen=True)
class SrtBlock:
    """One block.

    Attributes:
        number: as the file counts.
        start_s, end_s: of its time in the video, in seconds; None where the family has none.
        local: by the drone's clock, without a zone; None where the family has none.
        place: latitude and longitude, or None.
        altitude_m: above the sea or as the drone counts, or None.
        relative_altitude_m: above the place of take-off, or None.
        angles: of the gimbal.
    """

    number: int
    start_s: float | None
    end_s: float | None
    local: datetime | None
    place: tuple[float, float] | None
    altitude_m: float | None
    relative_altitude_m: float | None
    angles: Angles


@dataclass(frozen=True)
class SrtTrack:
    """The blocks of a file that could be read.

    Attributes:
        blocks: in their order.
        content: what was left out, and why.
    """

    blocks: tuple[SrtBlock, ...]
    content: LogContent

    @property
    def above_takeoff(self) -> bool:
        """Whether only heights above the place of take-off are known."""
        return not any(block.altitude_m is not None for block in self.blocks)

    def fixes(self) -> list[tuple[SrtBlock, Fix]]:
        """Blocks with a position, and the position, without a time."""
        above = self.above_takeoff
        return [
            (
                block,
                Fix(
                    *block.place,
                    real_altitude(block.relative_altitude_m if above else block.altitude_m),
                    source="srt",
                    heading_deg=block.angles.heading,
                    pitch_deg=block.angles.pitch,
                    roll_deg=block.angles.roll,
                ),
            )
            for block in self.blocks
            if block.place is not None
        ]

    def start(self, clock: CameraClock) -> float | None:
        """When the video began, seconds since 1970 UTC, by the first block with a date and a time in the video.

        Args:
            clock: the drone's; without a zone nothing is known.
        """
        for block in self.blocks:
            if block.local is not None and block.start_s is not None:
                moment = clock.settle((block.local - EPOCH).total_seconds())
                return None if moment is None else moment - block.start_s
        return None


def is_srt(data: bytes) -> bool:
    """Whether a file looks like subtitles."""
    start = data[:4096].removeprefix(b"\xef\xbb\xbf").lstrip()
    return re.match(rb"\d+[ \t]*\r?\n\s*(?:\d+:\d\d:\d\d[,.]\d+\s*-->|\d{4}[-./]\d)", start) is not None


def read_srt(data: bytes) -> SrtTrack:
    """Read a file of subtitles. Never raises: what cannot be read is in `content`."""
    content = LogContent()
    texts = list(_blocks(data.decode("utf-8-sig", "replace")))
    lon_first = _lon_first(text for _, text in texts)
    blocks = []
    for number, text in texts:
        try:
            block = _block(number, text, lon_first)
        except ValueError as error:
            content.skip(DAMAGED, f"block {number}: {error}")
            continue
        if block.place is None:
            void = _has_position(text)
            content.skip(NO_FIX if void else NO_POSITION, f"block {number}: {NO_FIX if void else NO_POSITION}")
        blocks.append(block)
    # A receiver that counts altitudes in whole metres and always says 0 does not know them.
    if not any(block.altitude_m for block in blocks) and any(block.relative_altitude_m for block in blocks):
        blocks = [replace(block, altitude_m=None) for block in blocks]
    return SrtTrack(tuple(blocks), content)


def dated_fixes(track: SrtTrack, name: str, clock: CameraClock, video_start: float | None) -> LogContent:
    """Positions by moments, for pictures that are not frames of the video.

    Args:
        track: of the file.
        name: of the file, for errors.
        clock: the drone's; its offset is not applied.
        video_start: when the video began, seconds since 1970 UTC; places blocks that have no date.

    Raises:
        CrackError: if there are dates but no zone, or neither dates nor the video's start.
    """
    content = track.content
    content.above_takeoff = track.above_takeoff
    known = track.fixes()
    if video_start is not None:
        for block, fix in known:
            if block.start_s is not None:
                content.fixes.append(replace(fix, time=video_start + block.start_s))
        return content
    dated = [(block.local, fix) for block, fix in known]
    if known and not any(local for local, _ in dated):
        raise CrackError(
            f"flight log {name}: its blocks have no date, only their time in the video. Survey the video itself, or say when it "
            "began with --video-start."
        )
    example = next((block for block, _ in known if block.local is not None), None)
    if example is not None and example.local is not None and clock.zone is None:
        raise CrackError(
            f"flight log {name}, block {example.number}: the time '{example.local}' has no time zone. "
            "Give it, such as --timezone Europe/Vienna or --timezone +02:00."
        )
    settled = [None] * len(dated) if clock.zone is None else sequence_to_utc([local for local, _ in dated], clock.zone)
    for (local, fix), moment in zip(dated, settled, strict=True):
        if moment is None:
            content.skip(NO_TIME if local is None else NO_MOMENT)
        else:
            content.fixes.append(replace(fix, time=moment.timestamp()))
    return content


def _blocks(text: str) -> Iterator[tuple[int, str]]:
    """Numbers and texts of the blocks."""
    counters = list(_COUNTER.finditer(text))
    for place, counter in enumerate(counters):
        end = counters[place + 1].start() if place + 1 < len(counters) else len(text)
        yield int(counter[1]), text[counter.end() : end][:_LONGEST_BLOCK]


def _block(number: int, text: str, lon_first: bool) -> SrtBlock:
    """One block.

    Raises:
        ValueError: with what is wrong with it.
    """
    shown, date = _SHOWN.search(text), _DATE.search(text)
    if not text.strip():
        raise ValueError("it is empty")
    if text.count("[") != text.count("]") or text.count("(") != text.count(")"):
        raise ValueError("it is cut off")
    if shown is None and date is None:
        raise ValueError("neither a date nor a time in the video")
    values = _named(text)
    lat, lon, altitude = values.get("lat"), values.get("lon"), values.get("abs_alt")
    listed = _TUPLE.search(text)
    if listed is not None and (lat is None or lon is None):
        lon, lat = finite(listed[1]), finite(listed[2])
        if _has_altitude(listed) or not lon_first:
            lon, lat = lat, lon
        if altitude is None and _has_altitude(listed):
            altitude = finite(listed[3])
    place = None
    if lat is not None and lon is not None:
        place = real_place(lat, lon)
        if place is None and (lat, lon) != (0, 0):
            raise ValueError(f"{lat:g}, {lon:g} is no place on earth")
    elif (lat is None) != (lon is None):
        raise ValueError("half a position")
    heights = (_BAROMETER.search(text), _HEIGHT.search(text))
    relative = values.get("rel_alt")
    for height in heights:
        relative = finite(height[1]) if relative is None and height is not None else relative
    gimbal = _GIMBAL.search(text)
    pitch, roll, yaw = (
        (values.get("pitch"), values.get("roll"), values.get("yaw"))
        if gimbal is None
        else (finite(gimbal[1]), finite(gimbal[2]), finite(gimbal[3]))
    )
    return SrtBlock(
        number=number,
        start_s=None if shown is None else _seconds(shown, 1),
        end_s=None if shown is None else _seconds(shown, 5),
        local=None if date is None else _local(date),
        place=place,
        altitude_m=altitude,
        relative_altitude_m=relative,
        angles=known_angles(*(angle if angle is None or abs(angle) <= 360 else None for angle in (yaw, pitch, roll))),
    )


def _named(text: str) -> dict[str, float]:
    """Numbers within brackets that are called by a known name.

    Raises:
        ValueError: if a position is no number.
    """
    found: dict[str, str] = {}
    for bracket in _BRACKET.finditer(text):
        for name, value in _PAIR.findall(bracket[1]):
            found.setdefault(name.lower(), value)
    values: dict[str, float] = {}
    for key, names in _NAMES.items():
        value = next((found[name] for name in names if name in found), None)
        if value is None:
            continue
        try:
            values[key] = finite(value)
        except ValueError:
            if key in ("lat", "lon"):
                raise
    return values


def _has_position(text: str) -> bool:
    return _TUPLE.search(text) is not None or "lat" in _named(text)


def _has_altitude(listed: re.Match[str]) -> bool:
    """Satellites are whole numbers, altitudes have a unit or a decimal point."""
    return bool(listed[4]) or (listed[3] is not None and "." in listed[3])


def _lon_first(texts: Iterator[str]) -> bool:
    """Whether lists with satellites begin with the longitude, as all known drones write them: not where that cannot be."""
    usual = reverse = 0
    for text in texts:
        listed = _TUPLE.search(text)
        if listed is not None and not _has_altitude(listed):
            usual += abs(float(listed[2])) > 90
            reverse += abs(float(listed[1])) > 90
    return not (usual > 0 and reverse == 0)


def _seconds(shown: re.Match[str], group: int) -> float:
    hours, minutes, seconds, thousandths = (shown[group + number] for number in range(4))
    return int(hours) * 3600 + int(minutes) * 60 + int(seconds) + int(thousandths.ljust(3, "0")) / 1000


def _local(date: re.Match[str]) -> datetime:
    seconds = civil_seconds(*(int(date[number]) for number in range(1, 7)))
    fraction = (date[7] or "") + (date[8] or "")
    return EPOCH + timedelta(seconds=seconds, microseconds=int(fraction[:6].ljust(6, "0")))
