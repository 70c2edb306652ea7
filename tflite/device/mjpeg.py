"""Cut a stream of JPEG files written one after the other (MJPEG) into files. Standard library only."""

from __future__ import annotations

import os
from collections.abc import Iterator

from tflite.errors import CrackError

_BLOCK = 1 << 16
LONGEST = 64 << 20  # bytes of one frame; a stream that lost its markers cannot fill the memory
_SOI, _EOI, _SOS = 0xD8, 0xD9, 0xDA
_ALONE = frozenset({0x01, *range(0xD0, 0xD8)})  # markers without a length: TEM, RST0 to RST7


class JpegSplitter:
    """Finds where each JPEG ends by walking its segments: a search for the end marker would stop at an embedded thumbnail.

    Bytes between frames (such as the headers of a multipart stream) are passed over. A frame whose segments make no sense, or
    that the next one interrupts, is handed out as far as it came: its decoder will refuse it, and a gap is recorded.

    Example:
        splitter = JpegSplitter()
        while data := stream.read(65536):
            for jpeg in splitter.feed(data): ...
        last = splitter.finish()
    """

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._position = 0  # of the next unread byte within the frame at the buffer's start
        self._scanning = False  # inside entropy-coded data, where segments have no length

    def feed(self, data: bytes) -> list[bytes]:
        """Take the next bytes of the stream, of any length; returns the frames that they complete."""
        self._buffer += data
        frames = []
        while (frame := self._next()) is not None:
            frames.append(frame)
        return frames

    def finish(self) -> bytes | None:
        """The stream has ended: the frame that it cut off, or None."""
        rest = bytes(self._buffer)
        self._buffer.clear()
        return rest if rest.startswith(b"\xff\xd8") else None

    def _next(self) -> bytes | None:
        if not self._position and not self._find_start():
            return None
        end = self._walk()
        if end is None and len(self._buffer) > LONGEST:
            end = len(self._buffer)
        if end is None:
            return None
        frame = bytes(self._buffer[:end])
        del self._buffer[:end]
        self._position, self._scanning = 0, False
        return frame

    def _find_start(self) -> bool:
        start = self._buffer.find(b"\xff\xd8")
        if start < 0:
            # A marker may be cut in two.
            del self._buffer[: -1 if self._buffer.endswith(b"\xff") else None]
            return False
        del self._buffer[:start]
        self._position, self._scanning = 2, False
        return True

    def _walk(self) -> int | None:
        """Length of the frame at the buffer's start, or None when more bytes are needed."""
        buffer = self._buffer
        while True:
            place = buffer.find(b"\xff", self._position) if self._scanning else self._position
            if place < 0:
                self._position = len(buffer)
                return None
            self._position = place
            if place + 1 >= len(buffer):
                return None
            if buffer[place] != 0xFF:  # not a marker where one has to be
                return place
            marker = buffer[place + 1]
            if marker == 0xFF:  # padding
                self._position += 1
            elif marker == _EOI:
                return place + 2
            elif marker == _SOI:  # the next frame begins: this one was cut off
                return place
            elif marker in _ALONE or (marker == 0 and self._scanning):
                self._position += 2
            elif marker == 0:
                return place
            else:
                if place + 3 >= len(buffer):
                    return None
                self._position = place + 2 + int.from_bytes(buffer[place + 2 : place + 4], "big")
                self._scanning = marker == _SOS


def jpegs_of(file: int) -> Iterator[bytes]:
    """The JPEGs that an open file descriptor gives, to its end.

    Raises:
        CrackError: if it ends before the first one: the program that was to give them did not start, or gives something else.
    """
    splitter, seen = JpegSplitter(), False
    while data := os.read(file, _BLOCK):
        for jpeg in splitter.feed(data):
            seen = True
            yield jpeg
    if (rest := splitter.finish()) is not None:
        yield rest
    elif not seen:
        raise CrackError(
            "--source -: standard input ended before its first JPEG. Did the program that gives the pictures start? It has to write "
            "JPEGs, as rpicam-vid --codec mjpeg does."
        )
