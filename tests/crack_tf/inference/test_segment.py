"""`crack-tf photo segment`: every photograph gets its files, none is lost, and a stopped run goes on where it was."""

from __future__ import annotations

import csv
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from crack_tf import predict
from crack_tf.inference import segment as verb
from crack_tf.photo.__main__ import main
from crack_tf.photo.crack import Crack
from crack_tf.photo.cracks import measure_cracks
from crack_tf.photo.foreground import Foreground
from crack_tf.photo.grabcut import GrabCut
from tests.dark_map_model import dark_photo, write_map_model
from tests.dark_model import write_dark_model
from tflite.files import read_json, write_json

HEIGHT, WIDTH = 120, 200


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "dark.tflite"
    write_map_model(path)
    return path


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "pier.png"
    Image.fromarray(dark_photo(HEIGHT, WIDTH)).save(path)
    return path


def call(*arguments: object) -> int:
    return main(["segment", *map(str, arguments)])


def rows(out: Path) -> list[dict[str, str]]:
    with (out / "photos.csv").open() as stream:
        return list(csv.DictReader(stream))


def test_a_photograph_gets_maps_and_measured_cracks(
    model: Path, photo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("crack_tf.inference.maps.MAX_WINDOW", 40 * HEIGHT)  # else there would be no seams
    out = tmp_path / "out"
    assert call(photo, "--model", model, "--out", out, "--mm-per-pixel", 0.5) == 0
    folder = out / "pier.png"
    assert {path.name for path in folder.iterdir()} == {
        *("probability.png", "mask.png", "overlay.png", "cracks.csv", "cracks.json", "widths.csv"),
    }
    mask = np.asarray(Image.open(folder / "mask.png"))
    probability = np.asarray(Image.open(folder / "probability.png"))
    assert mask.shape == probability.shape == (HEIGHT, WIDTH)
    assert set(np.unique(mask)) == {0, 255}
    assert (probability[mask > 0] >= 127).all()
    assert mask[HEIGHT // 2, WIDTH // 2] == 255
    record = read_json(folder / "cracks.json")
    assert record["status"] == "segmented"
    assert record["seams"]["ratio"] == pytest.approx(1.0, abs=0.3)
    assert record["licence"] == "CC0-1.0"
    (crack,) = record["cracks"]
    assert crack["length_px"] == pytest.approx(WIDTH * np.hypot(1, 1 / 3), rel=0.05)
    assert crack["length_mm"] == pytest.approx(crack["length_px"] / 2, abs=0.02)
    (row,) = rows(out)
    assert (row["photo"], row["status"], row["cracks"], row["folder"]) == (str(photo), "segmented", "1", "pier.png")
    assert float(row["longest_mm"]) == crack["length_mm"]
    assert "1 crack, longest" in capsys.readouterr().out


def test_a_model_for_research_only_is_told_and_recorded_and_older_runs_go_on(
    photo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model, out = tmp_path / "dark.tflite", tmp_path / "out"
    write_map_model(model, licence="a: CC0-1.0; b: Research only (no licence given). Encoder (Apache-2.0).")
    told = "\nnote: dark_map-int8-ptq is research only: licences of its training data allow no other use\n"
    assert call(photo, "--model", model, "--out", out) == 0
    assert told in capsys.readouterr().out
    settings = read_json(out / verb.SETTINGS)
    assert settings.pop("use") == "research only"
    write_json(out / verb.SETTINGS, settings)  # as of a version that did not state it
    assert call(photo, "--model", model, "--out", out, "--resume") == 0
    assert told in capsys.readouterr().out
    write_map_model(model)
    assert call(photo, "--model", model, "--out", out, "--overwrite") == 0
    assert "research only" not in capsys.readouterr().out
    assert "use" not in read_json(out / verb.SETTINGS)


def test_a_crack_that_is_drawn_in_pieces_is_one_crack_with_its_gap(model: Path, tmp_path: Path) -> None:
    pixels = np.full((HEIGHT, WIDTH, 3), 220, np.uint8)
    pixels[58:63, 20:90] = pixels[58:63, 110:180] = 10
    Image.fromarray(pixels).save(tmp_path / "pier.png")
    assert call(tmp_path / "pier.png", "--model", model, "--out", tmp_path / "out") == 0
    with (tmp_path / "out" / "pier.png" / "cracks.csv").open() as stream:
        (row,) = csv.DictReader(stream)
    assert row["parts"] == "2"
    assert float(row["length_px"]) == pytest.approx(160, abs=4)


def test_a_stain_and_a_speck_are_no_cracks_and_are_told(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pixels = np.full((HEIGHT, WIDTH, 3), 220, np.uint8)
    pixels[20:25, 20:180] = pixels[60:90, 30:80] = pixels[100:105, 140:160] = 10
    Image.fromarray(pixels).save(tmp_path / "pier.png")
    call_with = (tmp_path / "pier.png", "--model", model, "--mm-per-pixel", 0.1, "--limit-mm", 0.1)
    assert call(*call_with, "--out", tmp_path / "out") == 0
    with (tmp_path / "out" / "pier.png" / "cracks.csv").open() as stream:
        crack, blot = csv.DictReader(stream)
    assert (crack["number"], crack["note"], crack["limit_0.1_mm"]) == ("1", "", "exceeds")
    place = {"number": "2", "mm_per_pixel": "0.1", "x": "30", "y": "60", "w": "50", "h": "30", "parts": "1"}
    assert {name: value for name, value in blot.items() if value and name != "note"} == place, (
        "no sizes, as in a survey"
    )
    with (tmp_path / "out" / "pier.png" / "widths.csv").open() as stream:
        assert {row["crack"] for row in csv.DictReader(stream)} == {"1"}
    (unclear,) = read_json(tmp_path / "out" / "pier.png" / "cracks.json")["unclear"]
    assert (unclear["length_px"], unclear["centreline"], len(unclear["outline"])) == (None, [], 1)
    assert blot["note"].startswith("unclear: what is drawn here is too wide for its length")
    (row,) = rows(tmp_path / "out")
    assert (row["cracks"], row["unclear"], row["short"], row["widest_px"]) == ("1", "1", "1", crack["max_width_px"])
    said = capsys.readouterr().out
    assert "1 unclear (too wide for a crack), 1 short mark left out" in said
    assert "1 with cracks, 0 NOT READ; 1 with unclear marks: look at them; 1 mark shorter than 40 px left out" in said
    assert "\nlimit 0.1 mm: of 1 crack 1 exceeds it, 0 are below, 0 cannot be told; 1 unclear not counted\n" in said
    assert "\nnote: 1 of 1 photograph is too coarse for cracks of 0.1 mm: at 0.1 mm per pixel" in said
    assert "about" not in said, "what is unclear has no width to doubt"
    assert np.asarray(Image.open(tmp_path / "out" / "pier.png" / "mask.png"))[102, 150], "the mask has them all"
    assert call(*call_with, "--out", tmp_path / "all", "--min-length", 0) == 0
    assert rows(tmp_path / "all")[0]["cracks"] == "2"


def test_measuring_the_mask_that_was_drawn_gives_the_same_cracks(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pixels = np.full((HEIGHT, WIDTH, 3), 220, np.uint8)
    pixels[20:25, 20:90] = pixels[20:25, 110:180] = pixels[60:90, 30:80] = pixels[100:105, 140:160] = 10
    stored = Image.Exif()
    stored[0x0112] = 3  # the camera was held upside down; the mask is drawn upright
    Image.fromarray(pixels).save(tmp_path / "pier.png", exif=stored)
    drawn, measured = tmp_path / "out" / "pier.png", tmp_path / "measured"
    options = ("--mm-per-pixel", 0.1, "--limit-mm", 0.3)
    assert call(tmp_path / "pier.png", "--model", model, "--out", tmp_path / "out", *options) == 0
    command = ("measure", drawn / "mask.png", "--photo", tmp_path / "pier.png", "--out", measured, *options)
    assert main([*map(str, command)]) == 0
    assert (
        "mask.png was drawn by photo segment: what the model drew in pieces is put together" in capsys.readouterr().err
    )
    for name in ("cracks.csv", "widths.csv"):
        assert (measured / name).read_text() == (drawn / name).read_text(), name
    record = read_json(measured / "cracks.json")
    assert [record["cracks"][0]["parts"], len(record["unclear"]), record["short"]] == [2, 1, 1]
    # Saved anew by a program that drops the mark, it is a person's: nothing is joined, nothing is too short.
    Image.open(drawn / "mask.png").point(lambda value: value).convert("1").save(tmp_path / "mine.png")
    measure = ("measure", tmp_path / "mine.png", "--photo", tmp_path / "pier.png", "--out", measured, "--overwrite")
    assert main([*map(str, measure)]) == 0
    record = read_json(measured / "cracks.json")
    assert [len(record["cracks"]), record["short"]] == [3, 0]


def test_limits_are_counted_over_all_photographs_also_those_done_before(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "DCIM").mkdir()
    for name in "ab":
        Image.fromarray(dark_photo(HEIGHT, WIDTH)).save(tmp_path / "DCIM" / f"{name}.png")
    command = (tmp_path / "DCIM", "--model", model, "--out", tmp_path / "out", "--limit-mm", "0.1,90")
    assert call(*command, "--mm-per-pixel", 0.5) == 0
    told = [line for line in capsys.readouterr().out.splitlines() if line.startswith("limit ")]
    assert told == [
        "limit 0.1 mm: of 2 cracks 2 exceed it, 0 are below, 0 cannot be told",
        "limit 90 mm: of 2 cracks 0 exceed it, 2 are below, 0 cannot be told",
    ]
    assert call(*command, "--mm-per-pixel", 0.5, "--resume") == 0
    assert [line for line in capsys.readouterr().out.splitlines() if line.startswith("limit ")] == told


@pytest.mark.parametrize("damage", [None, "perhaps", False])
@pytest.mark.parametrize("name", ["width_trusted", "limit_0.1_mm"])
def test_a_photograph_whose_record_lacks_a_column_is_done_again(
    model: Path, tmp_path: Path, name: str, damage: str | None
) -> None:
    pixels = np.full((HEIGHT, WIDTH, 3), 220, np.uint8)
    pixels[20:25, 20:180] = pixels[60:90, 30:80] = 10
    Image.fromarray(pixels).save(tmp_path / "pier.png")
    command = (tmp_path / "pier.png", "--model", model, "--out", tmp_path / "out", "--limit-mm", 0.1)
    assert call(*command) == 0
    path = tmp_path / "out" / "pier.png" / "cracks.json"
    whole = read_json(path)
    lacking = read_json(path)
    del lacking["unclear"][0][name]
    if damage is not None:
        lacking["unclear"][0][name] = damage
    write_json(path, lacking)
    assert call(*command, "--resume") == 0
    assert read_json(path)["unclear"] == whole["unclear"]


def test_a_width_that_is_not_to_be_trusted_is_marked(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pixels = np.full((HEIGHT, WIDTH, 3), 140, np.uint8)
    pixels[50:52, 20:180] = 0
    Image.fromarray(pixels).save(tmp_path / "fine.png")
    assert call(tmp_path / "fine.png", "--model", model, "--out", tmp_path / "out", "--threshold", 0.4) == 0
    assert ", widest about " in capsys.readouterr().out


def test_the_width_of_a_photograph_is_a_trusted_one_where_there_is_one(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pixels = np.full((HEIGHT, WIDTH, 3), 140, np.uint8)
    pixels[30:34, 0:200] = 0
    pixels[70:76, 60:120] = 0  # wider, and short for its width
    Image.fromarray(pixels).save(tmp_path / "pier.png")
    options = ("--model", model, "--out", tmp_path / "out", "--threshold", 0.4, "--mm-per-pixel", 0.1)
    assert call(tmp_path / "pier.png", *options) == 0
    with (tmp_path / "out" / "pier.png" / "cracks.csv").open() as stream:
        sure, doubted = csv.DictReader(stream)
    assert (sure["width_trusted"], doubted["width_trusted"]) == ("True", "False")
    assert float(sure["max_width_mm"]) < float(doubted["max_width_mm"])
    (row,) = rows(tmp_path / "out")
    assert (row["widest_px"], row["widest_mm"]) == (sure["max_width_px"], sure["max_width_mm"])
    told = [f"{float(crack['max_width_mm']):.2f} mm" for crack in (sure, doubted)]
    said = capsys.readouterr().out
    assert f", widest {told[0]} (in doubt: about {told[1]}) (" in said
    assert "\nabout: the width" in said


def test_a_run_that_counted_stains_as_cracks_is_not_gone_on_with(
    model: Path, photo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(photo, "--model", model, "--out", tmp_path / "out") == 0
    before = read_json(tmp_path / "out" / "segment.json")
    assert before["min_length"] == 40
    del before["max_width_share"]
    write_json(tmp_path / "out" / "segment.json", before)
    assert call(photo, "--model", model, "--out", tmp_path / "out", "--resume") == 2
    said = capsys.readouterr().err
    assert "which does not tell unclear marks from cracks. Give --overwrite in place of --resume" in said
    assert "max_width_share" not in said
    assert call(photo, "--model", model, "--out", tmp_path / "out", "--overwrite") == 0


def test_where_specks_alone_are_drawn_the_line_says_so(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pixels = np.full((HEIGHT, WIDTH, 3), 200, np.uint8)
    pixels[60:64, 90:94] = 10
    Image.fromarray(pixels).save(tmp_path / "speck.png")
    assert call(tmp_path / "speck.png", "--model", model, "--out", tmp_path / "out") == 0
    (row,) = rows(tmp_path / "out")
    assert (row["cracks"], row["short"]) == ("0", "0")
    assert 0 < int(row["crack_pixels"]) < 30
    assert "0 cracks, only specks drawn (" in capsys.readouterr().out
    with Image.open(tmp_path / "out" / "speck.png" / "overlay.png") as overlay:
        assert overlay.height > HEIGHT


@pytest.mark.parametrize("foreground", ["none", "auto"])
def test_a_folder_keeps_its_structure_and_lists_what_cannot_be_read(
    foreground: str, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = tmp_path / "DCIM"
    (source / "b").mkdir(parents=True)
    Image.fromarray(dark_photo(16, 20)).save(source / "tiny.png")
    Image.fromarray(dark_photo(2, 300)).save(source / "strip.png")
    Image.fromarray(np.full((40, 90, 3), 200, np.uint8)).save(source / "b" / "clean.jpg")
    (source / "broken.jpg").write_bytes(b"no image")
    out = tmp_path / "out"
    assert call(source, "--model", model, "--out", out, "--foreground", foreground) == 1
    found = {Path(row["photo"]).name: row for row in rows(out)}
    for name in ("broken.jpg", "strip.png"):
        assert found[name]["status"] == "unreadable"
        assert found[name]["cracks"] == ""
    assert "300x2 pixels: too small" in found["strip.png"]["reason"]
    assert found["clean.jpg"]["cracks"] == "0"
    assert found["clean.jpg"]["folder"] == "b/clean.jpg"
    assert read_json(out / "b" / "clean.jpg" / "cracks.json")["cracks"] == []
    assert read_json(out / "tiny.png" / "cracks.json")["seams"] is None
    assert "broken.jpg: not an image" in capsys.readouterr().out


def test_a_panorama_among_photographs_is_measured_in_pixels_with_a_note(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    exif = Image.Exif()
    exif.get_ifd(0x8769)[0xA405] = 24
    for name, width in (("a.jpg", WIDTH), ("wide.jpg", 3 * HEIGHT)):
        Image.fromarray(dark_photo(HEIGHT, width)).save(tmp_path / name, exif=exif)
    out = tmp_path / "out"
    assert call(tmp_path / "a.jpg", tmp_path / "wide.jpg", "--model", model, "--out", out, "--distance-m", 2) == 0
    assert "note: " in capsys.readouterr().out
    first, second = rows(out)
    assert first["mm_per_pixel"]
    assert not first["note"]
    assert second["mm_per_pixel"] == ""
    assert "wider than any sensor" in second["note"]
    assert call(tmp_path / "wide.jpg", "--model", model, "--out", tmp_path / "b", "--distance-m", 2) == 2
    # Whoever states the lens.
    lens = ("--distance-m", 2, "--focal-mm", 8, "--sensor-width-mm", 12)
    assert call(tmp_path / "wide.jpg", "--model", model, "--out", tmp_path / "c", *lens) == 2
    assert "wider than any sensor" in capsys.readouterr().err


def test_one_photograph_without_a_focal_length_does_not_end_the_work_on_the_others(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    exif = Image.Exif()
    exif.get_ifd(0x8769)[0xA405] = 24
    Image.fromarray(dark_photo(HEIGHT, WIDTH)).save(tmp_path / "a.jpg")
    Image.fromarray(dark_photo(HEIGHT, WIDTH)).save(tmp_path / "b.jpg", exif=exif)
    photos = (tmp_path / "a.jpg", tmp_path / "b.jpg")
    assert call(*photos, "--model", model, "--out", tmp_path / "out", "--distance-m", 2) == 0
    first, second = rows(tmp_path / "out")
    assert (first["mm_per_pixel"], bool(second["mm_per_pixel"])) == ("", True)
    assert "no scale: " in first["note"]
    assert "no focal length" in first["note"]
    assert call(photos[0], "--model", model, "--out", tmp_path / "alone", "--distance-m", 2) == 2
    assert not (tmp_path / "alone").exists(), "the corrected command starts afresh"
    assert call(*photos, "--model", model, "--out", tmp_path / "bad", "--focal-mm", 8) == 2
    assert "--focal-mm needs" in capsys.readouterr().err
    assert not (tmp_path / "bad").exists()


def test_resume_passes_over_what_is_done_and_does_the_rest(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    source, out = tmp_path / "photos", tmp_path / "out"
    source.mkdir()
    for name in "abc":
        Image.fromarray(dark_photo(50, 60)).save(source / f"{name}.png")
    done: list[str] = []
    original = verb.handle

    def stopping(place: verb.Place, *rest: Any) -> dict[str, Any]:
        if place.photo.path.name == "b.png" and not done.count("a.png") > 1 and len(done) == 1:
            done.append("stopped")
            raise KeyboardInterrupt
        done.append(place.photo.path.name)
        return original(place, *rest)

    monkeypatch.setattr(verb, "handle", stopping)
    arguments = [source, "--model", model, "--out", out]
    assert call(*arguments) == 130
    assert capsys.readouterr().err.splitlines()[-1] == "interrupted. The same command with --resume goes on."
    assert [row["folder"] for row in rows(out)] == ["a.png"]
    assert call(*arguments) == 2
    assert "add --resume to go on" in capsys.readouterr().err
    assert call(*arguments, "--resume") == 0
    assert done == ["a.png", "stopped", "b.png", "c.png"]
    assert [row["folder"] for row in rows(out)] == ["a.png", "b.png", "c.png"]
    assert "1 done before" in capsys.readouterr().out
    Image.fromarray(dark_photo(60, 60)).save(source / "a.png")  # another file of that name is not done
    assert call(*arguments, "--resume") == 0
    assert done[4:] == ["a.png"]
    assert call(*arguments, "--resume", "--threshold", 0.9) == 2
    assert "started with threshold" in capsys.readouterr().err
    assert call(*arguments, "--overwrite", "--threshold", 0.9) == 0
    assert done[5:] == ["a.png", "b.png", "c.png"]


def test_cracks_are_looked_for_in_the_foreground_alone(model: Path, photo: Path, tmp_path: Path) -> None:
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    mask[:, : WIDTH // 2] = 255
    Image.fromarray(mask).save(tmp_path / "left.png")
    out = tmp_path / "out"
    assert call(photo, "--model", model, "--out", out, "--foreground", tmp_path / "left.png") == 0
    drawn = np.asarray(Image.open(out / "pier.png" / "mask.png"))
    assert drawn[:, : WIDTH // 2].any()
    assert not drawn[:, WIDTH // 2 :].any()
    assert (np.asarray(Image.open(out / "pier.png" / "foreground.png")) == mask).all()
    assert read_json(out / "pier.png" / "cracks.json")["foreground"] == {"backend": "none", "share": 0.5}


@pytest.mark.parametrize("options", [["--foreground", "auto"], ["--fg", "100,30", "--bg", "5,5"]])
def test_the_foreground_can_be_found(model: Path, photo: Path, tmp_path: Path, options: list[str]) -> None:
    out = tmp_path / "out"
    assert call(photo, "--model", model, "--out", out, *options) == 0
    assert read_json(out / "pier.png" / "cracks.json")["foreground"]["backend"] == "grabcut"
    assert (out / "pier.png" / "foreground.png").is_file()


def test_a_crack_where_nothing_was_taken_for_concrete_is_told_as_unclear(
    model: Path, photo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    left = np.zeros((HEIGHT, WIDTH), bool)
    left[:, : WIDTH // 4] = True
    monkeypatch.setattr(GrabCut, "segment", lambda self, pixels, prompt: Foreground(left, "grabcut"))
    out = tmp_path / "out"
    assert call(photo, "--model", model, "--out", out, "--foreground", "auto") == 0
    record = read_json(out / "pier.png" / "cracks.json")
    (unclear,) = record["unclear"]
    assert unclear["note"].startswith("unclear")
    assert unclear["x"] >= WIDTH // 4
    assert all(crack["x"] + crack["w"] <= WIDTH // 4 for crack in record["cracks"])
    with (out / "pier.png" / "cracks.csv").open() as stream:
        assert [row["note"] for row in csv.DictReader(stream)] == [""] * len(record["cracks"]) + [unclear["note"]]
    assert rows(out)[0]["unclear"] == "1"
    said = capsys.readouterr().out
    assert "1 unclear (where nothing was taken for concrete)" in said
    assert "1 with unclear marks: look at them" in said
    assert not np.asarray(Image.open(out / "pier.png" / "mask.png"))[:, WIDTH // 4 :].any()


def test_a_photograph_that_is_all_crack_is_not_measured(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Image.fromarray(np.zeros((50, 50, 3), np.uint8)).save(tmp_path / "night.png")
    out = tmp_path / "out"
    assert call(tmp_path / "night.png", "--model", model, "--out", out) == 0
    assert "NOT MEASURED, 100% of the photograph" in capsys.readouterr().out
    assert np.asarray(Image.open(out / "night.png" / "mask.png")).all()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--threshold", "1"], "--threshold 1: choose a probability"),
        (["--overlap", "0.95"], "--overlap 0.95"),
        (["--foreground", "left.png", "--fg", "1,1"], "says it all"),
        (["--resume"], "there is no run"),
        (["--mm-per-pixel", "1", "--exif"], "--mm-per-pixel says everything"),
        (["--exif"], "EXIF"),
        (["--fg", "900,1"], "outside the photograph"),
        (["--model", "none.tflite"], "does not exist"),
        (["--model", "opnet"], "opnet is a classifier: it says crack or no crack"),
    ],
)
def test_bad_options_are_one_clear_error(
    model: Path,
    photo: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    options: list[str],
    words: str,
) -> None:
    base = [] if "--model" in options else ["--model", model]
    assert call(photo, *base, "--out", tmp_path / "out", *options) == 2
    assert words in capsys.readouterr().err


def test_a_classifier_is_refused_with_a_hint(photo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_dark_model(tmp_path / "classifier.tflite")
    assert call(photo, "--model", tmp_path / "classifier.tflite", "--out", tmp_path / "out") == 2
    assert "is a classifier" in capsys.readouterr().err


def test_predict_refuses_a_segmentation_model_with_a_hint(
    model: Path, photo: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert predict.main([str(photo), "--model", str(model)]) == 2
    assert "is a segmentation model (a map of logits per tile)" in (error := capsys.readouterr().err)
    assert "crack-tf photo segment" in error


def test_points_are_for_one_photograph(model: Path, photo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = photo.with_name("other.png")
    Image.fromarray(dark_photo(40, 40)).save(other)
    assert call(photo, other, "--model", model, "--out", photo.parent / "out", "--fg", "1,1") == 2
    assert "for one photograph, 2 are given" in capsys.readouterr().err


def test_the_seconds_of_a_photograph_count_its_measuring(
    model: Path, photo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def slow(*arguments: Any, **named: Any) -> list[Crack]:
        time.sleep(1)
        return measure_cracks(*arguments, **named)

    monkeypatch.setattr("crack_tf.photo.measure.measure_cracks", slow)
    assert call(photo, "--model", model, "--out", tmp_path / "out") == 0
    assert read_json(tmp_path / "out/pier.png/cracks.json")["seconds"] >= 1
    assert float(rows(tmp_path / "out")[0]["seconds"]) >= 1
