"""Pictures that this project draws say so, so that no verb takes them for photographs of concrete.

An overlay lies where its owner wants it, often beside the photograph. So `marked` puts a few words into the file, whatever its name, and
`tflite.photographs.list_photographs` lists such files apart. PNG, JPEG, TIFF and WebP can hold the words.
"""

from __future__ import annotations

import os
from typing import IO, Any

from PIL import Image

from tflite.formats import DRAWN

_SOFTWARE = 0x0131  # tag of EXIF 2.32
METADATA = {"Software": DRAWN}  # the same for plots: `savefig(..., metadata=METADATA)`


class Drawn(Image.Image):
    """A picture whose files say that it was drawn. Pictures made from it, as by `resize`, are ordinary ones."""

    def save(
        self,
        fp: str | bytes | os.PathLike[str] | os.PathLike[bytes] | IO[bytes],
        format: str | None = None,
        **params: Any,
    ) -> None:
        """As `PIL.Image.Image.save`, with the mark."""
        exif = Image.Exif()
        exif[_SOFTWARE] = DRAWN
        super().save(fp, format, **{"exif": exif, **params})


def marked(image: Image.Image) -> Image.Image:
    """The same picture, whose files say that it was drawn.

    Args:
        image: of any mode; it is changed itself.

    Example:
        >>> picture = marked(Image.new("RGB", (4, 4)))
        >>> picture.size
        (4, 4)
    """
    image.load()
    image.__class__ = Drawn
    return image
