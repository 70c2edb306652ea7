"""The suite on a model that measures brightness: tables count rightly, answers are kept, the command writes everything."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from crack_tf import suite as command
from crack_tf.evaluation.suite import candidates, sets, tables
from crack_tf.evaluation.suite.answers import Answers, TestSet
from crack_tf.evaluation.suite.config import OUTPUT, PICTURES
from crack_tf.evaluation.suite.corruptions import CORRUPTIONS, SEVERITIES
from crack_tf.evaluation.suite.plots import PLOTS, matrix_plot
from crack_tf.evaluation.suite.rows import SplitRow
from crack_tf.inference.predictor import load_predictor
from tests.dark_model import SIZE, write_dark_model
from tflite.errors import CrackError

TILES = 24


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "dark.tflite"
    write_dark_model(path)
    return path


def grey_tiles(levels: np.ndarray, side: int = 2 * SIZE) -> np.ndarray:
    return np.broadcast_to(levels[:, None, None, None], (len(levels), side, side, 3)).astype(np.uint8)


@pytest.fixture
def tiles() -> TestSet:
    """Twelve dark tiles called cracked and twelve bright clean ones; the model gets one of each wrong."""
    levels = np.array([20] * 11 + [220] + [220] * 11 + [20])
    return TestSet("greys", grey_tiles(levels), np.repeat([1, 0], 12).astype(np.int8), "ab12", "test")


def test_a_split_row_counts_both_kinds_of_error(model: Path, tiles: TestSet, tmp_path: Path) -> None:
    row = tables.split_row(Answers(tmp_path / "kept"), "dark", model, tiles)
    assert (row.tp, row.fn, row.tn, row.fp) == (11, 1, 11, 1)
    assert row.auc_low is not None
    assert row.auc is not None
    assert row.auc_high is not None
    assert row.auc_low <= row.auc <= row.auc_high
    assert row.n == TILES


def test_answers_are_asked_once_and_do_not_depend_on_threads(model: Path, tiles: TestSet, tmp_path: Path) -> None:
    many = Answers(tmp_path / "one", jobs=3).logits(model, tiles, "noise", 2)
    single = Answers(tmp_path / "two", jobs=1).logits(model, tiles, "noise", 2)
    assert np.array_equal(many, single)
    kept = list((tmp_path / "one").glob("*.npy"))
    assert len(kept) == 1
    np.save(kept[0], np.full(TILES, 7, np.float32))
    assert (Answers(tmp_path / "one").logits(model, tiles, "noise", 2) == 7).all()


def test_a_damaged_answer_is_asked_again(model: Path, tiles: TestSet, tmp_path: Path) -> None:
    first = Answers(tmp_path / "kept").logits(model, tiles)
    next((tmp_path / "kept").glob("*.npy")).write_bytes(b"half")
    assert np.array_equal(Answers(tmp_path / "kept").logits(model, tiles), first)


def test_answers_to_corrupted_tiles_differ_from_those_to_clean_ones(
    model: Path, tiles: TestSet, tmp_path: Path
) -> None:
    answers = Answers(tmp_path / "kept")
    assert not np.array_equal(answers.logits(model, tiles), answers.logits(model, tiles, "low_light", 5))


def test_corruption_rows_cover_all_severities_and_give_the_change(model: Path, tiles: TestSet, tmp_path: Path) -> None:
    rows = tables.corruption_rows(Answers(tmp_path / "kept"), "dark", model, tiles)
    assert len(rows) == len(CORRUPTIONS) * len(SEVERITIES)
    worst = next(row for row in rows if (row.corruption, row.severity) == ("low_light", 5))
    # In the dark everything is dark, and dark is cracked.
    assert worst.recall == 1.0
    assert worst.specificity == 0.0
    assert worst.specificity_change_points == pytest.approx(-100 * 11 / 12)
    found = tables.worst_corruptions(rows, 5)
    assert found[0].specificity == 0.0


def test_the_halves_of_a_set_share_no_tile(tiles: TestSet) -> None:
    one, two = tiles.half(0), tiles.half(1)
    assert not (one & two).any()
    assert (one | two).all()
    assert tiles.labels[one].sum() == tiles.labels[two].sum() == 6


def test_the_calibration_row_says_what_can_be_promised(model: Path, tiles: TestSet, tmp_path: Path) -> None:
    row = tables.calibration_row(Answers(tmp_path / "kept"), "dark", model, tiles, tiles)
    assert row.calibration_cracks == 18
    assert row.smallest_risk_provable == pytest.approx(1 / 19)
    # Eighteen cracks cannot promise one miss in a thousand: everything is uncertain, and nothing is missed.
    assert row.low_probability is None
    assert row.uncertain_share == 1.0
    assert row.missed_below_low == 0


def test_a_set_without_an_area_has_no_column_in_the_picture(tmp_path: Path) -> None:
    cells: tuple[Any, ...] = (
        "dark",
        "int8",
        "0",
        "here",
        "here",
        "test",
        "0",
        9,
        3,
        1,
        4,
        1,
        *[None] * 9,
        0.9,
        0.8,
        1.0,
    )
    row = SplitRow(*cells)
    scenes = replace(row, set="scenes", auc=None)
    matrix_plot([row, scenes], tmp_path / "both.png")
    matrix_plot([row], tmp_path / "one.png")
    both, one = (np.asarray(Image.open(tmp_path / name)) for name in ("both.png", "one.png"))
    assert np.array_equal(both, one)
    matrix_plot([scenes], tmp_path / "none.png")
    assert not (tmp_path / "none.png").exists()


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    for name, low, high in (("crack", 0, 90), ("no_crack", 160, 255)):
        folder = tmp_path / "data" / name
        folder.mkdir(parents=True)
        for number in range(TILES):
            Image.fromarray(rng.integers(low, high, (40, 40, 3), dtype=np.uint8)).save(folder / f"{number:02}.png")
    return tmp_path / "data"


@pytest.fixture
def small_sets(dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CRACK_TF_CACHE", str(tmp_path / "cache"))
    here = [sets.Chosen("here", str(dataset), "grouped", split, 40) for split in ("test", "val")]
    monkeypatch.setattr(sets, "METU", here[0])
    monkeypatch.setattr(sets, "METU_PLAIN", here[0])
    monkeypatch.setattr(sets, "METU_VAL", here[1])
    gone = sets.Chosen("gone", str(tmp_path / "nowhere"), "grouped", "all", 40)
    monkeypatch.setattr(sets, "DOMAINS", (here[0], gone))


PARTS = "splits,matrix,corruptions,prevalence,calibration,cost"


def test_every_picture_has_its_table_and_is_known_as_the_suites() -> None:
    assert PLOTS.keys() == PICTURES.keys()
    assert {f"{table}.csv" for table in PICTURES} <= set(OUTPUT.files)
    assert {"scenes-photographs.csv", "scenes_froc.png"} <= set(OUTPUT.files)


@pytest.mark.slow
@pytest.mark.usefixtures("small_sets")
def test_the_command_writes_tables_plots_and_a_page(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("crack_tf.evaluation.suite.cost.WIDTH", 500)
    monkeypatch.setattr("crack_tf.evaluation.suite.cost.HEIGHT", 500)
    out = tmp_path / "out"
    assert command.main(["--suite", str(model), "--parts", PARTS, "--out", str(out)]) == 0
    names = {path.name for path in out.iterdir()}
    assert {f"{part}.csv" for part in PARTS.split(",")} | {"summary.md", "suite.json"} <= names
    assert {"matrix.png", "corruptions.png", "prevalence.png"} <= names <= set(OUTPUT.files)
    printed = capsys.readouterr()
    assert "gone is left out" in printed.err
    assert "1.0000" in (out / "summary.md").read_text(encoding="utf-8")
    with (out / "matrix.csv").open(encoding="utf-8") as stream:
        (row,) = csv.DictReader(stream)
    assert float(row["recall"]) == float(row["specificity"]) == 1.0
    again = ["--suite", str(model), "--parts", "prevalence,splits", "--out", str(out)]
    assert command.main(again) == 2
    assert "--overwrite" in capsys.readouterr().err
    cost, page = (out / "cost.csv").read_bytes(), (out / "summary.md").read_text(encoding="utf-8")
    assert command.main([*again, "--overwrite"]) == 0
    assert (out / "cost.csv").read_bytes() == cost
    assert (out / "summary.md").read_text(encoding="utf-8") == page
    first, second = json.loads((out / "suite.json").read_text(encoding="utf-8"))["runs"]
    assert second["parts"] == ["prevalence", "splits"]
    assert first["parts"] == ["matrix", "corruptions", "calibration", "cost"]


@pytest.mark.usefixtures("small_sets")
@pytest.mark.parametrize(
    ("learned", "name", "split"), [("here+synthetic", "whole test", "test"), ("metu", "whole", "all")]
)
def test_a_set_that_a_model_learned_from_is_asked_by_its_test_split_alone(
    learned: str, name: str, split: str, dataset: Path, tmp_path: Path
) -> None:
    learned = learned.replace("here", dataset.name)
    write_dark_model(tmp_path / "dark.tflite", training={"dataset": learned, "policy": "grouped", "seed": 0})
    whole = sets.Chosen("whole", str(dataset), "grouped", "all", 40)
    asked = sets.seen_by(load_predictor(tmp_path / "dark.tflite"), whole)
    assert (asked.label, asked.split) == (name, split)
    tested = sets.Chosen("tested", str(dataset), "grouped", "test", 40)
    assert sets.seen_by(load_predictor(tmp_path / "dark.tflite"), tested) == tested


@pytest.mark.parametrize(
    ("options", "words"),
    [(["--parts", "beauty"], "--parts"), (["--parts", ","], "--parts"), (["nothing.tflite"], "nothing.tflite")],
)
def test_wrong_options_end_with_one_message(
    options: list[str], words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command.main(["--suite", *options, "--out", str(tmp_path / "out")]) == 2
    assert words in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_a_candidate_is_built_quantised_and_timed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(candidates, "_SECONDS", 0.1)
    row = candidates.candidate_row("opnet_lite_nano", tmp_path)
    assert row.parameters > 1000
    assert row.int8_bytes > 1000
    assert 0 < row.min_ms <= row.p50_ms <= row.p90_ms
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_an_unknown_candidate_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CrackError, match="VGG-16"):
        candidates.candidate_row("alexnet", tmp_path)
