"""JPEG, read strictly: a file that libjpeg would complete with grey, or read with a warning that Pillow hides, is refused.

libjpeg invents what is missing: after an early end marker the rest is flat grey, after a sector of zeros everything is shifted,
and all Pillow gets is a warning counter that it does not look at. But libjpeg stops where its input ends and goes on when there
is more. So the data of each scan are handed over in pieces, its last bytes apart, and what the decoder does tells all:

* done before the last bytes were there: there were more data than the picture needs;
* not done after it, and a few bytes that end no code: there were fewer.

In both cases Huffman codes were lost or invented on the way, whatever the damage was. Codes that come out even by accident are
left to two other rules: markers must follow each other as the standard says, and a run of zero bytes must be what the Huffman
tables make of a flat surface. This costs nothing measurable, since the picture is decoded once, by libjpeg.

What cannot be known: damage that changes values and the length of no code (a few flipped bits), for JPEG has no checksum.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from PIL import Image, JpegImagePlugin

from tflite.errors import DamageError
from tflite.sectors import zeroed_sectors

MAX_SCANS = 100  # every scan goes over all of the picture; encoders write about ten
_MAX_INTERVALS = 200_000  # between restart markers that are looked at one by one; of more, only how many there are
_MAX_SCANNED_PIXELS = 3_000_000_000  # the same for large pictures: about a minute on a slow board
_SOI, _EOI, _SOS, _DQT, _DHT, _DRI = 0xD8, 0xD9, 0xDA, 0xDB, 0xC4, 0xDD
_HUFFMAN_FRAMES = frozenset({0xC0, 0xC1, 0xC2})  # baseline, extended sequential, progressive
_OTHER_FRAMES = frozenset({0xC3, *range(0xC5, 0xC8), *range(0xC9, 0xCC), *range(0xCD, 0xD0)})
_RESTARTS = range(0xD0, 0xD8)
_NO_DATA = re.compile(rb"\xff[^\x00]")  # in a scan: a marker, or the fill bytes before one
_FILLED_MARKER = re.compile(rb"\xff+[^\x00\xff]")
_ZEROS = 32  # bytes: 40 to 250 coded values that are all alike
_RAW_ZEROS = 256  # bytes, where raw bits stand between codes
_FILL = 64  # bytes of 0xff that may stand before a marker; more are an erased sector
_SLACK = 16  # zero bytes that may stand before a marker: some cameras align. Not where zeros mean something
_EXTRA = 2  # other bytes that may stand there: cameras on a USB cable leave one or two
_ONES = b"\xff\x00"  # a byte of ones as it is stored: no Huffman code consists of ones
_READ_AHEAD = 8  # bytes that libjpeg wants to have beyond those it needs


@dataclass(frozen=True)
class Scan:
    """One scan of a JPEG.

    Attributes:
        start, end: of its entropy-coded data, the marker behind them excluded.
        components: of the frame, by position.
        first, last: coefficients that it codes.
        high, low: bits known before and after it (successive approximation).
        intervals: (start, end) of the data between restart markers; one without such markers.
        zeros: so many zero bytes in a row are damage; None where they may be data.
    """

    start: int
    end: int
    components: tuple[int, ...]
    first: int
    last: int
    high: int
    low: int
    intervals: tuple[tuple[int, int], ...]
    zeros: int | None


@dataclass
class _Frame:
    """What a walk over the markers has learned so far."""

    progressive: bool = False
    width: int = 0
    height: int = 0
    ids: tuple[int, ...] = ()
    factors: tuple[tuple[int, int], ...] = ()  # horizontal and vertical sampling of each component
    restart: int = 0
    # First symbol of each Huffman table, by (class, number): what a run of zero bits stands for.
    symbols: dict[tuple[int, int], int] = field(default_factory=dict)


def decode_jpeg(data: bytes, shrink: bool = False) -> Image.Image:
    """Decode a JPEG, of several in one file (MPO) the first.

    Args:
        data: the file's bytes; what follows the end of the picture is not looked at.
        shrink: to an eighth, in a third of the time: for a caller who wants to know no more than whether it is whole.

    Returns:
        The loaded image, in Pillow's mode for it, with its EXIF data.

    Raises:
        DamageError: if any of it is missing or damaged, or it is of a kind that is not read.
        Exception: whatever Pillow raises on damaged headers.
    """
    frame, scans = read_structure(data)
    _check_zeros(data, scans)
    if len(scans) > MAX_SCANS or len(scans) * frame.width * frame.height > _MAX_SCANNED_PIXELS:
        raise DamageError(f"{len(scans)} scans, which would take too long")
    image = JpegImagePlugin.JpegImageFile(io.BytesIO(data))
    if shrink:
        image.draft(image.mode, (1, 1))
    _decode(image, data, scans)
    return image


def read_structure(data: bytes) -> tuple[_Frame, tuple[Scan, ...]]:
    """Walk over all markers up to the end of the first picture.

    Raises:
        DamageError: if they do not follow each other as they have to, or the picture is not complete by them.
    """
    frame, scans = _Frame(), list[Scan]()
    seen = False
    for marker, start, end in _segments(data):
        if marker == _SOS:
            if not seen:
                raise DamageError("its frame header is missing")
            scans.append(_scan(data, frame, start, end))
        elif marker in _HUFFMAN_FRAMES:
            if seen:
                raise DamageError("two frame headers")
            seen = True
            _read_frame(data[start:end], frame, marker)
        elif marker in _OTHER_FRAMES:
            raise DamageError(f"JPEG process SOF{marker - 0xC0}, which is not read: save it as an ordinary JPEG")
        elif marker == _DHT:
            _read_huffman(data[start:end], frame)
        elif marker == _DQT:
            _check_quantisation(data[start:end])
        elif marker == _DRI:
            frame.restart = int.from_bytes(data[start : start + 2], "big")
    if not scans:
        raise DamageError("it ends before the picture begins")
    _check_complete(frame, scans)
    return frame, tuple(scans)


def _segments(data: bytes) -> Iterator[tuple[int, int, int]]:
    """(marker, start, end) of every segment's content up to the end marker; of SOS the content includes the data."""
    if data[:2] != b"\xff\xd8":
        raise DamageError("its start marker is missing")
    place = 2
    while True:
        found = _FILLED_MARKER.match(data, place)
        if found is None:
            if place >= len(data) - 1:
                raise DamageError("its end marker is missing")
            raise DamageError(f"no marker where one has to be, at byte {place}")
        marker, start = data[found.end() - 1], found.end()
        if marker == _EOI:
            return
        if marker == _SOI or marker in _RESTARTS or marker == 0x01:
            raise DamageError(f"a marker {marker:#04x} where none can be, at byte {place}")
        length = int.from_bytes(data[start : start + 2], "big")
        place = start + length
        if length < 2 or place > len(data):
            raise DamageError(f"a segment of impossible length at byte {start}")
        if marker == _SOS:
            place = _end_of_scan(data, place)
        yield marker, start + 2, place


def _markers(data: bytes, start: int) -> Iterator[tuple[int, int]]:
    """(start, end) of every marker from there on, fill bytes included; the code is the last byte.

    Looked for by two fixed bytes, which is ten times as fast as by any number of fill bytes.
    """
    while (found := _NO_DATA.search(data, start)) is not None:
        marker = _FILLED_MARKER.match(data, found.start())
        start = found.end() if marker is None else marker.end()
        if marker is not None:
            yield marker.span()


def _end_of_scan(data: bytes, start: int) -> int:
    """Where the next marker stands that is no restart marker."""
    for begin, end in _markers(data, start):
        if end - begin > _FILL:
            raise DamageError(f"an erased sector at byte {begin}")
        if data[end - 1] not in _RESTARTS:
            return begin
    raise DamageError("its end marker is missing")


def _read_frame(content: bytes, frame: _Frame, marker: int) -> None:
    count = content[5] if len(content) > 5 else 0
    if count not in (1, 3, 4) or len(content) != 6 + 3 * count or content[0] != 8:
        raise DamageError("a frame header that makes no sense")
    frame.progressive = marker == 0xC2
    frame.height, frame.width = int.from_bytes(content[1:3], "big"), int.from_bytes(content[3:5], "big")
    frame.ids = tuple(content[6 + 3 * n] for n in range(count))
    frame.factors = tuple((content[7 + 3 * n] >> 4, content[7 + 3 * n] & 15) for n in range(count))
    sane = all(1 <= factor <= 4 for pair in frame.factors for factor in pair) and len(set(frame.ids)) == count
    if not sane or not frame.width or not frame.height:
        raise DamageError("a frame header that makes no sense")


def _read_huffman(content: bytes, frame: _Frame) -> None:
    while content:
        counts, number = content[1:17], content[0] & 15
        total = sum(counts)
        symbols = content[17 : 17 + total]
        # A sector of zeros in a table leaves symbols twice.
        if len(counts) < 16 or not 0 < total <= 256 or len(symbols) < total or len(set(symbols)) < total:
            raise DamageError("a damaged Huffman table")
        frame.symbols[content[0] >> 4, number] = symbols[0]
        content = content[17 + total :]


def _check_quantisation(content: bytes) -> None:
    while content:
        wide = content[0] >> 4
        values = np.frombuffer(content[1 : 1 + 64 * (1 + wide)], ">u2" if wide else np.uint8) if wide < 2 else ()
        if len(values) < 64 or (np.asarray(values) == 0).any():
            raise DamageError("a damaged quantisation table")
        content = content[1 + 64 * (1 + wide) :]


def _scan(data: bytes, frame: _Frame, start: int, end: int) -> Scan:
    count = data[start]
    header = data[start : start + 4 + 2 * count]
    length = int.from_bytes(data[start - 2 : start], "big")
    if not 1 <= count <= 4 or len(header) + 2 != length:
        raise DamageError("a scan header that makes no sense")
    begin = start + len(header)
    try:
        components = tuple(frame.ids.index(header[1 + 2 * n]) for n in range(count))
    except ValueError:
        raise DamageError("a scan of a component that the picture does not have") from None
    first, last, high, low = *header[-3:-1], header[-1] >> 4, header[-1] & 15
    if not frame.progressive:
        first, last, high, low = 0, 63, 0, 0
    if first > last or last > 63:
        raise DamageError("a scan header that makes no sense")
    return Scan(
        begin,
        end,
        components,
        first,
        last,
        high,
        low,
        _intervals(data, begin, end, _units(frame, components), frame.restart),
        _natural_zeros(frame, [header[2 + 2 * n] for n in range(count)], last, high),
    )


def _units(frame: _Frame, components: tuple[int, ...]) -> int:
    """Number of MCUs of a scan."""
    across, down = (max(pair[axis] for pair in frame.factors) for axis in (0, 1))
    if len(components) > 1:
        return -(-frame.width // (8 * across)) * -(-frame.height // (8 * down))
    own_across, own_down = frame.factors[components[0]]
    width, height = -(-frame.width * own_across // across), -(-frame.height * own_down // down)
    return -(-width // 8) * -(-height // 8)


def _intervals(data: bytes, start: int, end: int, units: int, restart: int) -> tuple[tuple[int, int], ...]:
    """Where the data between restart markers lie; their number and order are checked."""
    found = list[tuple[int, int]]()
    begin = start
    for place, after in _markers(data, start):
        if place >= end:
            break
        if not restart:
            raise DamageError(f"a restart marker where none can be, at byte {place}")
        if data[after - 1] != 0xD0 + len(found) % 8:
            raise DamageError(f"restart markers out of order at byte {place}")
        found.append((begin, place))
        begin = after
    if begin < end or not found:  # some cameras write a last restart marker with nothing behind it
        found.append((begin, end))
    wanted = -(-units // restart) if restart else 1
    if len(found) != wanted:
        raise DamageError(f"{len(found)} of {wanted} restart intervals")
    return tuple(found)


def _natural_zeros(frame: _Frame, tables: list[int], last: int, high: int) -> int | None:
    """Zero bytes in a row that no undamaged scan holds, None where there may be any number.

    Means may be equal for long. Where the shortest code for the other coefficients is "no more of them", zeros are a flat
    surface. Scans that refine hold up to 1,000 raw bits between two codes, all zero in what was a coarser JPEG before.
    """
    if last == 0:
        return None
    if high:
        return _RAW_ZEROS
    standard = 0x01  # of the tables in annex K, which motion JPEG leaves out
    flat = all(frame.symbols.get((1, table & 15), standard) == 0 for table in tables)
    return None if flat else _ZEROS


def _check_complete(frame: _Frame, scans: list[Scan]) -> None:
    """Every coefficient of every component must have been sent to its last bit."""
    missing = np.full((len(frame.ids), 64), 1)
    for scan in scans:
        missing[list(scan.components), scan.first : scan.last + 1] = scan.low
    if missing.any():
        raise DamageError("some of its scans are missing")


def _check_zeros(data: bytes, scans: tuple[Scan, ...]) -> None:
    for scan in scans:
        # Flash memory that was erased reads as ones. Followed by a zero they are no marker, and libjpeg passes over them.
        erased = data.find(b"\xff" * (_FILL + 1), scan.start, scan.end)
        if erased >= 0:
            raise DamageError(f"an erased sector at byte {erased}")
        if scan.zeros is not None:
            found = data.find(bytes(scan.zeros), scan.start, scan.end)
            place = found if found >= 0 else None
        else:
            place = zeroed_sectors(data, scan.start, scan.end)
        if place is not None:
            raise DamageError(f"zeros instead of data at byte {place}")


def _decode(image: JpegImagePlugin.JpegImageFile, data: bytes, scans: tuple[Scan, ...]) -> None:
    """Have libjpeg decode into the image, and see that each interval is as long as the picture needs."""
    image.load_prepare()
    feeder = _Feeder(image, data)
    single = len(scans) == 1
    each = sum(len(scan.intervals) for scan in scans) <= _MAX_INTERVALS
    try:
        for scan in scans:
            for number, (start, end) in enumerate(scan.intervals, 1):
                last = number == len(scan.intervals)
                if each or last:
                    _feed_interval(feeder, data, start, end, single and last, 0 if scan.zeros is None else _SLACK)
        feeder.finish()
    finally:
        feeder.close()
    image.tile = []
    image.load_end()


def _feed_interval(feeder: _Feeder, data: bytes, start: int, end: int, last: bool, slack: int) -> None:
    stop = max(start, end - slack)
    stop += len(data[stop:end].rstrip(b"\0"))
    if stop < end and data[stop - 1] == 0xFF:
        stop += 1
    cut = after = stop
    for _ in range(1 + _EXTRA):
        cut, after = (cut - 2 if data[cut - 2 : cut] == _ONES else cut - 1), cut
    if cut >= start:
        feeder.feed_to(cut)
        if feeder.done or (not last and feeder.takes_next(after)):
            raise DamageError(f"more data than the picture needs, before byte {stop}")
    feeder.feed_to(end)
    if not feeder.done and not feeder.completes(last):
        raise DamageError(f"fewer data than the picture needs, before byte {end}")
    feeder.skip_to(end)


class _Feeder:
    """libjpeg as Pillow wraps it, fed piece by piece.

    Attributes:
        done: whether the whole picture is decoded.
    """

    def __init__(self, image: JpegImagePlugin.JpegImageFile, data: bytes) -> None:
        tile = image.tile[0]
        self.done = False
        self._data = memoryview(data)
        self._place = tile.offset  # of the next byte to hand over
        self._rest = b""  # bytes handed over that the decoder wants to see again
        self._decoder = Image._getdecoder(image.mode, tile.codec_name, tile.args, image.decoderconfig)
        self._decoder.setimage(image.im, tile.extents)

    def close(self) -> None:
        self._decoder.cleanup()

    def feed_to(self, place: int) -> None:
        """Hand over everything before that byte."""
        if place > self._place:
            piece = self._data[self._place : place]
            self._feed(self._rest + bytes(piece) if self._rest else piece)
            self._place = place

    def takes_next(self, place: int) -> bool:
        """Hand over the last byte before `place`; whether the decoder passes over it, since it waits for a marker.

        In the middle of a scan a single byte never satisfies it, and it wants to see the byte again.
        """
        waiting = bool(self._rest)
        self.feed_to(place)
        return not waiting and not self._rest

    def completes(self, last: bool) -> bool:
        """Whether the decoder has all it needs, but for what it reads ahead.

        Args:
            last: of the only scan's last interval, behind which the picture is done.
        """
        self._feed(self._rest + _ONES * _READ_AHEAD)
        if last:
            return self.done
        if self._rest:
            return False
        self._feed(_ONES)
        return not self._rest

    def skip_to(self, place: int) -> None:
        """Go on at that byte."""
        self._place, self._rest = place, b""

    def finish(self) -> None:
        """Hand over the end marker."""
        if not self.done:
            self.feed_to(len(self._data))
        if not self.done:
            raise DamageError("its end marker is missing")

    def _feed(self, piece: bytes | memoryview) -> None:
        taken, error = self._decoder.decode(piece)
        if error:
            raise DamageError("data that libjpeg cannot decode")
        self.done = taken < 0
        self._rest = b"" if self.done else bytes(piece[taken:])
