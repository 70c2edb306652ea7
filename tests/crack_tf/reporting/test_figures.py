"""Pictures of an executed notebook as small files with names that stay."""

from __future__ import annotations

import base64
import io
from pathlib import Path
from typing import Any

import nbformat
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from crack_tf.reporting.figures import MOST_BYTES, WIDEST, pictures, shrink, slug, write_figures
from crack_tf.reporting.report import to_html
from tflite.errors import CrackError


def picture(width: int, height: int, kind: str = "PNG", noise: bool = False) -> bytes:
    pixels = np.full((height, width, 3), 200, np.uint8)
    if noise:
        pixels = np.random.default_rng(0).integers(0, 256, pixels.shape, np.uint8)
    content = io.BytesIO()
    Image.fromarray(pixels).save(content, kind)
    return content.getvalue()


def shown(alt: str | None, data: bytes, kind: str = "image/png") -> Any:
    metadata = {} if alt is None else {kind: {"alt": alt, "width": 300}}
    return nbformat.v4.new_output("display_data", {kind: base64.b64encode(data).decode()}, metadata=metadata)


@pytest.fixture
def document() -> Any:
    cell = nbformat.v4.new_code_cell("...")
    cell.outputs = [
        shown("Scores of OPNet (int8)", picture(40, 30)),
        shown(None, picture(40, 30)),
        shown("Finding 1", picture(60, 20, "JPEG"), "image/jpeg"),
    ]
    return nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell("# T"), cell])


def test_pictures_with_a_description_are_written_under_its_name(document: Any, tmp_path: Path) -> None:
    written = write_figures(document, tmp_path / "figures", "02", (), overwrite=False)
    assert [path.name for path in written] == ["02-scores-of-opnet-int8.png", "02-finding-1.png"]
    with Image.open(written[1]) as opened:
        assert (opened.format, opened.size) == ("PNG", (60, 20))


def test_words_choose_among_the_pictures_and_an_unknown_one_is_refused(document: Any, tmp_path: Path) -> None:
    assert [path.name for path in write_figures(document, tmp_path, "02", ("Finding",), False)] == ["02-finding-1.png"]
    with pytest.raises(CrackError, match=r"--pick 'heat': .* there are Scores of OPNet \(int8\), Finding 1"):
        write_figures(document, tmp_path, "02", ("heat",), True)


def test_a_figure_is_not_overwritten_unasked(document: Any, tmp_path: Path) -> None:
    write_figures(document, tmp_path, "02", ("Finding",), False)
    with pytest.raises(CrackError, match="exists already"):
        write_figures(document, tmp_path, "02", (), False)
    assert len(list(tmp_path.iterdir())) == 1
    assert len(write_figures(document, tmp_path, "02", (), True)) == 2


@pytest.mark.parametrize(("width", "height", "noise"), [(3000, 200, False), (600, 600, True), (1, 1, False)])
def test_a_figure_is_no_larger_than_a_document_needs(width: int, height: int, noise: bool) -> None:
    content = shrink(picture(width, height, noise=noise))
    assert len(content) <= MOST_BYTES
    with Image.open(io.BytesIO(content)) as opened:
        assert opened.width <= min(width, WIDEST)
        assert opened.width / opened.height == pytest.approx(width / height, rel=0.02)


@given(st.text(max_size=60))
def test_a_slug_is_a_plain_file_name(text: str) -> None:
    name = slug(text)
    assert set(name) <= set("abcdefghijklmnopqrstuvwxyz0123456789-_.")
    assert not name.startswith((".", "-"))


def test_the_page_hands_descriptions_and_widths_on(document: Any) -> None:
    page = to_html(document, "t")
    assert 'alt="Scores of OPNet (int8)"' in page
    assert 'alt="Finding 1"' in page
    assert page.count('width="300"') == 2
    assert [alt for alt, _ in pictures(document)] == ["Scores of OPNet (int8)", "Finding 1"]
