"""Faithfulness runs put together: one table over all tiles and each source, and what is refused."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

import pytest

from crack_tf.explain.__main__ import main as explain
from crack_tf.explain.explainer import Explanation
from crack_tf.explain.store import Explained
from studies.explain_summary import FILES, completeness_rows, main
from tests.dark_model import write_dark_model
from tests.pairs_on_disk import write_pairs
from tflite.manifest import Manifest

MakeRun = Callable[..., Path]


@pytest.fixture
def make_run(tmp_path: Path) -> MakeRun:
    """Explains tiles with a model that sees dark; returns the run's folder."""
    model = tmp_path / "dark.tflite"
    write_dark_model(model)

    def make(name: str, *options: str) -> Path:
        out = tmp_path / name
        assert explain([str(model), *options, "--methods", "occlusion", "--limit", "3", "--out", str(out)]) == 0
        return out

    return make


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


@pytest.mark.slow
def test_sources_stand_beside_all_tiles_together(
    make_run: MakeRun, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pairs = str(write_pairs(tmp_path / "pairs").source)
    drawn = make_run("drawn", "--faithfulness", "--data", "synthetic")
    cut = make_run("cut", "--faithfulness", "--data", pairs)
    out = tmp_path / "out"
    assert main([str(drawn), str(cut), "--out", str(out)]) == 0
    assert sorted(path.name for path in out.iterdir()) == sorted(FILES)
    found = {(row["source"], row["method"]): row for row in rows(out / "faithfulness.csv") if row["subset"] == "all"}
    sources = list(dict.fromkeys(source for source, _ in found))
    assert sources == ["all", "synthetic masks", "pairs-plain test"]
    assert {method for _, method in found} == {"occlusion", "random"}
    tiles = [int(found[source, "occlusion"]["tiles"]) for source in sources]
    assert tiles[0] == tiles[1] + tiles[2] == 6
    hits = [int(found[source, "occlusion"]["pointing_hits"]) for source in sources]
    assert hits[0] == hits[1] + hits[2]
    row = found["all", "occlusion"]
    inside = f"{float(row['inside']):.3f} [{float(row['inside_low']):.3f}, {float(row['inside_high']):.3f}]"
    assert f"| {inside} | {float(row['mask_area']):.3f} | {hits[0]}/6 [" in (out / "summary.md").read_text("utf-8")
    capsys.readouterr()
    assert main([str(drawn), "--out", str(out)]) == 2
    assert "exists already" in capsys.readouterr().err
    assert main([str(drawn), "--out", str(out), "--overwrite"]) == 0


def test_runs_that_cannot_be_put_together_are_refused(
    make_run: MakeRun, tiny_manifest: Manifest, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    drawn = make_run("drawn", "--faithfulness", "--data", "synthetic")
    without_masks = make_run("plain", "--faithfulness", "--data", str(tiny_manifest.source))
    not_measured = make_run("maps", "--data", str(tiny_manifest.source))
    halves = make_run("halves", "--faithfulness", "--data", "synthetic")
    next(halves.glob("arrays/*/*.npz")).unlink()
    cases = [
        ([drawn, drawn], "has tiles of 'synthetic masks' again"),
        ([without_masks], "its tiles have no masks"),
        ([not_measured], "measured nothing"),
        ([halves], "has 2 of 3 tiles"),
        ([tmp_path], "is no run of crack-tf explain"),
    ]
    for runs, message in cases:
        capsys.readouterr()
        assert main([*map(str, runs), "--out", str(tmp_path / "out")]) == 2
        assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_maps_that_do_not_add_up_are_counted() -> None:
    import numpy as np

    def tile(error: float, steps: int) -> Explained:
        facts = {"network_logit": 3.0, "baseline_logit": -1.0, "completeness_error": error, "steps": steps}
        part = Explanation("ig-blurred", np.zeros((2, 2), np.float32), facts | {"complete": abs(error) <= 0.04})
        return Explained("opnet", 0, "a", 1, 3.0, 0.0, (part,), {})

    (row,) = completeness_rows([tile(0.02, 16), tile(-0.03, 32), tile(0.4, 512)])
    assert (row["tiles"], row["complete"], row["median_steps"], row["most_steps"]) == (3, 2, 32, 512)
    assert row["worst_error"] == pytest.approx(0.1)
