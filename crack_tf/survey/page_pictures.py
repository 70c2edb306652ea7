"""The report's pictures: small ones for the gallery, larger ones for a look at a finding, as data URIs or linked files.

Embedded pictures make the report one file that can be mailed. All of a long flight's would make it too large to open, so the
pictures of the most severe findings are embedded until a budget is used up, and the others are linked: they show as long as
the report lies in the survey's folder. Gallery pictures are always embedded.
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
from tflite.images import load_rgb

THUMBNAIL = (320, 320)  # pixels: sharp on a card of that size
DETAIL_SIDE = 1000  # pixels, longer side
EMBED_BYTES = (
    12_000_000  # of detail pictures, as JPEG: with 500 findings the report is then about as large as mail allows
)
_QUALITY = {"thumbnail": 72, "detail": 84}
_JPEG = b"\xff\xd8\xff"


@dataclass(frozen=True)
class Pictures:
    """A finding's pictures as the page takes them: each a data URI, a relative link, or "" when the file is missing.

    Attributes:
        thumbnail: with the outline.
        before, after: the place as it is, and with the outline.
        width, height: of `before` in pixels; 0 when it is missing.
        links: of the files `before` and `after` were made from.
        embedded: whether `before` and `after` are data URIs.
    """

    thumbnail: str
    before: str
    after: str
    width: int
    height: int
    links: tuple[str, str]
    embedded: bool


class PictureShelf:
    """Makes pictures for findings, in order of severity.

    Args:
        out: the survey's folder.
        embed_bytes: budget for detail pictures.

    Attributes:
        missing: files that could not be read, relative to the folder.
    """

    def __init__(self, out: Path, embed_bytes: int = EMBED_BYTES) -> None:
        self.missing: list[str] = []
        self._out = out
        self._left = embed_bytes

    def pictures(self, picture: str, overlay: str) -> Pictures:
        """The pictures of one finding.

        Args:
            picture, overlay: files relative to the survey's folder.
        """
        before, after = (self._open(name) for name in (picture, overlay))
        shown = after or before
        links = tuple("" if image is None else _link(name) for image, name in ((before, picture), (after, overlay)))
        uris = links
        if self._left > 0:
            data = [b"" if found is None else _detail(*found) for found in (before, after)]
            self._left -= sum(map(len, data))
            if self._left >= 0:
                uris = tuple(map(_data_uri, data))
        thumbnail = "" if shown is None else _data_uri(_jpeg(shown[0], THUMBNAIL, "thumbnail"))
        width, height = (0, 0) if shown is None else shown[0].size
        return Pictures(thumbnail, uris[0], uris[1], width, height, (links[0], links[1]), uris != links)

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
