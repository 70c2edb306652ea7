"""The report's pictures: links to the files beside the page, or, for a report in one file, pictures inside it as data URIs.

The survey's folder holds a finding's pictures already, small enough for a page, so the page names them and the browser loads those
that are seen. A report in one file can be mailed: a small picture of every finding is inside, and of the first ones the
large pictures, until a budget is used up. The others' are linked: they show as long as the report lies in the survey's folder.
"""

from __future__ import annotations

import base64
import io
import os
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from PIL import Image

from tflite.checked import file_inside
from tflite.errors import CrackError
from tflite.images import FORMATS, load_rgb

THUMBNAIL = (320, 320)  # pixels: sharp on a card of that size
DETAIL_SIDE = 1000  # pixels, longer side
EMBED_BYTES = (
    12_000_000  # of detail pictures, as JPEG: with 500 findings the report is then about as large as mail allows
)
_QUALITY = {"thumbnail": 72, "detail": 84}
_JPEG = b"\xff\xd8\xff"


@dataclass(frozen=True)
class Pictures:
    """A finding's pictures as the page takes them.

    Attributes:
        links: of the files as the place is, and with the outline; relative to the page, "" where one is missing.
        thumbnail: with the outline, a data URI; "" where it is not inside the page.
        before, after: the two files' pictures as data URIs; "" where they are not inside the page.
        width, height: of a file in pixels; 0 when both are missing.
        embedded: whether `before` and `after` are inside the page.
    """

    links: tuple[str, str]
    thumbnail: str
    before: str
    after: str
    width: int
    height: int
    embedded: bool


class PictureShelf:
    """Finds, or makes, pictures for findings, in their order.

    Args:
        out: the survey's folder.
        one_file: whether pictures go into the page.
        embed_bytes: budget for detail pictures that do.

    Attributes:
        missing: files that could not be read, relative to the folder.
    """

    def __init__(self, out: Path, *, one_file: bool = False, embed_bytes: int = EMBED_BYTES) -> None:
        self.missing: list[str] = []
        self._out, self._one_file = out, one_file
        self._left = embed_bytes

    def pictures(self, picture: str, overlay: str) -> Pictures:
        """The pictures of one finding.

        Args:
            picture, overlay: files relative to the survey's folder.
        """
        return self._embedded(picture, overlay) if self._one_file else self._linked(picture, overlay)

    def _linked(self, picture: str, overlay: str) -> Pictures:
        sizes = [self._size(name) for name in (picture, overlay)]
        links = tuple("" if size is None else _link(name) for size, name in zip(sizes, (picture, overlay), strict=True))
        width, height = sizes[1] or sizes[0] or (0, 0)
        return Pictures((links[0], links[1]), "", "", "", width, height, embedded=False)

    def _embedded(self, picture: str, overlay: str) -> Pictures:
        before, after = (self._open(name) for name in (picture, overlay))
        shown = after or before
        links = tuple("" if image is None else _link(name) for image, name in ((before, picture), (after, overlay)))
        uris = ("", "")
        if self._left > 0:
            data = [b"" if found is None else _detail(*found) for found in (before, after)]
            self._left -= sum(map(len, data))
            if self._left >= 0:
                uris = (_data_uri(data[0]), _data_uri(data[1]))
        thumbnail = "" if shown is None else _data_uri(_jpeg(shown[0], THUMBNAIL, "thumbnail"))
        width, height = (0, 0) if shown is None else shown[0].size
        return Pictures((links[0], links[1]), thumbnail, *uris, width, height, embedded=uris != ("", ""))

    def _size(self, name: str) -> tuple[int, int] | None:
        """Width and height by the file's header: thousands of pictures need not be decoded to be named."""
        try:
            with Image.open(file_inside(self._out, name), formats=FORMATS) as image:
                return image.size
        except Exception:  # damaged headers raise nearly anything, see tflite.images
            self.missing.append(name)
            return None

    def _open(self, name: str) -> tuple[Image.Image, bytes] | None:
        """The picture, and its file as it is."""
        try:
            data = file_inside(self._out, name).read_bytes()
            return Image.fromarray(load_rgb(data)), data
        except (OSError, CrackError):
            self.missing.append(name)
            return None


def _detail(image: Image.Image, data: bytes) -> bytes:
    """The file itself where it is a JPEG of the right size, else a smaller copy."""
    if data.startswith(_JPEG) and max(image.size) <= DETAIL_SIDE:
        return data
    return _jpeg(image, (DETAIL_SIDE, DETAIL_SIDE), "detail")


def _jpeg(image: Image.Image, size: tuple[int, int], kind: str) -> bytes:
    smaller = image.copy()
    smaller.thumbnail(size, Image.Resampling.LANCZOS, reducing_gap=2.0)
    stream = io.BytesIO()
    smaller.save(stream, "JPEG", quality=_QUALITY[kind])
    return stream.getvalue()


def _data_uri(jpeg: bytes) -> str:
    return "data:image/jpeg;base64," + base64.b64encode(jpeg).decode("ascii") if jpeg else ""


def _link(name: str) -> str:
    """A relative link to a file of any name."""
    return "./" + quote(os.fsencode(name))
