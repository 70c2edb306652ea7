"""A folder of hard negatives that `crack-tf data mine` wrote: what tells it, and how its tiles are called."""

from __future__ import annotations

from tflite.device.tiles import Box
from tflite.files import sha256_bytes

SETTINGS = "mined.json"  # written first
TILE = r"(.+_[0-9a-f]{8})_\d+_\d+_\d+"  # a tile's name without its suffix; the group tells its photograph


def tile_name(photo: str, box: Box) -> str:
    """The name of a tile: its photograph with a hash of its path, then its place.

    Args:
        photo: relative to the folder of photographs, with "/".
        box: square, in the photograph.
    """
    stem = photo.replace("/", "-").rpartition(".")[0].encode()[-150:].decode(errors="ignore")
    # Names that are alike without their folders, suffixes or beginnings are told apart by a hash.
    return f"{stem}_{sha256_bytes(photo.encode())[:8]}_{box.x}_{box.y}_{box.w}.png"
