"""PNG, WebP and BMP: whether a file is whole, as far as its format tells. Pillow decodes; this looks before it does.

PNG has a checksum for every part, which Pillow does not compare for pixels. WebP and BMP have none: of them this knows their lengths, and
zeros where there can be none. A WebP with other damage in the middle is decoded as if nothing were.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator

from tflite.errors import DamageError
from tflite.sectors import zeroed_sectors, zeroed_tail

WEBP_FLAT = (
    512  # pixels of flat surface that account for a zero byte: a block of 16 x 16 takes four bits, a copied run fewer
)
_ZEROS = 32  # bytes in a row; as many are rare
_HEADER = 8  # bytes of a chunk's name and length


def check_png(data: bytes) -> None:
    """Walk over all chunks.

    Raises:
        DamageError: if a checksum is wrong or the end is missing.
    """
    place = 8
    while place + 12 <= len(data):
        length = int.from_bytes(data[place : place + 4], "big")
        end = place + 12 + length
        if end > len(data):
            break
        name = data[place + 4 : place + 8]
        if zlib.crc32(memoryview(data)[place + 4 : end - 4]) != int.from_bytes(data[end - 4 : end], "big"):
            raise DamageError(f"a wrong checksum in its part at byte {place}")
        if name == b"IEND":
            return
        place = end
    raise DamageError("its end is missing")


def png_depth(data: bytes) -> int:
    """Bits per channel, of a PNG that was checked."""
    return data[24]


def png_frames(data: bytes) -> int:
    """Number of pictures: more than one in an animation."""
    place = data.find(b"acTL", 8, data.find(b"IDAT"))
    return 1 if place < 0 else int.from_bytes(data[place + 4 : place + 8], "big")


def check_webp(data: bytes) -> int:
    """Walk over all chunks.

    Returns:
        Length of the longest run of zero bytes in the picture's data, 0 for short ones. Both codecs leave long ones for flat surfaces
        only: see `WEBP_FLAT`.

    Raises:
        DamageError: if the end is missing.
    """
    longest = 0
    for name, start, end in _chunks(data):
        if name in (b"VP8 ", b"VP8L", b"ANMF"):
            while (place := data.find(bytes(max(_ZEROS, longest + 1)), start, end)) >= 0:
                longest = end - place - len(data[place:end].lstrip(b"\0"))
    return longest


def webp_frames(data: bytes) -> int:
    """Number of pictures: more than one in an animation."""
    return max(1, sum(name == b"ANMF" for name, _, _ in _chunks(data)))


def _chunks(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """(name, start, end) of the content of every chunk."""
    place, end = 12, _HEADER + int.from_bytes(data[4:8], "little")
    if end > len(data) + 1:  # the last byte may be padding that was not written
        raise DamageError("its end is missing")
    while place + _HEADER <= end:
        start = place + _HEADER
        place = start + int.from_bytes(data[place + 4 : start], "little")
        if place > len(data):
            raise DamageError("its end is missing")
        yield data[start - _HEADER : start - 4], start, place
        place += place % 2


def check_bmp(data: bytes) -> None:
    """Compare the length with the picture's size, and look for zeros that no photograph has.

    Raises:
        DamageError: if the end is missing or was zeroed.
    """
    start, header = int.from_bytes(data[10:14], "little"), int.from_bytes(data[14:18], "little")
    if header < 40:
        return  # OS/2, older than digital photographs
    width, height = (int.from_bytes(data[at : at + 4], "little", signed=True) for at in (18, 22))
    bits, compression = int.from_bytes(data[28:30], "little"), int.from_bytes(data[30:34], "little")
    if compression not in (0, 3) or width <= 0:
        return
    row = -(-width * bits // 32) * 4
    end = start + row * abs(height)
    if end > len(data):
        raise DamageError(f"{len(data):,} of {end:,} bytes")
    for place in (zeroed_sectors(data, start, end, row), zeroed_tail(data, start, end, row)):
        if place is not None:
            raise DamageError(f"zeros instead of data at byte {place}")
