"""HEIC is read where pillow-heif is installed, and refused with advice where it is not."""

from __future__ import annotations

import io
import sys

import numpy as np
import pytest
from PIL import Image

from tests.cases import case
from tests.tflite.drawn import rough, zeroed
from tflite.errors import ImageError
from tflite.images import decode_rgb


def heic(orientation: int = 1) -> bytes:
    pillow_heif = pytest.importorskip("pillow_heif", reason="pillow-heif is not installed (requirements-heic.txt)")
    out = io.BytesIO()
    exif = Image.Exif()
    exif[0x0112] = orientation
    pillow_heif.from_pillow(Image.fromarray(rough())).save(out, quality=90, exif=exif.tobytes())
    return out.getvalue()


def test_without_the_package_it_is_named_with_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    with pytest.raises(ImageError, match=r"is HEIC.*Install pillow-heif.*or export it as JPEG"):
        decode_rgb(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(100), "IMG_0007.HEIC")


def test_a_telephones_photograph_is_not_read_or_read_never_passed_over() -> None:
    with pytest.raises(ImageError, match="IMG_0007"):  # it has no picture in it
        decode_rgb((case("06-unlisted-suffixes") / "IMG_0007.HEIC").read_bytes(), "IMG_0007.HEIC")


def test_it_is_read_upright() -> None:
    assert np.abs(decode_rgb(heic()).astype(int) - rough()).mean() < 6
    assert decode_rgb(heic(orientation=6)).shape == (200, 160, 3)


@pytest.mark.parametrize("share", [0.2, 0.5, 0.9])
def test_damage_is_refused(share: float) -> None:
    data = heic()
    start = int(share * len(data))
    for damaged in (data[:start], zeroed(data, start, len(data)), zeroed(data, start // 512 * 512, 512)):
        with pytest.raises(ImageError, match="damaged"):
            decode_rgb(damaged)
