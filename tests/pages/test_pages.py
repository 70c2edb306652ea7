"""Every shell command of docs/ is run as a reader would paste it, or a table here says where else it runs, or why it cannot.

A shell runs the lines of a page in their order, each block in the reader's folder. In it lie what `tests/pages/readers_folder.py` draws and
what earlier pages made (`TAKES`). `crack-tf` is a copy of a warm process (`tests/warm.py`); all else, such as `python -m tflite.device`,
starts cold. A new line of a page is run without a word here, and has to end with code 0.
"""

from __future__ import annotations

import os
import shlex
import shutil
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests import warm
from tests.documents import PAGES, ROOT, SHELL, Block, blocks, command_lines
from tests.pages.readers_folder import write_brought

PATIENCE = 900.0  # seconds for a page on a loaded machine

# Files and folders that a page takes from a page before it.
TAKES: dict[str, dict[str, tuple[str, ...]]] = {
    "handover": {"survey": ("found",)},
    "training": {"data": ("data", "runs")},
    "tuning": {"data": ("data", "runs")},
    "device": {"training": ("data", "runs")},
    "reports": {"training": ("data", "runs"), "tuning": ("runs/tune",), "survey": ("found",)},
}

# Words that are replaced before a line is run. Trainings are as short and tiles as small as they may be; nothing else is.
SUBSTITUTED: dict[str, str] = {
    "/path/to/data": "$PWD/data",
    "--count 1600": "--count 16",
    "data transplant runs/crack500.csv": "data transplant --count 12 runs/crack500.csv",
    "data disputes": "data disputes --weights made.weights.h5",  # which Keras downloads
    "crack-tf train": f"{warm.UNTRACED}=1 crack-tf train --epochs 1 --steps-per-epoch 2 --image-size 64 --target-recall 0.9",
    "--model unet_mobile": "--model unet_mobile --weights none --val-limit 8",
    "--model mobilenet_v2": "--model mobilenet_v2 --weights none",
    "export runs/opnet --int8": "export runs/opnet --int8 --qat-steps 2 --calibration-samples 8 --max-recall-drop 100",
    "export runs/unet --int8": "export runs/unet --int8 --calibration-samples 8 --max-f1-drop 100",
    "crack-tf average": "crack-tf average --target-recall 0.9",
    "crack-tf throughput": "crack-tf throughput --image-size 64 --steps 2",
    "--batch 32": "--batch 8",
    "--finalists 3 --final-epochs 6": "--finalists 1 --final-epochs 1 --algorithm random --trials 1 --epochs 1 --only width "
    "--vary width=4,8 --fix blocks=2 --fix image_size=32 --fix batch=8 --target-recall 0.1 --reference opnet-int8-qat.tflite",
    "explain opnet mobilenet_v2 --tiles": "explain opnet mobilenet_v2 --max-steps 16 --tiles",
    "--faithfulness --data synthetic --limit 20": "--faithfulness --data data/segmentation/crack500 --limit 1 --max-steps 16 --sanity 1",
    "--sustained 10": "--sustained 0.05",
    "--gps /dev/ttyUSB0@38400": "--gps ../log.gpx",
    "--review review.json --photos": "--candidates threshold,head --regression-limit 20 --review review.json --photos",
    "adapt labels.csv": "adapt labels.csv --candidates threshold,head --regression-limit 20",
    "--out all": "--out all --runs 50",
    "--needs-mm 0.3 --certify": "--needs-mm 0.3 --certify --certify-cracks 4",
    "data flight --seed 0": "data flight --seed 0 --piers 1 --rows 1 --size 640x480",
}

# What a person does before a line: a command in its place.
BY_HAND: dict[str, str] = {
    "crack-tf data disputes sdnet2018 --out disputes": "python -m tests.pages.readers_folder weights made.weights.h5",
    "crack-tf data relabel sdnet2018 --review sheets/review.csv --out runs/reviewed.csv": (
        "python -m tests.pages.readers_folder verdicts sheets/review.csv"
    ),
    "crack-tf data convert DCIM/corrected.json --out pairs": "cp DCIM/cracks.json DCIM/corrected.json",
    "crack-tf adapt runs/survey-demo/found --review review.json --photos runs/survey-demo/flight/photos --out adapted": (
        "mkdir -p runs/survey-demo; "
        "crack-tf data flight --piers 1 --size 640x480 --cracks 8 --out runs/survey-demo/flight; "
        "rm runs/survey-demo/flight/photos/IMG_0006.jpg; "  # it has no position
        "crack-tf survey runs/survey-demo/flight/photos --out runs/survey-demo/found; "
        "python -m tests.pages.readers_folder review runs/survey-demo/found"
    ),
    "crack-tf survey runs/survey-demo/flight/photos --model adapted --out found-2": (
        "mkdir -p adapted/export; cp opnet-int8-qat.tflite* adapted/export"
    ),
    "crack-tf data relabel look-2/suggested/manifest.csv --review look-2/suggested/review.csv --out labels.csv": (
        "python -m tests.pages.readers_folder verdicts look-2/suggested/review.csv"
    ),
    "crack-tf average runs/a runs/b --data runs/both.csv --out runs/mean": (
        "cp -r runs/opnet runs/a; cp -r runs/opnet runs/b; cp runs/metu-grouped.csv runs/both.csv"
    ),
    ".venv/bin/python -m tflite.device check": "cp -r ../.venv .venv",
    "crack-tf survey --review review.json --out found": "python -m tests.pages.readers_folder review found",
    "crack-tf survey flight1 --out found-device": (
        "python -m tflite.device run --source DCIM --model opnet-int8-qat.tflite --out flight1 --gps exif"
    ),
    "crack-tf survey DCIM-2026 --out found-2026 --distance-m 2 --since found-2025": (
        "crack-tf survey DCIM --out found-2025 --distance-m 2"
    ),
    "crack-tf survey DCIM --out found --distance-from-positions --position-error-m 0.04": "rm -r DCIM; mv DCIM-RTK DCIM",
}

# Lines that may end with code 1, "no better model found": the default finds most cracks of drawn walls.
NO_BETTER = (
    "crack-tf adapt runs/survey-demo/found --review review.json --photos runs/survey-demo/flight/photos --out adapted",
    "crack-tf adapt labels.csv --out adapted-2",
)

# Lines that run elsewhere: in which file, and what it says there.
ELSEWHERE: dict[str, tuple[str, str]] = {
    "make demo": (".ci/run", " demo "),
    "make test": (".ci/run", "make test"),
    "make survey-demo": (".ci/run", " survey-demo "),
    "make emulated-pi": (".ci/run", " emulated-pi "),
    "make reports": ("tests/test_notebooks.py", "def test_a_notebook_executes_on_made_up_data"),
    "crack-tf report --notebook 02 --set data=metu": ("tests/test_notebooks.py", '"02_training": {'),
    "pip install .": ("tests/test_wheel.py", "installer.install(python"),
    "pip install '.[survey]'": ("tests/extras/test_extras.py", '"survey": ('),
    "pip install '.[train]'": ("tests/extras/test_extras.py", '"train": ('),
    "pip install -r requirements-report.txt": ("Makefile", "-r requirements-report.txt"),
    "crack-tf survey DCIM --out found-cluster --scheduler tcp://HOST:8786": (
        "tests/crack_tf/survey/searching/test_cluster.py",
        '"--scheduler", two_workers.address',
    ),
    "KERASTUNER_TUNER_ID=chief crack-tf tune ...": ("tests/tuning/test_workers.py", "KERASTUNER_TUNER_ID"),
    "KERASTUNER_TUNER_ID=worker0 crack-tf tune ...": ("tests/tuning/test_workers.py", "KERASTUNER_TUNER_ID"),
    "crack-tf bundle --out crack_tf-bundle.zip --ssh pi@raspberrypi.local": (
        "tests/crack_tf/deploy/test_ssh.py",
        '"--ssh"',
    ),
    "python3 -m venv .venv": ("tests/crack_tf/deploy/test_ssh.py", "venv"),
    ".venv/bin/pip install -r requirements-device.txt": ("tests/emulated_pi/userland.py", "requirements-device.txt"),
    "python -m tflite.device run --source ../DCIM --model models/mobilenet_v2_104_real-int8-ptq.tflite --out flight2 --follow --gps "
    "gpsd://localhost:2947": ("tests/tflite/device/test_gps.py", "gpsd://127.0.0.1"),
    "python -m tflite.edgetpu compile opnet-int8-qat.tflite --out coral": (
        "tests/tflite/test_edgetpu_compiler.py",
        "def stand_in(",
    ),
}

# Lines that are not run, and why.
EXCUSED: dict[str, str] = {
    "make quick": "the same lint and types as make test, which continuous integration runs, and fewer tests",
    "pip install '.[all]'": "gigabytes; make extras installs the extras that it joins, one by one",
    "python -m tflite.benchmark opnet-int8-qat_edgetpu.tflite --delegate edgetpu": "needs a Coral stick",
    "make emulated-pi BUNDLE=crack_tf-bundle.zip": "a quarter of an hour at 224 pixels; with small models it is run",
    ".venv/bin/python -m tests.emulated_pi.measure crack_tf-bundle.zip --overwrite": "the same quarter of an hour",
    "make explain-results": "20 minutes of processor time",
    (
        "crack-tf tune --model mobilenet_v2 --data open.csv --left-out brick.csv deepcrack.csv conglomerate.csv "
        "--weights mobilenet_v2_035_real.keras --teacher mobilenet_v2_real.keras --fix alpha=0.35 --only "
        "image_size,learning_rate --fix balance=0.65 --fix zoom_out=1.6 --target-recall 0.9 --min-speedup 4 --reference "
        "mobilenet_v2-int8-qat.tflite --out runs/elsewhere"
    ): "an hour of training; tests/crack_tf/test_tune.py searches over a set left out",
    "crack-tf data fetch joints": "takes three real sets and minutes; tests/crack_tf/data/test_joint_tiles.py draws a few of them",
    "crack-tf evaluate mobilenet_v2_real --data joints --split all --out runs/joints": "the same set",
    "make figures": "needs the METU runs, which take hours to train",
}


def shell_blocks(page: Path) -> list[Block]:
    return [block for block in blocks(page) if block.language in SHELL]


def lines_of(page: Path) -> list[str]:
    """The text of each line with a command."""
    return [text for block in shell_blocks(page) for _, text in command_lines(block)]


def as_run(text: str) -> str:
    """A line with its substitutions."""
    for words, others in SUBSTITUTED.items():
        text = text.replace(words, others)
    return text


WITH_COMMANDS = [page for page in PAGES if shell_blocks(page)]


def write_program(path: Path, script: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/bash\n{script}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


@pytest.fixture(scope="session")
def brought(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What every page's reader has: files, and the programs of `.venv/bin`."""
    folder = tmp_path_factory.mktemp("pages") / "brought"
    write_brought(folder)
    programs = folder / ".venv/bin"
    client = shlex.join([sys.executable, "-I", "-S", warm.__file__, str(warm.served())])
    write_program(programs / "crack-tf", f'exec {client} crack_tf "$@"')
    for name in ("python", "python3"):
        write_program(programs / name, f'exec {sys.executable} "$@"')
    write_program(programs / "rpicam-vid", 'cat "${0%/*}"/../../DCIM/*.jpg')  # a camera that sees three pictures
    return folder


Read = Callable[[str], Path]


@pytest.fixture(scope="session")
def read(brought: Path, tmp_path_factory: pytest.TempPathFactory) -> Read:
    """`read(page)`: the reader's folder after all commands of a page, which are run once."""
    done: dict[str, Path] = {}

    def once(name: str) -> Path:
        if name not in done:
            folder = tmp_path_factory.mktemp(name) / "reader"
            shutil.copytree(brought, folder, symlinks=True)
            for page, taken in TAKES.get(name, {}).items():
                for path in taken:
                    shutil.rmtree(folder / path, ignore_errors=True)
                    shutil.copytree(once(page) / path, folder / path)
            run_page(ROOT / "docs" / f"{name}.md", folder)
            done[name] = folder
        return done[name]

    return once


def run_page(page: Path, folder: Path) -> None:
    """Run the lines of a page as a reader who pastes them into one shell."""
    script = ["set -eo pipefail", "shopt -s expand_aliases"]
    for block in shell_blocks(page):
        script.append(f"cd {shlex.quote(str(folder))}")
        for where, text in command_lines(block):
            if text in ELSEWHERE or text in EXCUSED:
                continue
            if text in BY_HAND:
                script.append(BY_HAND[text])
            code = " || [ $? = 1 ]" if text in NO_BETTER else ""
            script += [f"echo {shlex.quote(f'{where} $ {as_run(text)}')}", as_run(text) + code]
    path = f"{folder}/.venv/bin:{os.environ['PATH']}"
    log = folder.parent / f"{page.stem}.log"
    with log.open("w") as told:
        done = subprocess.run(
            ["bash", "-c", "\n".join(script)],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=told,
            stderr=subprocess.STDOUT,
            timeout=PATIENCE,
            env=os.environ | {"PATH": path, "PYTHONPATH": str(ROOT), "CRACK_TF_DATA": f"{folder}/data"},
            check=False,
        )
    assert done.returncode == 0, log.read_text()[-6000:]


@pytest.mark.skipif(os.environ.get("CRACK_TF_TESTS") != "pages", reason="takes minutes: make pages")
@pytest.mark.parametrize("page", WITH_COMMANDS, ids=lambda page: page.stem)
def test_a_pages_commands_run(page: Path, read: Read) -> None:
    read(page.stem)


def test_each_entry_of_the_tables_is_used_and_no_line_has_two() -> None:
    lines = [line for page in WITH_COMMANDS for line in lines_of(page)]
    run = [line for line in lines if line not in EXCUSED and line not in ELSEWHERE]
    assert {*EXCUSED} <= {*lines}
    assert {*ELSEWHERE} <= {*lines}
    assert not {*EXCUSED} & {*ELSEWHERE}
    assert {*BY_HAND, *NO_BETTER} <= {*run}
    assert {words for words in SUBSTITUTED if not any(words in line for line in run)} == set()


@pytest.mark.parametrize("line", ELSEWHERE)
def test_what_runs_elsewhere_is_there(line: str) -> None:
    file, says = ELSEWHERE[line]
    assert says in (ROOT / file).read_text(encoding="utf-8")
