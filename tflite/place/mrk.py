"""DJI's Timestamp.MRK files: the position at each exposure of a drone with RTK.

    1  400373.488877  [2264]  -40,N  0,E  86,V  44.42824637,Lat  1.26196331,Lon  359.494,Ellh  0.01, 0.01, 0.02  50,Q

Number of the exposure, seconds of the GPS week, the week, the lever arm from antenna to camera in mm (already applied), the
position with the height above the ellipsoid, its standard deviations in metres, and the solution (50: RTK fixed).
"""

from __future__ import annotations

import calendar
import math
import re

from tflite.place.clock import is_plausible
from tflite.place.fix import Fix
from tflite.place.logcontent import DAMAGED, LONGEST_LINE, LogContent, shown
from tflite.place.values import finite

_NUMBER = r"([+-]?\d+(?:\.\d+)?)"
_LINE = re.compile(
    rf"\s*\d+\s+(\d+(?:\.\d+)?)\s+\[(\d+)\]\s.*?{_NUMBER},Lat\s+{_NUMBER},Lon\s+{_NUMBER},Ellh"
    rf"(?:\s+{_NUMBER}\s*,\s*{_NUMBER}\s*,\s*{_NUMBER})?(?:\s+(\d+),Q)?\s*",
    re.ASCII,
)
_GPS_EPOCH = calendar.timegm((1980, 1, 6, 0, 0, 0))
_LEAP_SECONDS = 18  # that GPS time is ahead of UTC since 2017; drones with these files came after
_WEEK = 604_800
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
        time = None if match is None else _GPS_EPOCH + int(match[2][:5]) * _WEEK + float(match[1]) - _LEAP_SECONDS
        if match is None or time is None or not is_plausible(time):
            content.skip(DAMAGED, f"line {number}: {shown(line)} is not understood")
            continue
        try:
            content.fixes.append(
                Fix(
                    *(finite(match[3]), finite(match[4]), finite(match[5]), time),
                    quality=_QUALITY.get(match[9] or ""),
                    accuracy_m=None if match[6] is None else math.hypot(finite(match[6]), finite(match[7])),
                )
            )
        except ValueError as error:
            content.skip(DAMAGED, f"line {number}: {error}")
    return content
