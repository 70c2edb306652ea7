"""The device bundle on an emulated Raspberry Pi 4 and 5: `make emulated-pi` prepares both and runs these tests."""

from __future__ import annotations

import csv
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.emulated_pi.machine import Machine, make_machine
from tests.emulated_pi.measure import DELEGATES, TABLE, check, rows
from tests.emulated_pi.userland import Userland
from tflite.device.journal import read_journal
from tflite.files import write_csv
from tflite.images import list_images

FOLDER = os.environ.get("CRACK_TF_EMULATED_PI")
pytestmark = [
    pytest.mark.skipif(not FOLDER, reason="needs an arm64 user-space: make emulated-pi"),
    pytest.mark.timeout(3600),  # a bundle of 224-pixel models takes seconds per tile
]
INT8_STEPS = {"xnnpack": 1, "none": 2}  # largest difference from x86 that is rounding, in steps of the int8 output
TILES_PI_5 = "4"


@pytest.fixture(scope="module")
def folder() -> Path:
    """What tests.emulated_pi.prepare made."""
    assert FOLDER
    return Path(FOLDER).absolute()


@pytest.fixture(scope="module")
def bundle(folder: Path) -> Path:
    """The unpacked bundle. Do not change it."""
    return folder / "bundle"


@pytest.fixture(scope="module")
def pi_4(folder: Path) -> Machine:
    return make_machine(Userland((folder / "userland").resolve()), "cortex-a72", folder / "cortex-a72")


@pytest.fixture(scope="module")
def pi_5(folder: Path) -> Machine:
    return make_machine(Userland((folder / "userland").resolve()), "cortex-a76", folder / "cortex-a76")


@pytest.fixture(scope="module")
def record(pi_4: Machine, bundle: Path, folder: Path) -> dict[str, Any]:
    """The record of a check of the whole bundle with and without XNNPACK; it stands in `folder` as a table too."""
    record = check(pi_4, bundle, folder / "check-cortex-a72.json", "--delegate", DELEGATES, quiet=True)
    write_csv(folder / TABLE, rows(record))
    return record


def test_python_is_arm64_and_can_start_itself(pi_4: Machine, bundle: Path) -> None:
    code = "import platform; from tflite.isolate import can_spawn; print(platform.machine(), can_spawn())"
    assert pi_4.run("-c", code, cwd=bundle).stdout == "aarch64 True\n"


def test_no_result_passes_for_one_of_a_real_pi(record: dict[str, Any]) -> None:
    assert record["board"]["model"] == "emulated cortex-a72 (qemu-user)"


def test_check_accepts_every_model_with_xnnpack_and_without(record: dict[str, Any], bundle: Path) -> None:
    models = sorted(path.stem for path in (bundle / "models").glob("*.tflite"))
    assert record["ok"]
    assert sorted((row["model"], row["delegate"]) for row in record["rows"]) == sorted(
        (model, delegate) for model in models for delegate in DELEGATES.split(",")
    )
    assert all((row["delegate_nodes"] > 0) == (row["delegate"] == "xnnpack") for row in record["rows"])


def test_every_tile_decodes_to_the_workstations_pixels(record: dict[str, Any]) -> None:
    assert [row["same_pixels"] for row in record["rows"]] == [row["tiles"] for row in record["rows"]]


def test_int8_outputs_are_those_of_x86_but_for_rounding(record: dict[str, Any]) -> None:
    quantised = [row for row in record["rows"] if row["unit"] == "step"]
    assert quantised
    assert {(r["model"], r["delegate"]) for r in quantised if r["max_difference"] > INT8_STEPS[r["delegate"]]} == set()


def test_benchmark_counts_the_accuracy_that_the_check_counted(
    pi_4: Machine, bundle: Path, record: dict[str, Any], tmp_path: Path
) -> None:
    # The smallest, since fifty timed runs are the least a benchmark takes. Its times are not looked at.
    model = min((bundle / "models").glob("*.tflite"), key=lambda path: path.stat().st_size)
    words = ["-m", "tflite.benchmark", str(model), "--manifest", "evaluation/manifest.csv", "--threads", "1"]
    words += ["--delegate", "xnnpack", "--runs", "50", "--warmup", "0", "--out", str(tmp_path)]
    done = pi_4.run(*words, cwd=bundle, timeout=3000)
    assert done.returncode == 0, done.stderr
    (table,) = tmp_path.glob("benchmark-aarch64-emulated-cortex-a72-*.csv")
    with table.open(newline="", encoding="utf-8") as stream:
        (row,) = csv.DictReader(stream)
    (checked,) = (r for r in record["rows"] if (r["model"], r["delegate"]) == (model.stem, "xnnpack"))
    assert int(row["tiles"]) == checked["tiles"]
    assert int(row["tp"]) + int(row["tn"]) == checked["correct"]


def test_run_journals_the_cracks_that_x86_finds(pi_4: Machine, bundle: Path, tmp_path: Path) -> None:
    model = min((bundle / "models").glob("*int8*.tflite"), key=lambda path: path.stat().st_size)
    photographs = make_photographs(bundle, tmp_path / "photographs")
    words = ["-m", "tflite.device", "run", "--source", str(photographs), "--model", str(model), "--threads", "1"]
    done = pi_4.run(*words, "--out", tmp_path / "arm64", cwd=bundle)
    assert done.returncode == 0, done.stderr
    subprocess.run([sys.executable, *words, "--out", tmp_path / "x86"], cwd=bundle, check=True, capture_output=True)
    here, there = read_journal(tmp_path / "arm64"), read_journal(tmp_path / "x86")
    assert here.finished
    assert set(here.frames) == set(there.frames) == {path.name for path in photographs.iterdir()}
    assert there.positives
    found = [
        {(line["frame"], *line["tile"].values()): line["score"]["raw"] for line in journal.positives}
        for journal in (here, there)
    ]
    assert found[0].keys() == found[1].keys()
    assert all(abs(raw - found[1][place]) <= INT8_STEPS["xnnpack"] for place, raw in found[0].items())


def make_photographs(bundle: Path, folder: Path) -> Path:
    """Two photographs of four evaluation tiles each, which start with a cracked one: as large as four tiles of the model."""
    from tflite.manifest import read_manifest

    manifest = read_manifest(bundle / "evaluation/manifest.csv")
    folder.mkdir()
    cracked, clean = ([item for item in manifest.items if item.label == label] for label in (1, 0))
    for number in range(2):
        tiles = [manifest.folder() / item.path for pair in zip(cracked, clean, strict=False) for item in pair]
        images = [Image.open(path).convert("RGB") for path in tiles[4 * number : 4 * number + 4]]
        side = images[0].width
        photograph = Image.new("RGB", (2 * side, 2 * side))
        for position, image in enumerate(images):
            photograph.paste(image, (position % 2 * side, position // 2 * side))
        photograph.save(folder / f"{number}.png")
    return folder


@pytest.mark.parametrize("damage", ["flipped", "missing"])
def test_check_refuses_a_damaged_bundle_and_names_the_file(
    damage: str, pi_4: Machine, bundle: Path, tmp_path: Path
) -> None:
    copy = shutil.copytree(bundle, tmp_path / "bundle")
    if damage == "flipped":
        victim = min((copy / "models").glob("*.tflite"), key=lambda path: path.stat().st_size)
        data = bytearray(victim.read_bytes())
        data[len(data) // 2] ^= 1
        victim.write_bytes(data)
    else:
        victim = list_images(copy / "evaluation")[0]
        victim.unlink()
    done = pi_4.run("-m", "tflite.device", "check", cwd=copy)
    assert done.returncode == 2
    assert victim.relative_to(copy).as_posix() in done.stdout
    assert "Traceback" not in done.stderr


def test_pi_5_with_its_dot_product_kernels_answers_as_x86(pi_5: Machine, bundle: Path, folder: Path) -> None:
    record = check(pi_5, bundle, folder / "check-cortex-a76.json", "--limit", TILES_PI_5, quiet=True)
    assert record["board"]["int8_dot_product"]
    assert all(row["max_difference"] <= INT8_STEPS["xnnpack"] for row in record["rows"] if row["unit"] == "step")
