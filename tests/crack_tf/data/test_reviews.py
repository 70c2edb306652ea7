from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from crack_tf.data.__main__ import main
from crack_tf.data.reviews import REVIEWS, VERDICTS, agreement, apply_review, draw_sheets, find_review, read_review
from tflite.errors import CrackError
from tflite.manifest import Manifest, read_manifest


@pytest.mark.slow
def test_sheets_show_every_tile_once_in_an_order_that_does_not_tell_the_label(
    tiny_manifest: Manifest, tmp_path: Path
) -> None:
    assert draw_sheets(tiny_manifest, "all", tmp_path, seed=1) == 3  # 48 tiles, 20 to a sheet
    with Image.open(tmp_path / "sheet-02.png") as sheet:
        assert sheet.size == (1520, 1216)
    rows = list(csv.DictReader((tmp_path / "review.csv").open()))
    assert sorted(row["sha256"] for row in rows) == sorted(item.sha256 for item in tiny_manifest.items)
    assert {row["verdict"] for row in rows} == {""}
    labels = [next(item.label for item in tiny_manifest.items if item.path == row["path"]) for row in rows]
    assert labels not in (sorted(labels), sorted(labels, reverse=True))


def test_a_review_changes_labels_drops_doubts_and_leaves_the_rest(tiny_manifest: Manifest) -> None:
    first, second, third, *others = tiny_manifest.items
    review = {first.sha256: "crack", second.sha256: "no_crack", third.sha256: "doubtful"}
    found = apply_review(tiny_manifest, review)
    assert [item.label for item in found.items[:2]] == [1, 0]
    assert found.items[2:] == tuple(others)
    assert found.policy == "plain-reviewed"
    counts = agreement(tiny_manifest, review)
    assert [sum(int(row[verdict]) for row in counts) for verdict in VERDICTS] == [1, 1, 1]


def test_a_review_of_other_tiles_is_refused(tiny_manifest: Manifest) -> None:
    with pytest.raises(CrackError, match="no tile of tiny-plain is in the review"):
        apply_review(tiny_manifest, {"00": "crack"})


def test_masks_cannot_be_reviewed(tiny_manifest: Manifest, tmp_path: Path) -> None:
    items = tuple(replace(item, mask="m.png", mask_sha256="00") for item in tiny_manifest.items)
    with pytest.raises(CrackError, match="holds masks"):
        draw_sheets(replace(tiny_manifest, items=items), "test", tmp_path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,b\n1,2\n", "is not a review"),
        ("", "is not a review"),
        ("number,path,sha256,verdict\n0,a,00,crack\n1,b,01,\n", "line 3: verdict '' must be one of"),
        (
            "path,sha256,verdict\na,00,crack\nb,00,no_crack\n",
            "line 3: verdict 'no_crack' of a tile that .* calls 'crack'",
        ),
    ],
)
def test_a_table_that_is_no_filled_review_is_refused(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "review.csv").write_text(text)
    with pytest.raises(CrackError, match=message):
        read_review(tmp_path / "review.csv")


def test_an_unknown_review_lists_those_that_come_along() -> None:
    with pytest.raises(CrackError, match="sdnet2018_walls"):
        find_review("sdnet2018_floors")


@pytest.mark.parametrize("path", sorted(REVIEWS.glob("*.csv")), ids=lambda path: path.stem)
def test_the_reviews_that_come_along_are_whole(path: Path) -> None:
    rows = list(csv.DictReader(path.open()))
    assert len(read_review(path)) == len(rows) > 500
    assert [int(row["number"]) for row in rows] == list(range(len(rows)))


def test_the_command_line_goes_from_sheets_to_a_manifest(
    tiny_manifest: Manifest, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data, sheets, out = str(tiny_manifest.source), tmp_path / "sheets", tmp_path / "reviewed.csv"
    assert main(["review", data, "--split", "test", "--out", str(sheets)]) == 0
    rows = list(csv.DictReader((sheets / "review.csv").open()))
    with (sheets / "review.csv").open("w", newline="") as stream:
        writer = csv.DictWriter(stream, rows[0])
        writer.writeheader()
        writer.writerows({**row, "verdict": "crack" if number else "doubtful"} for number, row in enumerate(rows))
    relabel = ["relabel", data, "--review", str(sheets / "review.csv"), "--out", str(out)]
    assert main(relabel) == 0
    test = [item for item in read_manifest(out).items if item.split == "test"]
    assert len(test) == len(rows) - 1
    assert {item.label for item in test} == {1}
    assert main(relabel) == 2
    assert "exists already" in capsys.readouterr().err
