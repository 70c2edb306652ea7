"""Photographs are searched in four ways, by one rule: what could not be read is named, and transparent parts are no concrete."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from PIL import Image

import crack_tf
from crack_tf import predict
from crack_tf.photo.__main__ import main as photo
from crack_tf.survey.__main__ import main as survey
from crack_tf.survey.findings import read_survey
from tests.cases import case
from tests.crack_tf.survey.small_flight import Models, exif, wall, write_models
from tests.tflite.drawn import encode, zeroed
from tflite.device.journal import read_journal
from tflite.device.run import main as device
from tflite.images import load_rgb


class Found(NamedTuple):
    """What a verb says about a folder: exit code, photographs that it read, and those that it names as not read."""

    code: int
    read: set[str]
    named: dict[str, str]


def read_records(out: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (out / "predictions.jsonl").read_text(encoding="utf-8").splitlines()[1:]]


Search = Callable[[Path, Path, Models], Found]


def by_predict(folder: Path, out: Path, models: Models) -> Found:
    code = predict.main([str(folder), "--model", str(models.classifier), "--out", str(out)])
    records = read_records(out)
    names = {record["photo"]: Path(record["photo"]).relative_to(folder).as_posix() for record in records}
    return Found(
        code,
        {names[record["photo"]] for record in records if record["status"] == "classified"},
        {names[record["photo"]]: record["reason"] for record in records if record["status"] == "unreadable"},
    )


def by_survey(folder: Path, out: Path, models: Models) -> Found:
    code = survey([str(folder), "--out", str(out), *models.options])
    found = read_survey(out)
    named = {gap.photo: gap.detail for gap in found.gaps if gap.reason == "unreadable"}
    return Found(code, {each.name for each in found.photos}, named)


def by_segment(folder: Path, out: Path, models: Models) -> Found:
    code = photo(["segment", str(folder), "--model", str(models.segmenter), "--out", str(out), "--jobs", "1"])
    with (out / "photos.csv").open(newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    names = {row["photo"]: Path(row["photo"]).relative_to(folder).as_posix() for row in rows}
    return Found(
        code,
        {names[row["photo"]] for row in rows if row["status"] == "segmented"},
        {names[row["photo"]]: row["reason"] for row in rows if row["status"] == "unreadable"},
    )


def by_device(folder: Path, out: Path, models: Models) -> Found:
    code = device(["--source", str(folder), "--model", str(models.classifier), "--out", str(out), "--threads", "1"])
    journal = read_journal(out)
    return Found(code, set(journal.frames), {name: gap["reason"] for name, gap in journal.gaps.items()})


SEARCHES = pytest.mark.parametrize("search", [by_predict, by_survey, by_segment, by_device])


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Models:
    return write_models(tmp_path_factory.mktemp("models"))


@SEARCHES
def test_everything_that_cannot_be_read_is_named(search: Search, models: Models, tmp_path: Path) -> None:
    folder, elsewhere = tmp_path / "DCIM", tmp_path / "elsewhere"
    (folder / "sub").mkdir(parents=True)
    elsewhere.mkdir()
    whole = encode(wall(1, [[(20, 30), (200, 60)]]), "JPEG", quality=92, exif=exif(1))
    pages = [wall(2), wall(3)]
    good = {"a.jpg": whole, "b.JFIF": whole, "c.MPO": whole, "sub/d": whole}
    bad = {
        "zeroed.jpg": (zeroed(whole, len(whole) // 2, len(whole)), "damaged"),
        "sector.jpg": (zeroed(whole, len(whole) // 1024 * 512, 512), "damaged"),
        "phone.HEIC": (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(900), "HEIC"),
        "sub/coded.avif": (b"\0\0\0\x1cftypavif\0\0\0\0avifmif1miaf", "AVIF.*Export"),
        "raw.dng": (b"II\x2a\0\x08\0\0\0\0\0\0\0\0\0", "damaged"),
        "scan.tif": (encode(pages[0], "TIFF", save_all=True, append_images=pages[1:]), "holds 2 pictures"),
        "moving": (encode(pages[0], "WEBP", save_all=True, append_images=pages[1:]), "animation"),
        "strip.png": (encode(Image.new("L", (20, 2_000_000), 200), "PNG"), "no side may be longer"),
    }
    for name, data in good.items():
        (folder / name).write_bytes(data)
    for name, (data, _) in bad.items():
        (folder / name).write_bytes(data)
    (folder / "notes.txt").write_text("no photograph")
    (folder / "gone.jpg").symlink_to(tmp_path / "nothing.jpg")
    (elsewhere / "x.jpg").write_bytes(whole)
    (folder / "linked").symlink_to(elsewhere)
    found = search(folder, tmp_path / "out", models)
    assert found.read == set(good)
    wanted = {name: reason for name, (_, reason) in bad.items()} | {
        "gone.jpg": "not there",
        "linked": "link to a folder",
    }
    assert set(found.named) == set(wanted)
    for name, reason in wanted.items():
        assert re.search(reason, found.named[name]), found.named[name]
    assert found.code == 1


@SEARCHES
def test_a_folder_of_which_nothing_can_be_read_is_no_error_but_gaps(
    search: Search, models: Models, tmp_path: Path
) -> None:
    folder = tmp_path / "DCIM"
    folder.mkdir()
    (folder / "gone.jpg").symlink_to(tmp_path / "nothing.jpg")
    found = search(folder, tmp_path / "out", models)
    assert (found.read, set(found.named)) == (set(), {"gone.jpg"})


def half(path: Path) -> np.ndarray:
    """A light wall of which the right part is transparent, black below."""
    rgba = np.dstack([np.asarray(wall(4)), np.full((160, 224), 255, np.uint8)])
    rgba[:, 100:] = 0
    path.parent.mkdir(exist_ok=True)
    Image.fromarray(rgba).save(path)
    return rgba


def test_transparent_tiles_are_not_searched_and_their_edge_is_no_crack(
    models: Models, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """To these models everything dark is a crack."""
    half(tmp_path / "DCIM" / "ortho.png")
    predict.main([str(tmp_path / "DCIM"), "--model", str(models.classifier), "--out", str(tmp_path / "predicted")])
    (record,) = read_records(tmp_path / "predicted")
    assert (record["decision"], record["positive_tiles"]) == ("no_crack", 0)
    assert record["left_out_tiles"] > len(record["tiles"]) > 10
    assert all(tile["x"] < 100 for tile in record["tiles"])
    assert record["transparent"] == round(126 / 224, 4)  # two pixels beside it may be mixed
    assert f"(56% transparent: {record['left_out_tiles']} tiles left out)" in capsys.readouterr().out

    survey([str(tmp_path / "DCIM"), "--out", str(tmp_path / "found"), *models.options])
    found = read_survey(tmp_path / "found")
    assert found.findings == ()
    assert found.photos[0].tiles == len(record["tiles"])
    assert found.photos[0].transparent == record["transparent"]
    assert "1 photograph is transparent in part, ortho.png by 56 %: nothing is known" in capsys.readouterr().out
    with (tmp_path / "found/photos.csv").open(newline="") as stream:
        assert float(next(csv.DictReader(stream))["unseen"]) >= 0.562

    by_device(tmp_path / "DCIM", tmp_path / "flight", models)
    journal = read_journal(tmp_path / "flight")
    assert list(journal.positives) == []
    assert 10 < journal.frames["ortho.png"]["tiles"] < 35

    by_segment(tmp_path / "DCIM", tmp_path / "drawn", models)
    with Image.open(next((tmp_path / "drawn").rglob("mask.png"))) as mask:
        assert mask.getextrema() == (0, 0)
    assert "note: 56% of the photograph is transparent" in capsys.readouterr().out


@SEARCHES
def test_a_picture_that_is_transparent_everywhere_is_named(search: Search, models: Models, tmp_path: Path) -> None:
    (tmp_path / "DCIM").mkdir()
    Image.new("RGBA", (224, 160), (0, 0, 0, 0)).save(tmp_path / "DCIM" / "ortho.png")
    found = search(tmp_path / "DCIM", tmp_path / "out", models)
    assert found.read == set()
    assert "transparent everywhere" in found.named["ortho.png"]


def test_the_edge_of_an_orthomosaic_is_no_crack_to_a_shipped_model(capsys: pytest.CaptureFixture[str]) -> None:
    folder = case("07-transparent-nodata")
    tiles = [str(folder / "ortho_tile.png"), str(folder / "same-without-hole.png")]
    assert predict.main([*tiles, "--model", "mobilenet_v2_mixed"]) == 0
    first, second = capsys.readouterr().out.splitlines()[:2]
    assert first.startswith("1 of 2  no crack")
    assert "0/11 tiles" in first
    assert re.search(r"% transparent: 1 tile left out\)", first)
    assert "% transparent" not in second
    assert "0/12 tiles" in second


def test_a_folder_of_odd_suffixes_is_read_but_for_its_heic(capsys: pytest.CaptureFixture[str]) -> None:
    assert predict.main([str(case("06-unlisted-suffixes"))]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert sorted(Path(line.split()[-1]).name for line in lines if " tiles  " in line) == [
        "a.jpg",
        "b.JFIF",
        "d.MPO",
        "e.jfif",
    ]
    assert any("  NOT READ" in line and "IMG_0007.HEIC" in line for line in lines)
    assert "1 other file passed over" in "".join(lines)


def test_cracks_behind_a_preview_are_found_and_pages_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    folder = case("02-dng-thumbnail-first")
    photographs = [str(folder / "DJI_0001.DNG"), str(folder / "two_pages.tif")]
    assert predict.main([*photographs, "--model", "mobilenet_v2_mixed"]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("1 of 2  crack")
    assert "/108 tiles" in lines[0]
    assert lines[1].startswith("2 of 2  NOT READ")


def test_people_see_transparent_parts_as_flat_grey_and_not_what_was_made_up(models: Models, tmp_path: Path) -> None:
    rgba = half(tmp_path / "DCIM" / "ortho.png")
    rgba[40:48, 5:90, :3] = 0  # to these models everything dark is a crack
    Image.fromarray(rgba).save(tmp_path / "DCIM" / "ortho.png")
    folder = str(tmp_path / "DCIM")
    predict.main([folder, "--model", str(models.classifier), "--out", str(tmp_path / "predicted"), "--overlay"])
    by_segment(tmp_path / "DCIM", tmp_path / "drawn", models)
    survey([folder, "--out", str(tmp_path / "found"), *models.options])
    classified = crack_tf.load(models.classifier).predict(tmp_path / "DCIM/ortho.png")
    drawn = crack_tf.load(models.segmenter).predict(tmp_path / "DCIM/ortho.png")
    shown = {str(path): load_rgb(path) for path in (tmp_path / "predicted/overlays").rglob("*.png")}
    shown |= {str(path): load_rgb(path) for path in (tmp_path / "drawn").rglob("overlay.png")}
    shown |= {str(path): load_rgb(path) for path in (tmp_path / "found/pictures").glob("*.jpg")}
    shown |= {str(path): load_rgb(path) for path in (tmp_path / "found/overlays").glob("*.jpg")}
    shown |= {"classified": np.asarray(classified.overlay()), "drawn": np.asarray(drawn.overlay())}
    assert len(shown) >= 6
    for name, pixels in shown.items():
        # Well right of the edge, above any legend, below a label; the photograph is 224 wide and the gap begins at 100.
        there = pixels[: pixels.shape[0] // 2, int(0.75 * pixels.shape[1]) : -8].astype(int)
        assert (abs(there - np.median(there)) <= 2).mean() > 0.8, name
    assert classified.image[:, 120:].std() > 3, "the model sees concrete"
