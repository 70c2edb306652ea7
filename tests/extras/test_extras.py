"""Each extra alone, from a wheel in a fresh environment: its verbs answer. `make extras` runs these tests."""

from __future__ import annotations

import json
import os
from itertools import groupby
from pathlib import Path

import pytest

from tests.tflite.place.test_mavlink import flight
from tests.wheels import ROOT, Installer, call
from tflite.extras import EXTRAS

Command = tuple[str, ...]  # a program of the environment and its arguments


def verb(line: str) -> Command:
    return ("crack-tf", *line.split())


def code(lines: str) -> Command:
    return ("python", "-c", lines)


DEVICE = "requirements-device.txt"  # another machine's
PINS = [path for path in sorted(ROOT.glob("requirements*.txt")) if path.name != DEVICE]
TILES, RUN = "split.csv", "run"
FILE = f"{RUN}/export/opnet_lite-int8-ptq.tflite"
SMALL = "--image-size 32 --batch 8"
DRAWN = (
    verb("data fetch synthetic --count 40 --size 64 --out drawn"),
    verb(f"data split drawn/images --out {TILES}"),
)
TRAINED = verb(
    f"train --model opnet_lite --data {TILES} {SMALL} --hp width=4 --hp blocks=2 --epochs 1 --target-recall 0.9 --out {RUN}"
)
FLOWN = verb("data flight --piers 1 --rows 1 --columns 2 --size 480x360 --cracks 1 --out flight")
SURVEY = "survey flight/photos --distance-m 2 --segmenter none --flight-log flight/flight.csv --faces flight/faces.json --out found"
# Of each extra its verbs' smallest commands, in the order in which they need each other's results.
COMMANDS: dict[str, tuple[Command, ...]] = {
    "train": (
        *DRAWN,
        TRAINED,
        verb(f"export {RUN} --int8 --ptq --calibration-samples 8 --max-recall-drop 100"),
        verb(f"average {RUN} {RUN} --data {TILES} --target-recall 0.9 --out mean"),
        verb(f"evaluate {RUN} {FILE} --data {TILES} --out evaluation"),
        verb(f"explain {FILE} --data {TILES} --limit 2 --methods occlusion --out explained"),
        verb(f"bundle {RUN} --data {TILES} --tiles 4 --out board.zip"),
        verb(
            f"tune --data {TILES} --algorithm random --trials 1 --epochs 1 --only width --vary width=4,8 --fix blocks=2 "
            f"--fix image_size=32 --fix batch=8 --target-recall 0.1 --reference {FILE} --out search"
        ),
        verb(f"throughput --data {TILES} --model opnet_lite {SMALL} --steps 2 --out throughput.csv"),
        verb(f"adapt drawn/images --model {RUN} --candidates head --regression-limit 20 --out adapted"),
    ),
    "survey": (FLOWN, verb(SURVEY), verb("survey-export found --to coco --out found.json")),
    "report": (*DRAWN, verb(f"report {TILES} --out data.html")),
    "cluster": (
        FLOWN,
        code(
            f"""
from pathlib import Path
from crack_tf.survey.__main__ import main
from crack_tf.survey.searching.loopback import loopback_cluster
with loopback_cluster(Path("dask"), 1) as found:
    code = main([*{SURVEY.split()[1:]}, "--scheduler", found.address])
raise SystemExit(code)
"""
        ),
    ),
    "handover": (
        FLOWN,
        verb(SURVEY),
        verb("survey-export found --to geopackage --crs utm --out found.gpkg"),
        verb("survey-export found --to sheet --photos flight/photos --out sheets"),
    ),
    "heic": (
        code(
            """
from pathlib import Path
import crack_tf, pillow_heif
from PIL import Image
sample = Image.open(Path(crack_tf.__file__).parent / "shipped/sample.jpg")
pillow_heif.from_pillow(sample.convert("RGB")).save("phone.heic")
"""
        ),
        verb("predict phone.heic --out answers"),
    ),
    "mavlink": (
        code(
            """
from pathlib import Path
from tflite.place.flightlog import read_flight_log
assert len(read_flight_log(Path("flight.tlog")).fixes) == 5
"""
        ),
    ),
    "supervision": (
        code(
            """
from pathlib import Path
import crack_tf
photo = crack_tf.load().predict(Path(crack_tf.__file__).parent / "shipped/sample.jpg")
assert len(crack_tf.to_detections(photo)) > 0
"""
        ),
    ),
    "jax": (*DRAWN, TRAINED),
}
VARIABLES = {"jax": {"KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu"}}
# Verbs one after the other in one process: TensorFlow takes longer to start than most of them to answer. 1 of adapt: no better model.
IN_TURN = """
import json, sys
from crack_tf.cli import main
for words in json.loads(sys.argv[1]):
    code = main(words)
    if code not in ((0, 1) if words[0] == "adapt" else (0,)):
        sys.exit(f"crack-tf {' '.join(words)} ended with {code}")
"""
UNTRIED = {"sam"}  # Segment Anything's weights, of 375 MB, are downloaded on first use


@pytest.mark.skipif(os.environ.get("CRACK_TF_TESTS") != "extras", reason="installs every extra: make extras")
@pytest.mark.timeout(1800)  # TensorFlow may have to be downloaded
@pytest.mark.parametrize("extra", COMMANDS)
def test_every_verb_of_an_extra_answers_with_that_extra_alone(
    extra: str, installer: Installer, wheel: Path, tmp_path: Path
) -> None:
    python = installer.environment(extra)
    pins = [word for path in PINS for word in ("-c", path)]
    done = installer.install(python, *pins, f"{wheel}[{extra}]")
    assert done.returncode == 0, done.stderr
    (tmp_path / "flight.tlog").write_bytes(flight())
    for program, commands in groupby(COMMANDS[extra], lambda command: command[0]):
        rest = [command[1:] for command in commands]
        for words in [("-c", IN_TURN, json.dumps(rest))] if program == "crack-tf" else rest:
            done = call(python, *words, cwd=tmp_path, **VARIABLES.get(extra, {}))
            assert done.returncode == 0, (done.stdout, done.stderr)


def test_every_extra_is_tried() -> None:
    assert {*COMMANDS} == {*EXTRAS} - UNTRIED
