"""The wheel, installed where nothing else is: it answers a photograph without TensorFlow, and every verb works or names its extra."""

from __future__ import annotations

import site
import sys
from pathlib import Path

import pytest

from crack_tf.verbs import VERBS
from tests.own_models import write_own_model, write_pictures
from tests.wheels import ROOT, Installer, Run, call, processor_seconds
from tflite.extras import EXTRAS

pytestmark = pytest.mark.slow

NOT_IN_BASE = {"tensorflow", "keras", "tf-keras", "opencv-python-headless", "matplotlib", "pandas", "scikit-learn"}


@pytest.fixture(scope="module")
def base(installer: Installer, wheel: Path) -> Path:
    """The interpreter of an environment that holds the wheel and what it asks for, at the pinned versions: a release of today's breaks
    nobody's test."""
    before = processor_seconds()
    python = installer.environment("base")
    done = installer.install(python, "-c", ROOT / "requirements.txt", wheel)
    assert done.returncode == 0, done.stderr
    installer.seconds = processor_seconds() - before
    return python


@pytest.fixture(scope="module")
def work(installer: Installer) -> Path:
    """An empty folder to work in."""
    folder = installer.folder / "work"
    folder.mkdir()
    return folder


@pytest.fixture(scope="module")
def crack_tf(base: Path, work: Path) -> Run:
    """Runs `crack-tf` of the base installation."""
    return lambda *words: call(base.with_name("crack-tf"), *words, cwd=work)


@pytest.fixture(scope="module")
def shipped(base: Path, work: Path) -> Path:
    """The installed folder of the package."""
    code = "import crack_tf, pathlib; print(pathlib.Path(crack_tf.__file__).parent)"
    folder = Path(call(base, "-c", code, cwd=work).stdout.strip())
    assert ROOT not in folder.parents
    return folder


@pytest.fixture(scope="module")
def tiles(crack_tf: Run, work: Path) -> Path:
    """A split manifest of a few drawn tiles, made by the base installation."""
    assert crack_tf("data", "fetch", "synthetic", "--count", "40", "--size", "64", "--out", "drawn").returncode == 0
    done = crack_tf("data", "split", "drawn/images", "--out", "split.csv")
    assert done.returncode == 0, done.stderr
    return work / "split.csv"


def test_base_installation_holds_no_training_package(base: Path, work: Path) -> None:
    code = "from importlib import metadata\nfor found in metadata.distributions(): print(found.name.lower())"
    installed = set(call(base, "-c", code, cwd=work).stdout.split())
    assert "crack-tf" in {name.replace("_", "-") for name in installed}
    assert not NOT_IN_BASE & installed


def test_wheel_holds_no_studies_and_no_tests(shipped: Path) -> None:
    beside = {path.name for path in shipped.parent.iterdir()}
    assert not {"studies", "tests", "notebooks", "results"} & beside
    assert (shipped / "py.typed").is_file()


def test_the_sample_photograph_is_answered_within_a_minute_of_a_warm_installation(
    crack_tf: Run, shipped: Path, installer: Installer
) -> None:
    before = processor_seconds()
    done = crack_tf("predict", shipped / "shipped/sample.jpg")
    assert (done.returncode, done.stderr) == (0, "")
    assert "crack" in done.stdout
    assert installer.seconds + processor_seconds() - before < 60


def test_the_front_door_opens_on_the_base_installation(base: Path, shipped: Path, work: Path) -> None:
    code = (
        "import crack_tf, sys\n"
        f"path = {str(shipped / 'shipped/sample.jpg')!r}\n"
        "photo = crack_tf.load().predict(path)\n"
        "drawn = crack_tf.load('unet_mobile').predict(path)\n"
        "print(photo.crack, len(drawn.cracks) > 0, 'cv2' in sys.modules)\n"
        "for call in (lambda: crack_tf.train(crack_tf.TrainConfig()), lambda: crack_tf.survey('photos', out='found')):\n"
        "    try:\n"
        "        call()\n"
        "    except Exception as error:\n"
        "        print(type(error).__name__, str(error).partition(' is not installed')[0])\n"
    )
    done = call(base, "-c", code, cwd=work)
    assert done.stdout == "True True False\nCrackError keras\nCrackError cv2\n", done.stderr


def test_help_lists_every_verb(crack_tf: Run) -> None:
    done = crack_tf("--help")
    assert done.returncode == 0
    assert all(f"  {verb}  " in done.stdout for verb in VERBS)


def test_verbs_of_the_base_installation_answer(crack_tf: Run, shipped: Path, work: Path, tiles: Path) -> None:
    sample, nano = shipped / "shipped/sample.jpg", shipped / "zoo_models/opnet_lite_nano/opnet_lite-int8-qat.tflite"
    dark, bright = write_pictures(work / "pictures")
    write_own_model(work / "mine.tflite", "probability")
    about_mine = ("--input-scaling", "unit", "--classes", "no_crack,crack", "--threshold", "0.5")
    for words in (
        ("zoo", "list"),
        ("photo", "segment", sample, "--out", "drawn-cracks"),
        ("adopt", "mine.tflite", *about_mine, "--crack", dark, "--clean", bright),
        ("benchmark", nano, "--data", tiles, "--out", "benchmark"),
    ):
        done = crack_tf(*words)
        assert done.returncode == 0, (words, done.stdout, done.stderr)


@pytest.mark.parametrize(
    ("extra", "words"),
    [
        ("train", "train --model opnet --data split.csv"),
        ("train", "tune --data split.csv"),
        ("train", "average a b --data split.csv --out mean"),
        ("train", "explain opnet --data split.csv --out explained"),
        ("train", "export run --int8"),
        ("train", "evaluate run --data split.csv --out evaluation"),
        ("train", "throughput --data split.csv"),
        ("survey", "survey photos --out found"),
        ("survey", "data flight --out flight"),
        ("handover", "survey-export found --to geopackage --out found.gpkg"),
        ("report", "report split.csv"),
    ],
)
def test_a_verb_without_its_extra_names_it_in_one_line(
    extra: str, words: str, crack_tf: Run, work: Path, tiles: Path
) -> None:
    assert extra in EXTRAS
    before = set(work.iterdir())
    done = crack_tf(*words.split())
    assert done.returncode == 2
    assert f"pip install 'crack_tf[{extra}]'" in done.stderr
    assert done.stderr.count("\n") == 1
    assert set(work.iterdir()) == before


@pytest.fixture(scope="module")
def whole(installer: Installer, wheel: Path) -> Path:
    """An environment with the wheel, that finds every other package where this interpreter does: nothing is downloaded again."""
    python = installer.environment("whole")
    done = installer.install(python, "--no-deps", wheel)
    assert done.returncode == 0, done.stderr
    code = "import sysconfig; print(sysconfig.get_path('purelib'))"
    packages = Path(call(python, "-c", code, cwd=installer.folder).stdout.strip())
    (packages / "all-extras.pth").write_text("\n".join(site.getsitepackages()), encoding="utf-8")
    return python.with_name("crack-tf")


def test_a_board_is_packed_from_the_wheel(whole: Path, shipped: Path, tiles: Path, work: Path) -> None:
    pytest.importorskip("tensorflow")
    nano = shipped / "zoo_models/opnet_lite_nano"
    done = call(
        *(whole, "bundle", nano / "opnet_lite-int8-qat.tflite", "--float-model", nano / "model.keras"),
        *("--data", tiles, "--split", "all", "--tiles", 4, "--out", "board.zip"),
        cwd=work,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert (work / "board.zip").is_file()


def test_a_notebook_runs_from_the_wheel(whole: Path, tiles: Path, work: Path) -> None:
    pytest.importorskip("papermill")
    # nbconvert keeps its templates beside the packages of the environment that it is installed in.
    done = call(whole, "report", tiles, "--out", "data.html", cwd=work, JUPYTER_PATH=f"{sys.prefix}/share/jupyter")
    assert done.returncode == 0, done.stdout + done.stderr
    assert (work / "data.html").stat().st_size > 10_000
