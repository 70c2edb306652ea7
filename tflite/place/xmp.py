"""What drones write into a photograph's XMP data: the properties as text, with expat itself, which lets document types be refused.

Property names carry the prefix that their makers use ("drone-dji:GpsLatitude"), also where a file calls the name space by another
prefix. A property within a structure is named after both ("drone-skydio:CameraOrientationNED/drone-skydio:Yaw").
"""

from __future__ import annotations

from xml.parsers import expat

LARGEST = 1 << 20  # bytes; a JPEG's packet has at most 64 KiB
_SEARCHED = 1 << 18  # XMP stands at a file's beginning
_LONGEST_VALUE = 256  # characters; what is read here are numbers, dates and short words
_MOST, _DEEPEST = 2000, 32  # properties; elements within each other
_PREFIXES = {
    "http://www.dji.com/drone-dji/1.0/": "drone-dji",
    "http://www.autelrobotics.com/drone/1.0/": "drone",
    "http://pix4d.com/camera/1.0/": "Camera",
    "http://pix4d.com/camera/1.0": "Camera",
    "https://www.skydio.com/drone-skydio/1.0/": "drone-skydio",
    "http://www.parrot.com/drone-parrot/1.0/": "drone-parrot",
    "http://ns.adobe.com/exif/1.0/": "exif",
}
_FRAME = {"x", "rdf", "xml", "xmlns"}  # prefixes of what holds properties together
# A packet that its file does not mark as one is found by these.
_MARKS = (b"<x:xmpmeta", b"drone-dji:", b"drone-skydio:", b"drone-parrot:", b"drone:Gps", b"Camera:Yaw")


def find_packet(data: bytes) -> bytes | None:
    """An XMP packet near a file's beginning, where its format's own place for it holds none."""
    start = data[:_SEARCHED]
    for mark in _MARKS:
        place = start.find(mark)
        if place >= 0:
            opened = start.rfind(b"<", 0, place + 1)
            return start[opened:] if opened >= 0 else None
    return None


def read_properties(packet: bytes) -> tuple[dict[str, str], str | None]:
    """The simple properties of a packet; of several of one name the first.

    Args:
        packet: XML; what follows its end is ignored.

    Returns:
        The properties, and what is wrong with the packet or None. Of a damaged packet those before the damage are given.
    """
    if len(packet) > LARGEST:
        return {}, f"XMP data of {len(packet):,} bytes are too large and were not read"
    reader = _Reader()
    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.StartElementHandler = reader.start
    parser.EndElementHandler = reader.end
    parser.CharacterDataHandler = reader.text
    parser.StartDoctypeDeclHandler = _refuse
    try:
        parser.Parse(packet.strip(b"\0 \t\r\n"), True)
    except _RefusedError as error:
        return {}, f"XMP data {error} and were not read, for safety"
    except (expat.ExpatError, LookupError, ValueError):  # damage; an encoding that does not exist
        if not reader.closed:
            return reader.found, "XMP data are damaged: what comes after the damage is not known"
    return reader.found, None


class _RefusedError(Exception):
    pass


def _refuse(*_: object) -> None:
    raise _RefusedError("hold a document type (DOCTYPE)")


class _Reader:
    """Handlers that collect properties."""

    def __init__(self) -> None:
        self.found: dict[str, str] = {}
        self.closed = False  # whether the outermost element has ended
        self._prefixes: dict[str, str] = {}
        self._path: list[str | None] = []  # names of properties, None for what only holds them
        self._text: list[str] = []

    def start(self, name: str, attributes: dict[str, str]) -> None:
        for key, value in attributes.items():
            if key.startswith("xmlns:") and value in _PREFIXES:
                self._prefixes[key[6:]] = _PREFIXES[value]
        self._path.append(self._name(name))
        if len(self._path) > _DEEPEST:
            raise _RefusedError("are nested too deeply")
        self._text = []
        for key, value in attributes.items():
            self._keep([*self._path, self._name(key)], value)

    def text(self, text: str) -> None:
        if sum(map(len, self._text)) <= _LONGEST_VALUE:
            self._text.append(text)

    def end(self, _: str) -> None:
        self._keep(self._path, "".join(self._text))
        self._path.pop()
        self._text = []
        self.closed = not self._path

    def _name(self, name: str) -> str | None:
        prefix, colon, local = name.partition(":")
        if not colon or prefix in _FRAME:
            return None
        return f"{self._prefixes.get(prefix, prefix)}:{local}"

    def _keep(self, path: list[str | None], value: str) -> None:
        value = value.strip("\0 \t\r\n")
        names = [name for name in path if name is not None]
        if names and path[-1] is not None and value and len(self.found) < _MOST:
            self.found.setdefault("/".join(names), value[: _LONGEST_VALUE + 1])
