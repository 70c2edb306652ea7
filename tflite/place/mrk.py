"""DJI's Timestamp.MRK files: the position at each exposure of a drone with RTK.

    1  400373.488877  [2264]  -40,N  0,E  86,V  44.42824637,Lat  1.26196331,Lon  359.494,Ellh  0.01, 0.01, 0.02  50,Q

Number of the exposure, seconds of the GPS week, the week, the lever arm from antenna to camera in mm (already applied), the
position with the height above the ellipsoid, its standard deviations in metres, and the solution (50: RTK fixed).

The photographs of such a flight end with the number of their exposure: 100_0005_0003.JPG belongs to 100_0005_Timestamp.MRK, and
DJI_20250502141203_0003_V.JPG to DJI_202505021412_007_Timestamp.MRK. The number alone is none: each flight begins at 1.
"""

from __future__ import annotations

import calendar
import math
import re
from collections.abc import Mapping

from tflite.place.clock import civil_seconds, is_plausible
from tflite.place.fix import Fix
from tflite.place.logcontent import DAMAGED, LONGEST_LINE, LogContent, shown
from tflite.place.values import finite

_NUMBER = r"([+-]?\d+(?:\.\d+)?)"
_LINE = re.compile(
    rf"\s*(\d{{1,9}})\s+(\d+(?:\.\d+)?)\s+\[(\d+)\]\s.*?{_NUMBER},Lat\s+{_NUMBER},Lon\s+{_NUMBER},Ellh"
    rf"(?:\s+{_NUMBER}\s*,\s*{_NUMBER}\s*,\s*{_NUMBER})?(?:\s+(\d+),Q)?\s*",
    re.ASCII,
)
_GPS_EPOCH = calendar.timegm((1980, 1, 6, 0, 0, 0))
_LEAP_SECONDS = 18  # that GPS time is ahead of UTC since 2017; drones with these files came after
_WEEK = 604_800
_NUMBERED = re.compile(
    r"(?:(.+)_)?(\d{4})(?:_[A-Za-z][^_]*)*", re.ASCII
)  # V, T, W: of several cameras; names of way points
_SERIES = re.compile(r"\d{3}_\d{4}", re.ASCII)  # folder and flight, of a Phantom 4 RTK
_STAMP = re.compile(r"DJI_(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)?(?:_|$)", re.ASCII)
_SAME_S = 2.0  # cameras write whole seconds
_ZONES_S, _FURTHEST_ZONE_S = 900, 14 * 3600  # zones are multiples of a quarter of an hour
_FLIGHT_S = (
    -120,
    4 * 3600,
)  # of a photograph after the name of its log, which is of the minute when the folder was made
_QUALITY = {"16": "gps", "34": "float rtk", "50": "rtk"}


def is_mrk(data: bytes) -> bool:
    """Whether a file looks like one."""
    return re.match(rb"\s*\d+\s+\d+(?:\.\d+)?\s+\[\d+\]\s", data) is not None


def read_mrk(data: bytes) -> LogContent:
    """Read such a file; a line that cannot be read is left out and counted."""
    content = LogContent()
    for number, line in enumerate(data.decode("ascii", "replace").splitlines(), 1):
        if not line.strip():
            continue
        match = _LINE.fullmatch(line[:LONGEST_LINE])
        time = None if match is None else _GPS_EPOCH + int(match[3][:5]) * _WEEK + float(match[2]) - _LEAP_SECONDS
        if match is None or time is None or not is_plausible(time):
            content.skip(DAMAGED, f"line {number}: {shown(line)} is not understood")
            continue
        try:
            fix = Fix(
                *(finite(match[4]), finite(match[5]), finite(match[6]), time),
                quality=_QUALITY.get(match[10] or ""),
                accuracy_m=None if match[7] is None else math.hypot(finite(match[7]), finite(match[8])),
            )
        except ValueError as error:
            content.skip(DAMAGED, f"line {number}: {error}")
            continue
        content.fixes.append(fix)
        content.exposures.setdefault(int(match[1]), []).append(fix)
    return content


def exposure_of(
    photo: str, log: str, exposures: Mapping[int, Fix], seconds: float | None, local: float | None
) -> Fix | None:
    """The exposure that a photograph is of, by its number, where something else says that it is of this flight.

    That is the name that it shares with the log, its time, or, where its clock does not say its zone, minute and second.

    Args:
        photo: the photograph's name, without folders.
        log: the log's.
        exposures: by number.
        seconds: when the photograph was taken, since 1970 UTC; None where that is not known.
        local: by its camera's clock without a zone, or None.
    """
    stem = photo.rpartition(".")[0] or photo
    numbered = _NUMBERED.fullmatch(stem)
    fix = None if numbered is None else exposures.get(int(numbered[2]))
    if fix is None or fix.time is None or numbered is None:
        return None
    if _SERIES.fullmatch(numbered[1] or "") and log.startswith(f"{numbered[1]}_"):
        return fix
    if seconds is not None:
        return fix if abs(seconds - fix.time) <= _SAME_S else None
    begun, shown = _stamp(log), _stamp(stem) if local is None else local
    if begun is None or shown is None or not _FLIGHT_S[0] <= shown - begun <= _FLIGHT_S[1]:
        return None
    ahead = shown - fix.time
    off = abs((ahead + _ZONES_S / 2) % _ZONES_S - _ZONES_S / 2)
    return fix if abs(ahead) <= _FURTHEST_ZONE_S + _SAME_S and off <= _SAME_S else None


def _stamp(name: str) -> float | None:
    """The local time in a name of DJI's, counted as if it were UTC."""
    match = _STAMP.match(name)
    try:
        return None if match is None else civil_seconds(*(int(part or 0) for part in match.groups()))
    except ValueError:
        return None
