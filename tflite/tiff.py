"""Which picture of a TIFF is the photograph, and whether its data are whole. Pillow decodes; this looks before it does.

A TIFF is a chain of directories, each with a picture, and directories may have others below them. Pillow shows the first, which in a
raw file or a pyramid is a preview, and in a file of several pages one of many.
"""

from __future__ import annotations

import io
import itertools
import re
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

from PIL import Image

from tflite.errors import DamageError
from tflite.jpeg import decode_jpeg
from tflite.sectors import zeroed_sectors, zeroed_tail

MAX_PAGES = 256
_TYPES = {1: "B", 2: "B", 3: "H", 4: "I", 6: "b", 7: "B", 8: "h", 9: "i", 13: "I", 16: "Q", 17: "q", 18: "Q"}
_SUBFILE, _OLD_SUBFILE, _WIDTH, _HEIGHT, _BITS, _COMPRESSION, _PHOTOMETRIC = 254, 255, 256, 257, 258, 259, 262
_STRIPS, _SAMPLES, _STRIP_BYTES, _PLANAR, _TILE_WIDTH, _TILES, _TILE_BYTES, _CHILDREN = (
    273,
    277,
    279,
    284,
    322,
    324,
    325,
    330,
)
_JPEG_TABLES, _MAX_VALUE, _NODATA, _DNG = 347, 281, 42113, 50706
_KEPT = frozenset(
    {
        _SUBFILE,
        _OLD_SUBFILE,
        _WIDTH,
        _HEIGHT,
        _BITS,
        _COMPRESSION,
        _PHOTOMETRIC,
        _STRIPS,
        _SAMPLES,
        _STRIP_BYTES,
        _PLANAR,
    }
    | {_TILE_WIDTH, _TILES, _TILE_BYTES, _CHILDREN, _JPEG_TABLES, _MAX_VALUE, _NODATA, _DNG}
)
_REDUCED, _MASK = 1, 4  # bits of NewSubfileType
_MASK_COLOUR, _CFA, _LINEAR_RAW = 4, 32803, 34892  # of PhotometricInterpretation
_PLAIN, _LZW, _JPEG, _DEFLATE, _OLD_DEFLATE, _PACKBITS = 1, 5, 7, 8, 32946, 32773
_UNLIKELY_ZEROS = {_LZW: 64, _PACKBITS: 256}  # bytes in a row that no encoder writes
_MAX_VALUES = 10_000_000  # of one field
_MEGABYTE = 1 << 20
_PREVIEW = 1.5  # the photograph has so many times more pixels than its preview
_SAME_SHAPE = 0.03


class UnclearError(ValueError):
    """Why it is not known which picture of a TIFF to take, or how; a sentence without its subject and its end."""


@dataclass(frozen=True)
class Page:
    """One directory.

    Attributes:
        number: in the chain, from 0; None below another directory.
        fields: the values of the fields that matter here.
        places: of the values of short fields in the file, by tag.
    """

    number: int | None
    fields: dict[int, tuple[int, ...]]
    places: dict[int, int]

    def value(self, tag: int, default: int = 0) -> int:
        """The first value of a field."""
        return (self.fields.get(tag) or (default,))[0]

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""
        return self.value(_WIDTH), self.value(_HEIGHT)

    @property
    def pixels(self) -> int:
        width, height = self.size
        return width * height

    @property
    def mask(self) -> bool:
        """Whether it says which pixels of another are to be seen."""
        return bool(self.value(_SUBFILE) & _MASK) or self.value(_PHOTOMETRIC, 1) == _MASK_COLOUR

    @property
    def reduced(self) -> bool:
        return bool(self.value(_SUBFILE) & _REDUCED) or self.value(_OLD_SUBFILE) == 2

    @property
    def nodata(self) -> int | None:
        """The value of pixels that hold nothing, as GDAL writes it, if a pixel can have it."""
        match = re.fullmatch(rb"(\d{1,5})(?:\.0*)?", bytes(self.fields.get(_NODATA, ())).strip(b"\0 "))
        return int(match[1]) if match is not None and int(match[1]) < 1 << min(self.stored_bits, 16) else None

    @property
    def stored_bits(self) -> int:
        return self.value(_BITS, 1)

    @property
    def used_bits(self) -> int | None:
        """Bits that its values are said to use, if the file says so."""
        top = self.value(_MAX_VALUE)
        return min(top.bit_length(), self.stored_bits) if top else self.stored_bits if self.stored_bits < 16 else None

    @property
    def negative(self) -> bool:
        """Whether 0 is white, where Pillow does not turn that round: in more than 8 bits."""
        return self.value(_PHOTOMETRIC, 1) == 0 and self.stored_bits > 8


@dataclass(frozen=True)
class Chosen:
    """The photograph of a TIFF.

    Attributes:
        page: its directory.
        mask: the directory that says which of its pixels are to be seen, or None.
    """

    page: Page
    mask: Page | None


def choose_page(data: bytes) -> Chosen:
    """The one directory that is the photograph.

    Raises:
        UnclearError: if there are several, or it is raw data of a sensor, or it lies where it cannot be read.
        DamageError: if the directories cannot be read.
    """
    pages = read_pages(data)
    raw = (_CFA, _LINEAR_RAW)
    if any(_DNG in page.fields or page.value(_PHOTOMETRIC) in raw for page in pages):
        raise UnclearError("is camera raw (DNG), which is not developed here")
    pictures = [page for page in pages if not page.mask and page.pixels]
    if not pictures:
        raise DamageError("no picture in it")
    full = [page for page in pictures if not page.reduced] or pictures
    largest = max(full, key=lambda page: page.pixels)
    others = [page for page in full if page is not largest]
    if not all(_is_preview(page, largest) for page in others):
        raise UnclearError(f"holds {len(full)} pictures, and which is the photograph is not said")
    if largest.number is None:
        raise UnclearError("shows a preview first, and the photograph itself is where it cannot be read here")
    masks = [page for page in pages if page.mask and page.pixels == largest.pixels]
    return Chosen(largest, masks[0] if masks else None)


def read_pages(data: bytes) -> list[Page]:
    """All directories, those below others behind the chain.

    Raises:
        DamageError: if one lies outside of the file, comes twice, or there are too many.
    """
    order, big = ("<" if data[:2] == b"II" else ">"), data[2:4] in (b"\x2b\0", b"\0\x2b")
    pages: list[Page] = []
    seen: set[int] = set()
    children: list[int] = []
    try:
        place = struct.unpack_from(order + ("Q" if big else "I"), data, 8 if big else 4)[0]
        while place:
            page, place = _page(data, order, big, place, len(pages), seen)
            pages.append(page)
            children += page.fields.get(_CHILDREN, ())
        for child in children:
            page, _ = _page(data, order, big, child, None, seen)
            pages.append(page)
    except struct.error:
        raise DamageError("a directory lies outside of the file") from None
    return pages


def _page(data: bytes, order: str, big: bool, place: int, number: int | None, seen: set[int]) -> tuple[Page, int]:
    """A directory and where the next one is."""
    if place in seen or len(seen) >= MAX_PAGES:
        raise DamageError("a directory comes twice" if place in seen else f"more than {MAX_PAGES} directories")
    seen.add(place)
    count = struct.unpack_from(order + ("Q" if big else "H"), data, place)[0]
    place += 8 if big else 2
    size, inline, word = (20, 8, "Q") if big else (12, 4, "I")
    if count * size > len(data):
        raise struct.error
    fields, places = dict[int, tuple[int, ...]](), dict[int, int]()
    for entry in range(place, place + count * size, size):
        tag, kind, values = struct.unpack_from(order + "HH" + word, data, entry)
        code = _TYPES.get(kind)
        if tag not in _KEPT or code is None:
            continue
        if values > _MAX_VALUES:
            raise struct.error
        at = entry + size - inline
        if values * struct.calcsize(code) > inline:
            at = struct.unpack_from(order + word, data, at)[0]
        fields[tag], places[tag] = struct.unpack_from(f"{order}{values}{code}", data, at), at
    following = struct.unpack_from(order + word, data, place + count * size)[0]
    return Page(number, fields, places), following


def _is_preview(page: Page, of: Page) -> bool:
    """Whether one picture is another at a smaller size, by shape."""
    one, other = (p.value(_WIDTH) / max(1, p.value(_HEIGHT)) for p in (page, of))
    return page.pixels * _PREVIEW <= of.pixels and abs(one / other - 1) < _SAME_SHAPE


def check_data(data: bytes, page: Page) -> None:
    """See that a page's strips or tiles are whole, as far as their compression tells.

    Raises:
        DamageError: if one lies outside of the file or is damaged.
    """
    kind = page.value(_COMPRESSION, _PLAIN)
    pieces = sorted(_pieces(page))
    samples = page.value(_SAMPLES, 1) if page.value(_PLANAR, 1) == 1 else 1
    row = -(-page.value(_TILE_WIDTH, page.value(_WIDTH)) * page.value(_BITS, 1) * samples // 8)
    room = 2 * page.pixels * page.value(_SAMPLES, 1) * page.value(_BITS, 1) // 8 + _MEGABYTE
    for start, length in pieces:
        end = start + length
        if not start or end > len(data):
            raise DamageError("parts of the picture lie outside of the file")
        if kind in (_DEFLATE, _OLD_DEFLATE):
            room -= _check_deflate(data, start, end, room)
        elif kind == _JPEG:
            _check_strip(data[start:end], bytes(page.fields.get(_JPEG_TABLES, ())), start)
        elif kind in _UNLIKELY_ZEROS:
            _refuse(data.find(bytes(_UNLIKELY_ZEROS[kind]), start, end))
    if kind == _PLAIN and pieces:
        first, last = pieces[0][0], sum(pieces[-1])
        _refuse(zeroed_sectors(data, first, last, row))
        joined = all(one[0] + one[1] == other[0] for one, other in itertools.pairwise(pieces))
        if _TILES not in page.fields and joined and samples == page.value(_SAMPLES, 1):
            _refuse(zeroed_tail(data, first, min(last, first + row * page.value(_HEIGHT)), row))


def _pieces(page: Page) -> Iterator[tuple[int, int]]:
    starts = page.fields.get(_TILES) or page.fields.get(_STRIPS, ())
    lengths = page.fields.get(_TILE_BYTES) or page.fields.get(_STRIP_BYTES, ())
    if len(starts) != len(lengths):
        raise DamageError("the lengths of its parts are missing")
    return zip(starts, lengths, strict=True)


def _refuse(place: int | None) -> None:
    if place is not None and place >= 0:
        raise DamageError(f"zeros instead of data at byte {place}")


def _check_deflate(data: bytes, start: int, end: int, room: int) -> int:
    """libtiff does not compare the checksum. Returns the size of what was compressed."""
    stream, size = zlib.decompressobj(), 0
    rest: bytes = data[start:end]
    try:
        while rest and not stream.eof:
            size += len(stream.decompress(rest, 4 * _MEGABYTE))
            rest = stream.unconsumed_tail
            if size > room:
                raise DamageError("far more data than the picture needs")
    except zlib.error:
        raise DamageError(f"damaged data in its part at byte {start}") from None
    if not stream.eof:
        raise DamageError(f"data end too early before byte {end}")
    return size


def _check_strip(strip: bytes, tables: bytes, start: int) -> None:
    whole = tables[:-2] + strip[2:] if tables.startswith(b"\xff\xd8") and strip.startswith(b"\xff\xd8") else strip
    try:
        decode_jpeg(whole, shrink=True)
    except DamageError as error:
        raise DamageError(f"{error}, in its part at byte {start}") from None


def open_mask(data: bytes, mask: Page, size: tuple[int, int]) -> Image.Image:
    """A mask page as greyscale, 255 where the photograph is to be seen.

    Raises:
        UnclearError: if it is of a kind that is not read.
    """
    # Pillow does not know masks, but black and white, which differs in nothing but the name of the colours.
    copy = bytearray(data)
    place = mask.places.get(_PHOTOMETRIC)
    if place is not None and mask.number is not None:
        copy[place : place + 2] = b"\1\0" if data[:2] == b"II" else b"\0\1"
        try:
            with Image.open(io.BytesIO(copy), formats=("TIFF",)) as image:
                image.seek(mask.number)
                if image.size == size and image.mode in ("1", "L"):
                    return image.convert("L").point(lambda value: 255 * (value > 0))
        except Exception:  # Pillow's parsers raise nearly anything
            pass
    raise UnclearError("hides parts of its picture by a mask that is not read here")
