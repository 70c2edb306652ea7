"""Which kind of picture a file is, by its first bytes: what is read, and what is a photograph that is not. Standard library only.

A photograph that cannot be read is a gap with a name. So this knows more formats than are decoded.
"""

from __future__ import annotations

# Formats cameras and data sets use. Pillow knows many more; each further decoder is one more parser exposed to untrusted
# files. MPO (the stereo and burst files of some cameras) is JPEG, of which the first picture is the photograph.
FORMATS = ("JPEG", "PNG", "TIFF", "BMP", "WEBP")
JPEG_SUFFIXES = frozenset({".jpg", ".jpeg", ".jpe", ".jfif", ".mpo"})
SUFFIXES = JPEG_SUFFIXES | frozenset({".png", ".tif", ".tiff", ".bmp", ".webp"})
# By name, so that an empty or overwritten file is a photograph that cannot be read, and not another file.
PHOTOGRAPH_SUFFIXES = SUFFIXES | frozenset(
    {".heic", ".heif", ".hif", ".avif", ".jxl", ".jp2", ".j2k"}
    | {".dng", ".cr2", ".cr3", ".nef", ".nrw", ".arw", ".srf", ".sr2", ".rw2", ".orf", ".raf", ".pef", ".srw", ".raw"}
    | {".3fr", ".fff", ".iiq", ".x3f", ".mrw", ".gpr", ".rwl"}
)
# JPEG by content, and no photographs: what cameras put beside a video to show it in their menu.
NO_PHOTOGRAPHS = frozenset({".thm"})
HEAD = 512  # bytes that `recognise` wants to see
DRAWN = "crack_tf: drawn, no photograph"  # in the files of pictures that this project draws, see `tflite.drawn`
_MASKS = b"tEXtSoftware\0crack-tf photo foreground"  # the same of masks
ENDS = 4096  # bytes at a file's start and end that `is_drawn` wants to see

_RAW = "camera raw"
_STARTS = (
    (b"\xff\xd8\xff", "JPEG"),
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"II\x2a\0\x10\0\0\0CR", _RAW),  # Canon
    (b"II\x2a\0", "TIFF"),
    (b"MM\0\x2a", "TIFF"),
    (b"II\x2b\0", "TIFF"),  # of more than 4 GB
    (b"MM\0\x2b", "TIFF"),
    (b"GIF87a", "GIF"),
    (b"GIF89a", "GIF"),
    (b"\xff\x0a", "JPEG XL"),
    (b"\0\0\0\x0cJXL ", "JPEG XL"),
    (b"\0\0\0\x0cjP  ", "JPEG 2000"),
    (b"\xff\x4f\xff\x51", "JPEG 2000"),
    (b"IIU\0", _RAW),  # Panasonic
    (b"IIRO", _RAW),  # Olympus
    (b"IIRS", _RAW),
    (b"MMOR", _RAW),
    (b"FUJIFILMCCD-RAW", _RAW),
    (b"FOVb", _RAW),  # Sigma
    (b"\0MRM", _RAW),  # Minolta
    (b"8BPS", "Photoshop"),
)
_BRANDS = (
    (("avif", "avis"), "AVIF"),
    (("heic", "heix", "heim", "heis", "hevc", "hevx", "hevm", "hevs", "mif1", "msf1", "mif2"), "HEIC"),
    (("crx ",), _RAW),  # Canon
)


def recognise(head: bytes) -> str | None:
    """The kind of picture that a file holds.

    Args:
        head: its first bytes, `HEAD` of them or all.

    Returns:
        One of `FORMATS`, or the name of another format of photographs, or None.
    """
    for start, name in _STARTS:
        if head.startswith(start):
            return name
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "WEBP"
    if (
        head[:2] == b"BM"
        and len(head) >= 18
        and int.from_bytes(head[14:18], "little") in (12, 40, 52, 56, 64, 108, 124)
    ):
        return "BMP"
    if head[4:8] == b"ftyp":
        # The major brand, then a version, then brands that it is compatible with.
        brands = [
            head[8:12],
            *(head[at : at + 4] for at in range(16, min(len(head), int.from_bytes(head[:4], "big")), 4)),
        ]
        for brand in brands:
            for names, found in _BRANDS:
                if brand.decode("latin-1") in names:
                    return found
    return None


def is_drawn(ends: bytes) -> bool:
    """Whether a picture was drawn by this project.

    Args:
        ends: the first and last `ENDS` bytes of its file.
    """
    return DRAWN.encode() in ends or _MASKS in ends


def advice(kind: str) -> str:
    """What to do about a photograph of a kind that is not read."""
    if kind == "HEIC":
        return "Install pillow-heif (extra heic, requirements-heic.txt), or export it as JPEG or TIFF."
    return "Export it as JPEG or TIFF."
