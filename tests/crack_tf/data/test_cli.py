"""`python -m crack_tf.data`: exit codes, files written, nothing overwritten or half-written."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from crack_tf.data.__main__ import main
from crack_tf.data.registry import prepare
from tests.crack_tf.data.drawn_pairs import write_set
from tflite.manifest import read_manifest


def fill(folder: Path, count: int) -> None:
    folder.mkdir(parents=True)
    rng = np.random.default_rng([count, *folder.name.encode()])
    for k in range(count):
        Image.fromarray(rng.integers(0, 256, (24, 24, 3), dtype=np.uint8)).save(folder / f"{k:03d}.png")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "tiles"
    fill(root / "crack", 20)
    fill(root / "no_crack", 20)
    (root / "crack/broken.png").write_bytes(b"")
    with Image.open(root / "crack/000.png") as image:
        image.transpose(Image.Transpose.FLIP_TOP_BOTTOM).save(root / "crack/flipped.png")
    return root


@pytest.mark.slow
def test_audit_writes_tables_and_plots(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "audit"
    assert main(["audit", str(folder), "--out", str(out)]) == 1
    with (out / "audit.csv").open() as stream:
        rows = {row["path"]: row for row in csv.DictReader(stream)}
    assert len(rows) == 42
    assert "0 bytes" in rows["crack/broken.png"]["error"]
    with (out / "copies.csv").open() as stream:
        (copy,) = csv.DictReader(stream)
    assert (copy["first"], copy["second"], copy["transform"]) == ("crack/000.png", "crack/flipped.png", "flipped")
    assert json.loads((out / "summary.json").read_text())["unreadable"] == 1
    for name in ("overview.png", "samples.png", "copies.png"):
        with Image.open(out / name) as image:
            image.load()
            assert image.width > 300
    printed, told = capsys.readouterr()
    assert "pairs flipped" in printed
    assert "crack/broken.png" in printed
    assert told.splitlines()[-1] == "warning: 1 file cannot be used, and is no part of this"


@pytest.mark.slow
def test_audit_does_not_overwrite_unless_told(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "audit"
    out.mkdir()
    (out / "mine.txt").touch()
    assert main(["audit", str(folder), "--out", str(out)]) == 2
    assert "exists already" in capsys.readouterr().err
    assert main(["audit", str(folder), "--out", str(out), "--overwrite"]) == 2
    assert "holds no result of crack-tf data audit" in capsys.readouterr().err
    assert [path.name for path in out.iterdir()] == ["mine.txt"]
    (out / "mine.txt").unlink()
    assert main(["audit", str(folder), "--out", str(out)]) == 1
    (out / "mine.txt").touch()
    assert main(["audit", str(folder), "--out", str(out), "--overwrite"]) == 1
    assert (out / "mine.txt").exists()


def test_split_writes_a_manifest_that_reads_back(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "split.csv"
    command = ["split", str(folder), "--policy", "grouped", "--seed", "5", "--out", str(out)]
    assert main(command) == 1
    manifest = read_manifest(out)
    assert (manifest.policy, manifest.seed, len(manifest.items)) == ("grouped", 5, 41)
    assert "1 unreadable files, left out" in capsys.readouterr().out
    before = out.read_bytes()
    assert main(command) == 2
    assert main([*command, "--overwrite", "--leave-out"]) == 0
    assert out.read_bytes() == before
    assert "crack/broken.png" in capsys.readouterr().out
    (folder / "crack/broken.png").unlink()
    assert main([*command, "--overwrite"]) == 0


def test_a_set_used_by_its_name_tells_each_time_what_is_missing_from_it(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for _ in range(2):
        assert len(prepare(str(folder)).items) == 41
        assert "tiles: warning: left out: crack/broken.png is empty (0 bytes)" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["split", "nowhere", "--out", "{tmp}/a.csv"], "nowhere does not exist"),
        (["split", "{tmp}", "--out", "{tmp}/a.txt"], "must end in .csv"),
        (["audit", "{tmp}", "--out", "{tmp}/out"], "no class folders"),
        (["fetch", "imagenet"], "'imagenet' is unknown"),
        (["fetch", "metu", "--count", "5"], "--count: only the synthetic data sets"),
        (["mix", "{tmp}/one.csv", "--out", "{tmp}/mix.csv"], "does not exist"),
        (["mix", "{tmp}/one.csv", "--out", "{tmp}/mix.txt"], "must end in .csv"),
        (["fetch", "synthetic", "--count", "5"], "need --out"),
    ],
)
def test_user_errors_exit_2_with_one_line(
    arguments: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([part.replace("{tmp}", str(tmp_path)) for part in arguments]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_fetch_synthetic_writes_tiles_that_audit_takes(tmp_path: Path) -> None:
    out = tmp_path / "made"
    assert main(["fetch", "synthetic", "--out", str(out), "--count", "8", "--size", "32", "--seed", "1"]) == 0
    assert main(["audit", str(out), "--out", str(tmp_path / "audit")]) == 0
    summary = json.loads((tmp_path / "audit/summary.json").read_text())
    assert {name: numbers["files"] for name, numbers in summary["classes"].items()} == {"crack": 4, "no_crack": 4}


def test_list_names_every_data_set(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list"]) == 0
    printed = capsys.readouterr().out
    assert all(name in printed for name in ("synthetic", "metu", "sdnet2018", "FOLDER", "CC-BY-4.0"))
    assert all(
        name in printed for name in ("synthetic_masks", "crack500", "deepcrack", "conglomerate", "research only")
    )


def test_audit_of_pairs_counts_problems_and_names_masks_off_their_crack(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_set(tmp_path / "walls")
    masks = tmp_path / "walls/masks"
    (masks / "a02.png").unlink()
    with Image.open(masks / "a01.png") as image:
        moved = np.roll(np.asarray(image), 8, axis=0)
    moved[:8] = 0
    Image.fromarray(moved).save(masks / "a01.png")
    out = tmp_path / "audit"
    assert main(["audit", str(tmp_path / "walls"), "--out", str(out)]) == 1
    printed = capsys.readouterr().out
    assert "20 pairs, 6 of them crack-free" in printed
    assert "problem: 1 mask missing" in printed
    assert "masks that fit much better when moved: 1" in printed
    assert "masks/a01.png" in printed
    with (out / "audit.csv").open() as stream:
        rows = {row["path"]: row for row in csv.DictReader(stream)}
    assert rows["images/a02.jpg"]["problem"] == "mask missing"
    assert int(rows["images/a01.jpg"]["shift_y"]) < -4
    numbers = json.loads((out / "summary.json").read_text())
    assert (numbers["masks"]["misaligned"], numbers["masks"]["crack_free"]) == (1, 6)
    for name in ("overview.png", "samples.png", "misaligned.png", "copies.png"):
        with Image.open(out / name) as image:
            image.load()


def test_a_split_of_pairs_stops_at_problems_unless_told_otherwise(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_set(tmp_path / "walls")
    (tmp_path / "walls/masks/a02.png").unlink()
    command = ["split", str(tmp_path / "walls"), "--out", str(tmp_path / "walls.csv")]
    assert main(command) == 2
    error = capsys.readouterr().err
    assert "1 of 20 pairs of walls have a problem (1 mask missing)" in error
    assert error.count("\n") == 1
    assert not (tmp_path / "walls.csv").exists()
    assert main([*command, "--leave-out"]) == 0
    assert "1 pair with a problem" in capsys.readouterr().out
    manifest = read_manifest(tmp_path / "walls.csv")
    assert (manifest.task, len(manifest.items)) == ("segment", 19)


def test_mix_writes_one_manifest(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, seed in (("walls", 0), ("decks", 50)):
        write_set(tmp_path / name, seed=seed)
        assert main(["split", str(tmp_path / name), "--out", str(tmp_path / f"{name}.csv")]) == 0
    command = ["mix", str(tmp_path / "walls.csv"), str(tmp_path / "decks.csv"), "--out", str(tmp_path / "mix.csv")]
    assert main(command) == 0
    assert "walls+decks-grouped" in capsys.readouterr().out
    assert len(read_manifest(tmp_path / "mix.csv").items) == 40
    assert main(command) == 2
    assert "exists already" in capsys.readouterr().err


def test_fetch_synthetic_masks_writes_pairs_that_split_takes(tmp_path: Path) -> None:
    out = tmp_path / "made"
    assert main(["fetch", "synthetic_masks", "--out", str(out), "--count", "16", "--size", "64"]) == 0
    assert main(["split", str(out), "--out", str(tmp_path / "made.csv")]) == 0
    manifest = read_manifest(tmp_path / "made.csv")
    assert manifest.task == "segment"
    assert sum(item.label for item in manifest.items) == 8


def test_interrupt_exits_130_and_writes_nothing(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("crack_tf.data.folders.read_record", interrupted)
    assert main(["split", str(folder), "--out", str(tmp_path / "split.csv")]) == 130
    assert "Nothing was written" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["tiles"]


def test_help_is_quick() -> None:
    started = time.perf_counter()
    subprocess.run([sys.executable, "-m", "crack_tf.data", "--help"], check=True, capture_output=True)
    heavy = "import sys, crack_tf.data.__main__; print([m for m in ('numpy', 'matplotlib', 'tensorflow') if m in sys.modules])"
    loaded = subprocess.run([sys.executable, "-c", heavy], check=True, capture_output=True, text=True).stdout
    assert loaded.strip() == "[]"
    assert time.perf_counter() - started < 10  # on a loaded machine; what counts is that nothing heavy is imported
