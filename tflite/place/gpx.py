"""Flight logs in GPX: the track points of any version, with a name space or without.

With expat itself, since it lets document types be refused: they can hold entities that expand without end.
"""

from __future__ import annotations

from xml.parsers import expat

from tflite.errors import CrackError
from tflite.place.clock import UTC, parse_time
from tflite.place.fix import Fix
from tflite.place.logcontent import DAMAGED, LogContent, shown
from tflite.place.values import degrees, finite


def read_gpx(data: bytes, name: str) -> LogContent:
    """Read a GPX file.

    Args:
        data: its bytes.
        name: for errors.

    Raises:
        CrackError: if it is other XML, or holds a document type.
    """
    content = LogContent()
    reader = _Reader(content)
    parser = expat.ParserCreate(namespace_separator=" ")
    parser.buffer_text = True
    parser.StartElementHandler = reader.start
    parser.EndElementHandler = reader.end
    parser.CharacterDataHandler = reader.text

    def refuse(*_: object) -> None:
        raise CrackError(
            f"flight log {name} holds a document type (DOCTYPE), which no GPX file needs. It is not read, for safety."
        )

    parser.StartDoctypeDeclHandler = refuse
    try:
        parser.Parse(data, True)
    except expat.ExpatError as error:
        # What came before the damage is whole: a logger that lost its power leaves such files.
        content.skip(DAMAGED, f"line {error.lineno}: the XML is damaged or cut off")
    except (LookupError, ValueError):
        content.skip(DAMAGED, "the XML is in an encoding that does not exist")
    if not reader.root_is_gpx:
        raise CrackError(f"flight log {name} is XML but not GPX. Export the flight as GPX, CSV or NMEA.")
    return content


class _Reader:
    """Handlers that collect track points."""

    def __init__(self, content: LogContent) -> None:
        self.root_is_gpx = False
        self._content = content
        self._points = 0
        self._path: list[str] = []
        self._attributes: dict[str, str] = {}
        self._texts: dict[str, str] = {}

    def start(self, name: str, attributes: dict[str, str]) -> None:
        self._path.append(name.rpartition(" ")[2])
        if len(self._path) == 1:
            self.root_is_gpx = self._path[0] == "gpx"
        if self._path[-1] == "trkpt":
            self._attributes, self._texts = attributes, {}

    def text(self, text: str) -> None:
        # Direct children only: extensions may hold times of their own.
        if len(self._path) > 1 and self._path[-2] == "trkpt":
            self._texts[self._path[-1]] = (self._texts.get(self._path[-1], "") + text)[:256]

    def end(self, name: str) -> None:
        if self._path.pop() == "trkpt":
            self._points += 1
            try:
                self._content.fixes.append(self._fix())
            except (ValueError, KeyError) as error:
                told = f"no {error.args[0]}" if isinstance(error, KeyError) else str(error)
                self._content.skip(DAMAGED, f"track point {self._points}: {told}")

    def _fix(self) -> Fix:
        lat, lon = (degrees(self._attributes[name], letters) for name, letters in (("lat", "NS"), ("lon", "EW")))
        elevation = self._texts.get("ele", "").strip()
        altitude = finite(elevation) if elevation else None
        text = self._texts.get("time", "").strip()
        if not text:
            return Fix(lat, lon, altitude)
        try:
            time = parse_time(text)
        except ValueError:
            raise ValueError(f"the time {shown(text)} is not understood") from None
        # GPX demands UTC, also where the "Z" is missing.
        return Fix(lat, lon, altitude, (time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp())
