"""`crack-tf explain` from end to end on tiny models: what it writes, what it refuses, how it goes on after a stop."""

from __future__ import annotations

import csv
import json
import shutil
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from crack_tf.explain import running
from crack_tf.explain.__main__ import main
from crack_tf.explain.explainer import Explainer
from crack_tf.explain.neighbours import TrainingTiles
from crack_tf.reporting.report import EXPLANATION, TRAINING, choose
from tests.conftest import draw_tile
from tests.dark_model import write_dark_model
from tflite.manifest import Manifest
from tflite.metrics import sigmoid
from tflite.sidecar import Threshold, read_sidecar, write_sidecar

OCCLUSION = ["--methods", "occlusion", "--patch", "16"]


@pytest.fixture
def dark(tmp_path: Path) -> str:
    write_dark_model(tmp_path / "models" / "dark.tflite")
    return str(tmp_path / "models" / "dark.tflite")


@pytest.fixture
def tiles(tmp_path: Path) -> list[str]:
    """A dark tile and a bright one."""
    (tmp_path / "tiles").mkdir()
    for name, level in (("dark", 30), ("bright", 220)):
        Image.new("RGB", (40, 40), (level,) * 3).save(tmp_path / "tiles" / f"{name}.png")
    return [str(tmp_path / "tiles" / "dark.png"), str(tmp_path / "tiles" / "bright.png")]


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def files_of(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def test_chosen_tiles_of_a_tflite_need_no_tensorflow(
    dark: str, tiles: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("tensorflow", "keras"):
        monkeypatch.setitem(sys.modules, name, None)
    out = tmp_path / "out"
    assert main([dark, "--tiles", *tiles, *OCCLUSION, "--out", str(out)]) == 0
    assert files_of(out) == [
        "arrays/dark-int8-ptq/0000-dark.npz",
        "arrays/dark-int8-ptq/0001-bright.npz",
        "gallery.png",
        "index.csv",
        "overlays/dark-int8-ptq/0000-dark.png",
        "overlays/dark-int8-ptq/0001-bright.png",
        "settings.json",
    ]
    found = rows(out / "index.csv")
    assert [row["crack"] for row in found] == ["1", "0"]
    assert found[0]["network"] == "dark.tflite"
    with np.load(out / found[0]["array"]) as arrays:
        assert arrays["occlusion"].shape == (32, 32)
        assert json.loads(str(arrays["record"]))["name"] == tiles[0]


def test_a_run_that_was_stopped_goes_on_where_it_was(
    dark: str, tiles: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out, asked = tmp_path / "out", []
    explain = Explainer.explain

    def stopping(self: Explainer, tile: np.ndarray, methods: Any) -> Any:
        asked.append(int(tile[0, 0, 0]))
        if len(asked) == 2:
            raise KeyboardInterrupt
        return explain(self, tile, methods)

    monkeypatch.setattr(Explainer, "explain", stopping)
    command = [dark, "--tiles", *tiles, *OCCLUSION, "--out", str(out)]
    assert main(command) == 130
    assert "--resume" in capsys.readouterr().err
    assert not (out / "index.csv").exists()
    assert main(command) == 2
    assert "exists already" in capsys.readouterr().err
    assert main([*command, "--resume"]) == 0
    assert asked == [30, 220, 220]
    assert len(rows(out / "index.csv")) == 2
    assert main([*command[:-4], "--patch", "8", "--out", str(out), "--resume"]) == 2
    assert "was started with models = " in capsys.readouterr().err


def test_a_damaged_tile_is_explained_again_on_resume(dark: str, tiles: list[str], tmp_path: Path) -> None:
    out = tmp_path / "out"
    command = [dark, "--tiles", *tiles, *OCCLUSION, "--out", str(out)]
    assert main(command) == 0
    before = rows(out / "index.csv")
    (out / before[0]["array"]).write_bytes(b"PK torn")
    assert main([*command, "--resume"]) == 0
    assert rows(out / "index.csv") == before


def test_overwriting_removes_the_earlier_run_and_nothing_else(dark: str, tiles: list[str], tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert main([dark, "--tiles", *tiles, *OCCLUSION, "--out", str(out)]) == 0
    (out / "notes.txt").write_text("mine", encoding="utf-8")
    assert main([dark, "--tiles", tiles[1], *OCCLUSION, "--out", str(out), "--overwrite"]) == 0
    left = files_of(out)
    assert "notes.txt" in left
    assert "arrays/dark-int8-ptq/0000-bright.npz" in left
    assert "arrays/dark-int8-ptq/0000-dark.npz" not in left


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--out", "OUT"], "either --tiles FILE ... or --data DATA"),
        (["--tiles", "TILE", "--data", "synthetic", "--out", "OUT"], "either --tiles FILE ... or --data DATA"),
        (["--tiles", "nowhere.png", "--out", "OUT"], "--tiles nowhere.png does not exist"),
        (["--tiles", "EMPTY", "--out", "OUT"], "the folder holds no image"),
        (["--tiles", "TILE", "TILE", "--out", "OUT"], "is given twice"),
        (["--tiles", "TEXT", "--out", "OUT"], "is not an image"),
        (["--tiles", "TILE", "--errors", "--out", "OUT"], "--errors and --tiles do not go together"),
        (["--tiles", "TILE", "--faithfulness", "--out", "OUT"], "--faithfulness needs --data"),
        (["--data", "DATA", "--errors", "--faithfulness", "--out", "OUT"], "--errors and --faithfulness"),
        (["--data", "DATA", "--disputes", "x.csv", "--out", "OUT"], "add --errors"),
        (["--data", "DATA", "--errors", "--disputes", "nowhere.csv", "--out", "OUT"], "nowhere.csv does not exist"),
        (["--data", "DATA", "--errors", "--disputes", "TEXT", "--out", "OUT"], "with a column path or sha256"),
        (["--data", "DATA", "--errors", "--training", "TEXT", "--out", "OUT"], "is not a crack_tf manifest"),
        (["--tiles", "TILE", "--methods", "lime", "--out", "OUT"], "--methods 'lime': choose of gradcam"),
        (["--tiles", "TILE", "--methods", ",", "--out", "OUT"], "--methods ',': choose of gradcam"),
        (["--tiles", "TILE", "--methods", "ig-black", "--out", "OUT"], "--methods occlusion"),
        (["--tiles", "TILE", "--patch", "40", "--out", "OUT"], "--patch 40 is larger than the tiles"),
        (["--tiles", "TILE", "--resume", "--out", "OUT"], "--resume: there is no run in"),
        (["--tiles", "TILE", "--resume", "--overwrite", "--out", "OUT"], "contradict each other"),
        (["--tiles", "TILE", "--out", "TEXT"], "is a file: name a folder"),
    ],
)
def test_what_cannot_be_done_is_refused_before_anything_is_written(
    options: list[str],
    message: str,
    dark: str,
    tiles: list[str],
    tmp_path: Path,
    tiny_manifest: Manifest,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "text.csv").write_text("a,b\n1,2\n", encoding="utf-8")
    places = {
        "OUT": str(tmp_path / "out"),
        "TILE": tiles[0],
        "EMPTY": str(tmp_path / "empty"),
        "TEXT": str(tmp_path / "text.csv"),
        "DATA": str(tiny_manifest.source),
    }
    if "--methods" not in options:
        options = [*OCCLUSION[:2], *options]
    assert main([dark, *(places.get(word, word) for word in options)]) == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith("error: ")
    assert message in error
    assert not (tmp_path / "out").exists()


def test_unknown_and_doubled_models_are_refused(
    dark: str, tiles: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rest = ["--tiles", tiles[0], *OCCLUSION, "--out", str(tmp_path / "out")]
    assert main(["resnet", *rest]) == 2
    assert "neither a file, a run folder nor a shipped model (mobilenet_v2" in capsys.readouterr().err
    assert main([dark, dark, *rest]) == 2
    assert "is given twice" in capsys.readouterr().err


def test_a_whole_photograph_is_explained_with_a_note(
    dark: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Image.new("RGB", (300, 200), (90, 90, 90)).save(tmp_path / "pier.png")
    assert main([dark, "--tiles", str(tmp_path / "pier.png"), *OCCLUSION, "--out", str(tmp_path / "out")]) == 0
    assert "far larger than a training tile" in capsys.readouterr().err


def test_faithfulness_is_measured_on_made_up_tiles_with_masks(
    dark: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    command = [dark, "--faithfulness", "--data", "synthetic", "--limit", "3", *OCCLUSION, "--out", str(out)]
    assert main(command) == 0
    assert "pointing" in capsys.readouterr().out
    table = {(row["method"], row["subset"]): row for row in rows(out / "faithfulness.csv")}
    assert {method for method, _ in table} == {"occlusion", "random"}
    assert table["occlusion", "all"]["tiles"] == "3"
    assert float(table["occlusion", "all"]["deletion_auc"]) <= float(table["random", "all"]["deletion_auc"]) + 0.05
    assert len(rows(out / "tiles.csv")) == 6
    assert (out / "curves.png").is_file()
    assert not (out / "sanity.csv").exists()  # there is no network behind this model to randomise


def test_a_trained_model_is_measured_and_passes_through_the_sanity_check(
    tiny_run: Path, tiny_manifest: Manifest, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    options = ["--faithfulness", "--data", str(tiny_manifest.source), "--limit", "2", "--sanity", "1"]
    assert main([str(tiny_run), *options, "--out", str(out)]) == 0
    found = {row["method"]: row for row in rows(out / "sanity.csv")}
    assert set(found) == {"gradcam", "ig-blurred"}
    assert found["ig-blurred"]["tiles"] == "1"
    assert -1 <= float(found["ig-blurred"]["spearman_median"]) <= 1
    assert "pointing" not in rows(out / "faithfulness.csv")[0]  # no masks


def test_errors_are_explained_grouped_and_marked(
    dark: str, tiny_manifest: Manifest, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, disputes = tmp_path / "out", tmp_path / "disputes.csv"
    cracked = [item for item in tiny_manifest.split("all") if item.label]
    disputes.write_text(f"path,verdict\n{cracked[3].path},doubtful\n", encoding="utf-8")
    options = ["--data", str(tiny_manifest.source), "--split", "all", "--errors", "--show", "2"]
    command = [dark, *options, *OCCLUSION, "--disputes", str(disputes), "--out", str(out)]
    assert main(command) == 0
    # The model asks for dark tiles; these are bright with a dark line at most.
    printed = capsys.readouterr()
    assert "24/24 cracks missed, 0/24 false alarms" in printed.out
    assert "no nearest training tiles" in printed.err
    errors = rows(out / "errors.csv")
    assert len(errors) == 24
    assert {row["kind"] for row in errors} == {"false negative"}
    assert [row["path"] for row in errors if row["dispute"]] == [cracked[3].path]
    assert [bool(row["overlay"]) for row in errors] == [True] * 2 + [False] * 22
    logits = [float(row["logit"]) for row in errors]
    assert logits == sorted(logits)
    groups = rows(out / "groups.csv")
    assert {row["kind"] for row in groups} == {"false negative", "false positive"}
    report = (out / "errors.md").read_text(encoding="utf-8")
    assert "24 of 24 cracks missed" in report
    assert "The labels of 1 of these 24 errors are disputed" in report
    assert (out / "false_negatives_dark-int8-ptq.png").is_file()
    assert not (out / "false_positives_dark-int8-ptq.png").exists()


def test_a_model_without_errors_leaves_tables_without_rows(tmp_path: Path) -> None:
    write_dark_model(tmp_path / "dark.tflite")
    for name, level in (("crack", 20), ("no_crack", 230)):
        (tmp_path / "data" / name).mkdir(parents=True)
        for number in range(8):
            pixels = np.asarray(draw_tile(0, number)).astype(int) - 160 + level
            Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(tmp_path / "data" / name / f"{number}.png")
    out = tmp_path / "out"
    options = ["--data", str(tmp_path / "data"), "--policy", "plain", "--split", "all", "--errors", *OCCLUSION]
    assert main([str(tmp_path / "dark.tflite"), *options, "--out", str(out)]) == 0
    assert rows(out / "errors.csv") == rows(out / "index.csv") == []
    assert "0 of 8 cracks missed, 0 false alarms on 8 clean tiles" in (out / "errors.md").read_text(encoding="utf-8")


def test_errors_of_a_trained_model_are_shown_beside_their_nearest_training_tiles(
    tiny_run: Path, tiny_manifest: Manifest, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    blind = tmp_path / "blind" / "model.keras"
    blind.parent.mkdir()
    shutil.copy(tiny_run / "model.keras", blind)
    sidecar = read_sidecar(tiny_run / "model.keras")
    never = Threshold(float(sigmoid(50.0)), 50.0, None, None, None)  # a threshold that no tile reaches
    write_sidecar(blind, replace(sidecar, threshold=never))
    out = tmp_path / "out"
    options = ["--data", str(tiny_manifest.source), "--errors", "--methods", "gradcam", "--neighbours", "2"]
    assert main([str(blind), *options, "--out", str(out)]) == 0
    errors = rows(out / "errors.csv")
    assert len(errors) == 4
    trained = {item.path for item in tiny_manifest.split("train")}
    for row in errors:
        near = [text.split(" (")[0] for text in row["nearest_training"].split("; ")]
        assert len(near) == 2
        assert set(near) <= trained
    picture = Image.open(out / "false_negatives_opnet-keras.png")
    assert picture.width > 4 * 168  # tile, map and two training tiles
    # Nobody looks for what is not to be shown.
    without = tmp_path / "without"
    write_sidecar(blind, replace(sidecar, threshold=never, training={}))  # of which nobody knows what trained it
    capsys.readouterr()
    assert main([str(blind), *options[:-1], "0", "--out", str(without)]) == 0
    assert "nearest training tiles" not in capsys.readouterr().err
    assert {row["nearest_training"] for row in rows(without / "errors.csv")} == {""}
    assert Image.open(without / "false_negatives_opnet-keras.png").width < picture.width
    assert main([str(blind), *options[:-1], "0", "--training", "train.csv", "--out", str(tmp_path / "new")]) == 2
    assert "--neighbours 0 shows no training tiles" in capsys.readouterr().err


def test_a_training_tile_is_nearest_to_itself(tiny_run: Path, tiny_manifest: Manifest) -> None:
    explainer = Explainer(tiny_run)
    pool = TrainingTiles(explainer, tiny_manifest, 8)
    found = pool.nearest(np.asarray(pool.images), 3)
    for place, neighbours in enumerate(found):
        assert neighbours[0].similarity == pytest.approx(1)
        assert neighbours[0].similarity >= neighbours[1].similarity >= neighbours[2].similarity
        assert place in [near.place for near in neighbours if near.similarity > 1 - 1e-6]


def test_a_segmentation_set_has_no_errors_of_this_kind(
    dark: str,
    tiny_manifest: Manifest,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    items = tuple(replace(item, mask="m.png", mask_sha256="0" * 64) for item in tiny_manifest.items)
    monkeypatch.setattr("crack_tf.explain.analysing.prepare", lambda *_: replace(tiny_manifest, items=items))
    assert main([dark, "--data", "tiny", "--errors", *OCCLUSION, "--out", str(tmp_path / "out")]) == 2
    assert "is a segmentation set. See --faithfulness" in capsys.readouterr().err


def masked_photographs(root: Path) -> None:
    """Six photographs with a line across, and their masks."""
    for name in ("images", "masks"):
        (root / name).mkdir(parents=True)
    for number in range(6):
        draw_tile(0, number, 240).save(root / "images" / f"{number}.png")
        mask = np.zeros((240, 240), np.uint8)
        mask[100 + number : 108 + number] = 255
        Image.fromarray(mask).save(root / "masks" / f"{number}.png")


def test_tiles_are_cut_from_photographs_with_masks(dark: str, tmp_path: Path) -> None:
    masked_photographs(tmp_path / "walls")
    out = tmp_path / "out"
    options = ["--faithfulness", "--data", str(tmp_path / "walls"), "--split", "all", "--limit", "2", *OCCLUSION]
    assert main([dark, *options, "--out", str(out)]) == 0
    table = rows(out / "faithfulness.csv")
    assert table[0]["tiles"] == "2"
    assert 0 < float(table[0]["mask_area"]) < 0.2


def test_the_report_on_explanations_fits_models_of_all_kinds(dark: str, tiny_run: Path) -> None:
    for path in (dark, str(tiny_run), str(tiny_run / "model.keras")):
        assert choose([path], "05") == EXPLANATION
    assert choose([str(tiny_run)], None) == TRAINING  # unless asked for


def test_a_gallery_shows_a_limited_number_of_tiles(
    dark: str, tiles: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(running, "GALLERY_ROWS", 1)
    assert main([dark, "--tiles", *tiles, *OCCLUSION, "--out", str(tmp_path / "one")]) == 0
    monkeypatch.setattr(running, "GALLERY_ROWS", 2)
    assert main([dark, "--tiles", *tiles, *OCCLUSION, "--out", str(tmp_path / "two")]) == 0
    heights = [Image.open(tmp_path / name / "gallery.png").height for name in ("one", "two")]
    assert heights[1] > heights[0] + 150
