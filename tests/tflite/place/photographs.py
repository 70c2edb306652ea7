"""Small JPEGs with the EXIF and XMP data that a test wants."""

from __future__ import annotations

import io
from typing import Any

from PIL import Image

DJI = 'xmlns:drone-dji="http://www.dji.com/drone-dji/1.0/"'


def photograph(
    gps: dict[int, Any] | None = None,
    taken: dict[int, Any] | None = None,
    date: str | None = None,
    format: str = "JPEG",
    xmp: str | bytes | None = None,
) -> bytes:
    """A small picture's bytes.

    Args:
        gps, taken: tags of the GPS and of the EXIF directory.
        date: of the picture's own directory.
        format: Pillow's name.
        xmp: a packet, JPEG only.
    """
    image = Image.new("RGB", (32, 32), (90, 90, 90))
    exif = Image.Exif()
    if date is not None:
        exif[0x0132] = date
    exif.get_ifd(0x8769).update(taken or {})
    exif.get_ifd(0x8825).update(gps or {})
    out = io.BytesIO()
    more: dict[str, Any] = {} if xmp is None else {"xmp": xmp.encode() if isinstance(xmp, str) else xmp}
    image.save(out, format, exif=exif, **more)
    return out.getvalue()


def position(**changes: Any) -> dict[int, Any]:
    """GPS tags of a place in Chile on 2025-06-01 at noon; `_2=...` changes tag 2."""
    tags: dict[int, Any] = {
        1: "S",
        2: (33.0, 51.0, 36.0),
        3: "W",
        4: (70.0, 7.0, 30.0),
        5: b"\0",
        6: 520.5,
        7: (12.0, 0.0, 0.0),
        29: "2025:06:01",
    }
    return tags | {int(name[1:]): value for name, value in changes.items()}


def packet(attributes: str = "", elements: str = "", names: str = DJI) -> str:
    """An XMP packet of one description."""
    return (
        '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/">'
        '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        f'<rdf:Description rdf:about="" {names} {attributes}>{elements}</rdf:Description></rdf:RDF></x:xmpmeta>'
        '<?xpacket end="w"?>'
    )
