"""A data set split from Python: the manifest, what is told, and arguments that cannot be."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from crack_tf.data.splitting import SplitConfig, split_source
from tflite.errors import CrackError
from tflite.manifest import read_manifest


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Twenty tiles of each class, and a file that is none."""
    rng = np.random.default_rng(0)
    for name in ("crack", "no_crack"):
        (tmp_path / "tiles" / name).mkdir(parents=True)
        for number in range(20):
            pixels = rng.integers(0, 256, (24, 24, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / "tiles" / name / f"{number:02d}.png")
    (tmp_path / "tiles/crack/broken.png").write_bytes(b"")
    return tmp_path / "tiles"


def test_a_split_returns_what_its_file_holds_and_what_is_missing(folder: Path, tmp_path: Path) -> None:
    done = split_source(folder, tmp_path / "split.csv", SplitConfig(policy="plain", seed=3))
    assert done.manifest.items == read_manifest(done.path).items
    assert (done.manifest.policy, done.manifest.seed, len(done.manifest.items)) == ("plain", 3, 40)
    assert done.gap == "1 file cannot be used, and is no part of this"
    assert done.lines()[-1] == f"written: {tmp_path / 'split.csv'}"
    assert any("broken.png" in line for line in done.lines())


def test_a_manifest_is_replaced_when_asked_only(folder: Path, tmp_path: Path) -> None:
    first = split_source(folder, tmp_path / "split.csv").path.read_bytes()
    with pytest.raises(CrackError, match=r"split\.csv"):
        split_source(folder, tmp_path / "split.csv", SplitConfig(seed=1))
    assert (tmp_path / "split.csv").read_bytes() == first
    split_source(folder, tmp_path / "split.csv", SplitConfig(seed=1), overwrite=True)
    assert (tmp_path / "split.csv").read_bytes() != first


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"policy": "random"}, "--policy 'random': choose one of grouped"),
        ({"seed": -1}, "--seed -1: give a whole number from 0"),
        ({"threads": 0}, "--threads 0: give a whole number from 1"),
        ({"clean": "yes"}, "--clean 'yes': give True or False"),
    ],
)
def test_an_impossible_setting_is_named(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(CrackError, match=words):
        SplitConfig(**settings)


def test_arguments_of_another_kind_are_named(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(CrackError, match="out is None: give a manifest file"):
        split_source(folder, None)  # type: ignore[arg-type]
    with pytest.raises(CrackError, match=r"config is \{'seed': 1\}"):
        split_source(folder, tmp_path / "split.csv", {"seed": 1})  # type: ignore[arg-type]
    assert not (tmp_path / "split.csv").exists()
