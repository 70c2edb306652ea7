"""`crack-tf predict`: what it says and records about photographs, what it refuses, and that it needs no TensorFlow."""

from __future__ import annotations

import csv
import json
import math
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import crack_tf
from crack_tf import predict
from crack_tf.inference.named_photos import find_photos
from crack_tf.inference.overlay import draw_overlay
from crack_tf.models.shipped import Chosen, find_model, read_zoo
from crack_tf.predict import main
from tests.dark_model import SIZE, write_dark_model
from tests.options import instead
from tflite.errors import CrackError
from tflite.runtime import Classifier

ROOT = Path(__file__).parents[2]
HEAVY = ("tensorflow", "keras", "pandas", "matplotlib", "sklearn", "scipy", "tqdm", "jax", "crack_tf.data.registry")


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """The model that calls dark tiles cracked, 32 pixels."""
    path = tmp_path / "dark.tflite"
    write_dark_model(path)
    return path


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """A folder with a cracked tile, a clean large photograph, a cracked one below, a damaged one and other files."""
    folder = tmp_path / "photos"
    (folder / "below").mkdir(parents=True)
    (folder / ".hidden").mkdir()
    save(folder / "a_tile.png", 20)
    save(folder / "b_clean.jpg", 200, 100, 80)
    save(folder / "below/c_dark.png", 60, 64, 64)
    save(folder / ".hidden/x.png", 20)
    (folder / "d_damaged.jpg").write_bytes((folder / "b_clean.jpg").read_bytes()[:300])
    (folder / "notes.txt").write_text("no picture")
    return folder


def save(path: Path, brightness: int, width: int = SIZE, height: int = SIZE) -> Path:
    Image.fromarray(np.full((height, width, 3), brightness, np.uint8)).save(path)
    return path


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def test_a_photograph_gets_one_line_and_nothing_is_written(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = set(tmp_path.rglob("*"))
    assert main([str(save(tmp_path / "a.png", 20)), "--model", str(model)]) == 0
    line, *summary = capsys.readouterr().out.splitlines()
    assert line.split() == ["crack", "0.999", "1/1", "tiles", str(tmp_path / "a.png")]
    assert summary[0] == "1 photograph: 1 crack, 0 no crack, 0 NOT READ"
    assert set(tmp_path.rglob("*")) - before == {tmp_path / "a.png"}


def test_what_is_too_dark_or_burnt_out_to_show_a_crack_is_told(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "wall").mkdir()
    for name, brightness in (("a_cap", 3), ("b_sky", 254), ("c_wall", 140)):
        save(tmp_path / f"wall/{name}.png", brightness)
    half = np.full((600, 600, 3), 140, np.uint8)
    half[:, 300:] = 255
    Image.fromarray(half).save(tmp_path / "wall/d_half.png")
    assert main([str(tmp_path / "wall"), "--model", str(model), "--out", str(tmp_path / "out")]) == 0
    *lines, _, _, _, note, _ = capsys.readouterr().out.splitlines()
    told = [line.partition(".png")[2] for line in lines]
    assert told == [
        " (100% too dark or burnt out)",
        " (100% too dark or burnt out)",
        "",
        " (50% too dark or burnt out)",
    ]
    assert note == "note: 3 photographs are too dark or burnt out in more than a third: a crack there may be missed"


def test_a_model_for_research_only_is_told(model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_dark_model(model, licence="a: CC0-1.0; b: research only (academic research)")
    assert main([str(save(tmp_path / "a.png", 20)), "--model", str(model)]) == 0
    assert capsys.readouterr().out.endswith(
        "\nnote: dark-int8-ptq is research only: licences of its training data allow no other use\n"
    )


def test_a_photograph_that_is_barely_cracked_is_told_from_one_that_surely_is(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "wall").mkdir()
    for name, brightness in (("a", 112), ("b", 104), ("c", 140)):  # logits 1, 1.5 and -0.75
        save(tmp_path / f"wall/{name}.png", brightness)
    assert main([str(tmp_path / "wall"), "--model", str(model), "--out", str(tmp_path / "out")]) == 0
    assert [row["barely"] for row in rows(tmp_path / "out/photos.csv")] == ["True", "False", "False"]
    *lines, counts, threshold, _, _ = capsys.readouterr().out.splitlines()
    assert [line.split("  ")[0] for line in lines] == ["1 of 3", "2 of 3", "3 of 3"]
    assert [line.split()[5] for line in lines] == ["barely", "1/1", "0.321"]
    assert counts == "3 photographs: 2 crack (1 barely), 1 no crack, 0 NOT READ"
    assert threshold.startswith("dark-int8-ptq calls a tile cracked from a probability of 0.500 on; barely: ")


def test_a_folder_is_classified_in_order_and_what_cannot_be_read_is_no_clean_photograph(
    model: Path, photos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(photos), "--model", str(model), "--jobs", "3"]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[3] for line in lines[:4]] == ["crack", "no", "crack", "NOT"]
    assert ": damaged or truncated" in lines[3]
    assert lines[4] == "4 photographs: 2 crack, 1 no crack, 1 NOT READ; 1 other file passed over"


def test_results_are_recorded_with_place_answer_threshold_and_model(model: Path, photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert main([str(photos), "--model", str(model), "--out", str(out)]) == 1
    sidecar = Classifier(model).sidecar
    head, *records = [json.loads(line) for line in (out / "predictions.jsonl").read_text().splitlines()]
    assert (head["model_sha256"], head["tile_side"], head["overlap"]) == (sidecar.sha256, SIZE, 0.25)
    assert [record["status"] for record in records] == ["classified", "classified", "classified", "unreadable"]
    clean = records[1]
    assert (clean["width"], clean["height"], clean["decision"], clean["positive_tiles"]) == (100, 80, "no_crack", 0)
    assert len(clean["tiles"]) == 12
    assert clean["tiles"][0] == {
        "x": 0,
        "y": 0,
        "w": SIZE,
        "h": SIZE,
        "logit": -4.5,
        "probability": pytest.approx(0.0110, abs=1e-4),
        "decision": "no_crack",
    }
    assert clean["threshold"] == {"probability": 0.5, "logit": 0.0}
    assert {record["model_sha256"] for record in records} == {sidecar.sha256}
    assert "decision" not in records[3]
    assert [row["decision"] for row in rows(out / "photos.csv")] == ["crack", "no_crack", "crack", ""]
    tiles = rows(out / "tiles.csv")
    assert len(tiles) == sum(len(record.get("tiles", [None])) for record in records)
    assert {row["threshold"] for row in tiles if row["status"] == "classified"} == {"0.5"}


def test_overlays_are_drawn_for_what_could_be_read(model: Path, photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert main([str(photos), "--model", str(model), "--out", str(out), "--overlay"]) == 1
    drawn = {path.relative_to(out).as_posix() for path in out.rglob("*.png")}
    assert drawn == {"overlays/a_tile.png.png", "overlays/b_clean.jpg.png", "overlays/below/c_dark.png.png"}
    assert {row["overlay"] for row in rows(out / "photos.csv")} == {*drawn, ""}
    with Image.open(out / "overlays/b_clean.jpg.png") as picture:
        assert picture.width == 640


def test_tile_and_overlap_choose_the_grid(model: Path, photos: Path, tmp_path: Path) -> None:
    for tile, overlap, count in (("auto", "0", 12), ("40", "0", 6), ("80", "0.25", 1)):
        out = tmp_path / f"{tile}-{overlap}"
        options = ["--tile", tile, "--overlap", overlap, "--out", str(out)]
        assert main([str(photos / "b_clean.jpg"), "--model", str(model), *options]) == 0
        assert rows(out / "photos.csv")[0]["tiles"] == str(count)


def test_resume_passes_over_what_is_done_and_tries_the_unreadable_again(
    model: Path, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = [str(photos), "--model", str(model), "--out", str(tmp_path / "out")]
    assert main(command) == 1
    (photos / "d_damaged.jpg").unlink()
    save(photos / "d_damaged.jpg", 200)  # copied again from the camera
    save(photos / "e_new.png", 20)
    capsys.readouterr()
    assert main([*command, "--resume"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [Path(line.split()[-1]).name for line in lines[:2]] == ["d_damaged.jpg", "e_new.png"]
    assert lines[2] == "2 photographs: 1 crack, 1 no crack, 0 NOT READ; 3 done before; 1 other file passed over"
    assert [row["decision"] for row in rows(tmp_path / "out/photos.csv")] == [
        *("crack", "no_crack", "crack", "no_crack", "crack"),
    ]
    assert main([*command, "--resume"]) == 0
    assert capsys.readouterr().out.startswith("0 photographs")


def test_a_photograph_that_changed_is_classified_again(model: Path, tmp_path: Path) -> None:
    photo = save(tmp_path / "a.png", 200)
    command = [str(photo), "--model", str(model), "--out", str(tmp_path / "out")]
    assert main(command) == 0
    save(photo, 20, 48, 48)
    assert main([*command, "--resume"]) == 0
    assert [row["decision"] for row in rows(tmp_path / "out/photos.csv")] == ["crack"]


def test_names_of_any_bytes_and_of_255_get_an_overlay_and_a_row(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "DCIM"
    names = [
        "a" * 251 + ".png",
        "ü" * 125 + ".jpg",
        "\udcff\udcfe.png",
        "=1+1.png",
        "line\r\nend.png",
        "\udc80" * 250 + ".png",
    ]
    for number, name in enumerate(names):
        picture = save(tmp_path / f"{number}.png", 20 if number % 2 else 200)
        place = folder / ("é" if number % 2 else "e")
        place.mkdir(parents=True, exist_ok=True)
        picture.rename(place / name)
    command = [str(folder), "--model", str(model), "--out", str(tmp_path / "out"), "--overlay"]
    assert main(command) == 0, capsys.readouterr().err
    found = rows(tmp_path / "out/photos.csv")
    assert len(found) == len({row["photo"] for row in found}) == len(names)
    assert sum(row["decision"] == "crack" for row in found) == 3
    assert len({row["overlay"] for row in found}) == len(names)
    assert all((tmp_path / "out" / row["overlay"]).is_file() for row in found)
    assert b'"' in (tmp_path / "out/photos.csv").read_bytes(), "a line end within a name is quoted"
    assert main([*command, "--resume"]) == 0
    assert f"{len(names)} done before" in capsys.readouterr().out


def test_an_earlier_run_is_neither_replaced_nor_mixed_unasked(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = [str(save(tmp_path / "a.png", 20)), "--model", str(model), "--out", str(tmp_path / "out")]
    assert main(command) == 0
    assert main(command) == 2
    assert "exists already" in capsys.readouterr().err
    assert main([*command, "--tile", "20", "--resume"]) == 2
    assert "tile_side = 32, now it is 20" in capsys.readouterr().err
    assert main([*command, "--tile", "20", "--overwrite"]) == 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--overlay"], "need --out"),
        (["--resume"], "need --out"),
        (["--overlap", "0.95"], "--overlap 0.95: choose a share"),
        (["--overlap", "nan"], "--overlap nan: choose a share"),
        (["--out", "PHOTOS/out"], "its overlays would lie among the photographs"),
        (["--model", "none.tflite"], "none.tflite does not exist"),
        (["--model", "PHOTOS"], "name a .tflite file"),
        (["--out", "OUT", "--resume"], "there is no run in"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line(
    options: list[str],
    message: str,
    model: Path,
    photos: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    placed = [text.replace("PHOTOS", str(photos)).replace("OUT", str(tmp_path / "out")) for text in options]
    assert main(instead([str(photos), "--model", str(model)], placed)) == 2
    captured = capsys.readouterr()
    assert message in captured.err
    assert captured.err.count("error:") == 1
    assert "Traceback" not in captured.err


@pytest.mark.parametrize("value", ["0", "8", "half", "-4"])
def test_a_tile_is_auto_or_a_sensible_number_of_pixels(value: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["a.png", "--tile", value])
    assert stop.value.code == 2
    assert "argument --tile" in capsys.readouterr().err


def test_a_missing_path_and_a_folder_without_photographs_are_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("no picture")
    with pytest.raises(CrackError, match=r"no photograph in .*\.jpeg"):
        find_photos([tmp_path], None)
    with pytest.raises(CrackError, match="nowhere does not exist"):
        find_photos([tmp_path / "nowhere"], None)


def test_a_tile_that_is_clean_in_other_squares_makes_no_cracked_photograph_and_the_record_says_so(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    pixels = np.full((100, 160, 3), 230, np.uint8)
    pixels[:SIZE, :SIZE] = 110  # hardly dark, and exactly one tile
    (tmp_path / "in").mkdir()
    Image.fromarray(pixels).save(tmp_path / "in/edge.png")
    pixels[:SIZE, :SIZE] = 10
    Image.fromarray(pixels).save(tmp_path / "in/dark.png")
    asked = [str(tmp_path / "in"), "--model", str(model), "--out"]
    assert main([*asked, str(tmp_path / "any")]) == 0
    assert [row["decision"] for row in rows(tmp_path / "any/photos.csv")] == ["crack", "crack"]
    capsys.readouterr()
    # As of the default.
    monkeypatch.setattr("crack_tf.inference.predict.find_model", lambda _: Chosen(model, None, looks_again=True))
    assert main([*asked, str(tmp_path / "out")]) == 0
    dark, edge = rows(tmp_path / "out/photos.csv")
    assert (dark["decision"], dark["positive_tiles"], dark["reason"]) == ("crack", "1", "")
    assert (edge["decision"], edge["positive_tiles"]) == ("no_crack", "1")
    assert "when seen again" in edge["reason"]
    tiles = rows(tmp_path / "out/tiles.csv")
    assert [row["decision"] for row in tiles].count("crack") == 2
    assert [(row["photo"], row["decision"]) for row in tiles if row["reason"]] == [(edge["photo"], "crack")]
    titles: list[str] = []

    def drawn(*given: object) -> Image.Image:
        titles.append(f"{given[3]}, {given[4]}")
        return draw_overlay(*given)  # type: ignore[arg-type]

    monkeypatch.setattr("crack_tf.inference.predict.draw_overlay", drawn)
    assert main([*asked, str(tmp_path / "drawn"), "--overlay"]) == 0
    assert sorted(re.sub(r"\(dark-.*\)", "", title) for title in titles) == [
        "crack: 1 of 28 tiles, highest probability 0.999  , False",
        "no crack: 1 of 28 tiles (doubted), highest probability 0.755  , True",
    ]
    assert "2 photographs: 1 crack, 1 no crack" in capsys.readouterr().out


def test_the_default_alone_looks_again_whether_named_or_by_its_file() -> None:
    assert find_model(None).looks_again
    assert find_model(str(find_model(None).path)) == find_model(None)
    assert crack_tf.load(find_model(None).path)._looks_again
    assert not find_model("opnet_lite_nano").looks_again
    assert not find_model(None, task="segment").looks_again


def test_results_of_an_earlier_run_are_no_photographs_and_a_list_is_flat(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "found/overlays").mkdir(parents=True)
    save(tmp_path / "a.png", 20)
    save(tmp_path / "found/overlays/a.png.png", 20)
    (tmp_path / "found/predictions.jsonl").write_text('{"format":"crack_tf.predictions/1"}\n')
    found, _ = find_photos([tmp_path], None)
    assert [photo.path for photo in found] == [tmp_path / "a.png"]
    assert "found holds results of an earlier run, no photographs: passed over" in capsys.readouterr().err
    with pytest.raises(CrackError, match="one flat list, which holds something of type list"):
        find_photos([[tmp_path]], None)  # type: ignore[list-item]


def test_each_photograph_counts_once_and_equal_names_get_different_overlays(tmp_path: Path) -> None:
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        save(tmp_path / folder / "a.png", 20)
    found, skipped = find_photos([tmp_path / "one/a.png", tmp_path / "one", tmp_path / "two"], tmp_path / "out")
    assert [photo.path for photo in found] == [tmp_path / "one/a.png", tmp_path / "two/a.png"]
    assert len({photo.overlay for photo in found}) == 2
    assert skipped == 0


def test_a_file_without_a_pictures_suffix_is_read_when_it_is_named(model: Path, tmp_path: Path) -> None:
    path = save(tmp_path / "a.png", 20).rename(tmp_path / "picture")
    assert main([str(path), "--model", str(model)]) == 0


def test_a_name_of_any_bytes_is_reported_and_recorded(model: Path, tmp_path: Path) -> None:
    path = tmp_path / os.fsdecode(b"w\xffll.png")
    try:
        save(path, 20)
    except OSError:
        pytest.skip("this file system takes UTF-8 names only")
    assert main([str(path), "--model", str(model), "--out", str(tmp_path / "out"), "--overlay"]) == 0
    assert rows(tmp_path / "out/photos.csv")[0]["photo"].endswith("w\\udcffll.png")


def test_on_a_terminal_a_bar_runs_and_every_photograph_keeps_its_line(
    model: Path, photos: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    for paths, count in (([photos], 4), ([photos / "b_clean.jpg"], 1)):
        main([*map(str, paths), "--model", str(model)])
        captured = capsys.readouterr()
        assert len([line for line in captured.out.splitlines() if str(photos) in line]) == count
    assert "tiles" in captured.err


def test_predicting_imports_no_tensorflow_and_nothing_else_that_is_slow(
    model: Path, photos: Path, tmp_path: Path
) -> None:
    program = (
        "import sys\nfrom crack_tf.cli import main\nfrom crack_tf import predict\n"
        "code = predict.main(sys.argv[1:])\n"
        f"print('heavy:', [name for name in {HEAVY!r} if name in sys.modules])\nsys.exit(code)\n"
    )
    command = [str(photos / "b_clean.jpg"), "--model", str(model), "--out", str(tmp_path / "out"), "--overlay"]
    done = subprocess.run(
        [sys.executable, "-c", program, *command], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("heavy: []\n")


def test_the_first_answer_costs_less_than_a_second_of_processor_time(model: Path, photos: Path) -> None:
    before = os.times()
    command = [sys.executable, "-m", "crack_tf.predict", str(photos / "b_clean.jpg"), "--model", str(model)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    after = os.times()
    assert done.returncode == 0, done.stderr
    # Processor time, not wall time: other tests and trainings may run beside this one.
    assert after.children_user + after.children_system - before.children_user - before.children_system < 1.5


@pytest.mark.slow
def test_ctrl_c_leaves_results_that_a_resumed_run_completes(
    model: Path, tmp_path: Path, hears_ctrl_c: Callable[[], object]
) -> None:
    folder, out = tmp_path / "photos", tmp_path / "out"
    folder.mkdir()
    for number in range(16):
        save(folder / f"{number:02d}.png", 20, 320, 240)
    command = [
        "-m",
        "crack_tf.predict",
        str(folder),
        "--model",
        str(model),
        "--out",
        str(out),
        "--overlay",
        "--jobs",
        "1",
    ]
    process = subprocess.Popen(
        [sys.executable, *command],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=hears_ctrl_c,
    )
    assert process.stdout is not None
    process.stdout.readline()
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 130, errors
    assert "Traceback" not in errors
    done = len(rows(out / "photos.csv"))
    assert 1 <= done < 16
    started = time.time()
    assert main([*command[2:], "--resume"]) == 0
    photos = rows(out / "photos.csv")
    assert len(photos) == 16
    assert {row["decision"] for row in photos} == {"crack"}
    again = [path for path in (out / "overlays").iterdir() if path.stat().st_mtime > started]
    assert len(again) == 16 - done


def test_without_a_model_the_zoos_default_answers_or_its_absence_is_explained(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = main([str(save(tmp_path / "a.png", 150, 96, 96))])
    captured = capsys.readouterr()
    if read_zoo()[1]:
        assert code == 0
        assert "1 photograph" in captured.out
    else:
        assert code == 2
        assert "no model is shipped" in captured.err


def test_the_help_explains_the_exit_codes(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        predict.main(["--help"])
    assert "never as clean" in capsys.readouterr().out


def test_tiles_follow_a_photographs_scale_where_the_model_knows_its_own(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = tmp_path / "own.tflite"
    write_dark_model(model, training={"dataset": "own", "tile_side": 50, "training_mm": 100.0})
    exif = Image.Exif()
    exif.get_ifd(0x8769).update({0x9206: 1.0, 0xA405: 24})  # a metre away
    scale = 1000 * math.hypot(36, 24) / math.hypot(400, 300) / 24
    Image.new("RGB", (400, 300), (200, 200, 200)).save(tmp_path / "a.jpg", exif=exif)
    Image.new("RGB", (400, 300), (200, 200, 200)).save(tmp_path / "b.jpg")
    out = tmp_path / "out"
    photos = [str(tmp_path / name) for name in ("a.jpg", "b.jpg")]
    assert main([*photos, "--model", str(model), "--out", str(out)]) == 0
    assert "; 100 mm wide where photographs tell their scale, else 50 pixels wide" in capsys.readouterr().out
    sides = {row["photo"]: int(row["w"]) for row in rows(out / "tiles.csv")}
    assert sides == {photos[0]: round(100 / scale), photos[1]: 50}
    assert main([*photos, "--model", str(model), "--tile", "64", "--out", str(out), "--overwrite"]) == 0
    assert {row["w"] for row in rows(out / "tiles.csv")} == {"64"}
    assert "tiles/s; 64 pixels wide" in capsys.readouterr().out


def test_a_photograph_smaller_than_a_tile_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_dark_model(tmp_path / "own.tflite")
    for name, size in (("a.png", (400, 300)), ("b.png", (80, 90))):
        Image.new("RGB", size, (200, 200, 200)).save(tmp_path / name)
    options = ["--model", str(tmp_path / "own.tflite")]
    assert main([str(tmp_path / "a.png"), str(tmp_path / "b.png"), *options, "--tile", "100"]) == 0
    assert "; 100 pixels wide, on 1 smaller photograph as wide as the shorter side\n" in capsys.readouterr().out
    assert main([str(tmp_path / "a.png"), *options, "--tile", "100"]) == 0
    assert "; 100 pixels wide\n" in capsys.readouterr().out


def test_a_keras_file_is_refused_with_what_to_give(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Image.new("RGB", (80, 90)).save(tmp_path / "a.png")
    (tmp_path / "run").mkdir()
    keras = tmp_path / "run/model.keras"
    keras.write_bytes(b"")
    assert main([str(tmp_path / "a.png"), "--model", str(keras)]) == 2
    assert (
        f"make its int8 file, crack-tf export {keras.parent} --int8, and give the run folder" in capsys.readouterr().err
    )
    write_dark_model(tmp_path / "run/export/dark-int8-ptq.tflite")
    assert main([str(tmp_path / "a.png"), "--model", str(keras)]) == 2
    assert f"--model {keras}: give its run folder, {keras.parent}, or " in capsys.readouterr().err
    assert main([str(tmp_path / "a.png"), "--model", str(keras.parent)]) == 0
