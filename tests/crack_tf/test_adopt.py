"""`crack-tf adopt`: models of every head and number format decide as their owner states, or get no sidecar at all."""

from __future__ import annotations

import errno
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from crack_tf import adopt
from crack_tf.cli import main as crack_tf
from crack_tf.inference.predictor import load_predictor
from crack_tf.zoo import adoption
from crack_tf.zoo.adoption import golden_path
from tests.dark_model import write_dark_model
from tests.options import instead
from tests.own_models import BRIGHT, DARK, SIZE, logit_of, write_own_model, write_pictures
from tflite.benchmark import main as benchmark
from tflite.device.journal import read_journal
from tflite.device.run import main as device_run
from tflite.errors import CrackError
from tflite.graph import Graph, read_graph
from tflite.images import load_rgb
from tflite.runtime import Classifier
from tflite.scaling import Scaling
from tflite.sidecar import TensorSpec, read_sidecar, sidecar_path

FIXTURES = Path(__file__).parents[1] / "fixtures/own-models"
FORMS = [
    (kind, quantised, crack)
    for kind in ("logit", "probability", "logits", "softmax")
    for quantised in (False, True)
    for crack in (0, 1)
]
STATED = ["--input-scaling", "unit", "--threshold", "0.4"]
ORDERS = {0: ["--classes", "Positive,Negative"], 1: ["--classes", "no_crack,crack"]}


@pytest.fixture
def pictures(tmp_path: Path) -> list[str]:
    dark, bright = write_pictures(tmp_path / "pictures")
    return ["--crack", str(dark), "--clean", str(bright)]


@pytest.fixture
def refused(pictures: list[str], capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Adopt, expect a refusal that writes nothing, and return its message."""

    def call(path: Path, *options: str) -> str:
        before = sorted(path.parent.iterdir())
        assert adopt.main(instead([str(path), *pictures], options)) == 2
        assert sorted(path.parent.iterdir()) == before
        return capsys.readouterr().err

    return call


@pytest.mark.parametrize(("kind", "quantised", "crack"), FORMS)
def test_every_head_decides_as_stated(
    kind: str, quantised: bool, crack: int, pictures: list[str], tmp_path: Path
) -> None:
    path = write_own_model(tmp_path / "own model.tflite", kind, quantised=quantised, crack=crack)
    assert adopt.main([str(path), *STATED, *ORDERS[crack], *pictures]) == 0
    sidecar = read_sidecar(path)
    assert (sidecar.head.kind, sidecar.head.crack, sidecar.model) == (kind, crack, "own_model")
    assert sidecar.scheme == ("int8" if quantised else "float32")
    assert sidecar.threshold.probability == pytest.approx(0.4)
    assert (sidecar.threshold.raw is not None) == quantised
    classifier = Classifier(path)
    for brightness in range(0, 256, 5):
        tile = np.full((SIZE, SIZE, 3), brightness, np.uint8)
        share = 1 / (1 + np.exp(-logit_of(brightness)))
        if abs(share - 0.4) > 0.05:  # uint8 logits have steps of 1/16
            assert classifier.is_crack(tile) == (share >= 0.4)
        if abs(logit_of(brightness)) < 3:
            assert classifier.logit(tile) == pytest.approx(logit_of(brightness), abs=0.25 if quantised else 1e-3)
    record = sidecar.training["adopted"]["golden_tiles"]
    for role, brightness in (("crack", DARK), ("clean", BRIGHT)):
        tile = load_rgb(golden_path(path, role))
        assert tile.shape == (SIZE, SIZE, 3)
        assert classifier.raw(tile) == record[role]["raw"]
        assert int(tile.mean()) == brightness


def test_blue_first_and_grey_models_get_what_they_take(pictures: list[str], tmp_path: Path) -> None:
    colour = write_own_model(tmp_path / "bgr.tflite", "logit")
    grey = write_own_model(tmp_path / "grey.tflite", "probability", quantised=True, channels=1)
    order = ORDERS[1]
    assert adopt.main([str(colour), *STATED, *order, *pictures, "--channels", "bgr"]) == 0
    assert adopt.main([str(grey), *STATED, *order, *pictures, "--channels", "grey"]) == 0
    assert read_sidecar(colour).scaling == Scaling((0.0,) * 3, (255.0,) * 3, "bgr")
    tile = np.full((SIZE, SIZE, 3), DARK, np.uint8)
    assert Classifier(colour).logit(tile) == pytest.approx(logit_of(DARK), abs=1e-3)
    assert Classifier(grey).is_crack(tile)


def test_a_wrong_statement_is_refused_with_what_would_explain_it(refused: Callable[..., str], tmp_path: Path) -> None:
    path = write_own_model(tmp_path / "m" / "own.tflite", "softmax")
    turned = refused(path, *STATED, *ORDERS[0])
    assert "dark.png (crack) and bright.png (clean) for the opposite" in turned
    assert "order of --classes Positive,Negative" in turned
    assert "A threshold between" in refused(path, "--input-scaling", "unit", "--threshold", "0.9999", *ORDERS[1])
    assert "both alike" in refused(path, "--input-scaling", "0,1e9", "--threshold", "0.4", *ORDERS[1])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--classes", "a,b"], "--crack-class NAME"),
        (["--classes", "crack"], "name two"),
        (["--classes", "crack,crack"], "two different"),
        (["--classes", "a,b", "--crack-class", "c"], "choose one of --classes a,b"),
        ([*ORDERS[1], "--input-scaling", "half"], "none, unit, signed, imagenet"),
        ([*ORDERS[1], "--input-scaling", "0,0"], "Deviations"),
        ([*ORDERS[1], "--threshold", "1"], "strictly between"),
        ([*ORDERS[1], "--head", "logits"], "ends in a softmax"),
        ([*ORDERS[1], "--head", "logit"], "has 1 output(s)"),
        ([*ORDERS[1], "--channels", "grey"], "takes 3 channel(s)"),
        ([*ORDERS[1], "--name", "../evil"], "model is '../evil'"),
        ([*ORDERS[1], "--crack", "absent.png"], "--crack absent.png does not exist"),
        (["--classes", "crack", "--crack", "absent.png"], "--crack absent.png does not exist"),  # the nearer mistake
    ],
)
def test_options_that_contradict_the_file_or_each_other_are_refused(
    options: list[str], message: str, refused: Callable[..., str], tmp_path: Path
) -> None:
    path = write_own_model(tmp_path / "m" / "own.tflite", "softmax")
    assert message in refused(path, *instead(STATED, options))


def test_a_scaling_that_a_quantised_input_cannot_hold_is_refused(refused: Callable[..., str], tmp_path: Path) -> None:
    path = write_own_model(tmp_path / "m" / "own.tflite", "softmax", quantised=True)
    for scaling in ("none", "signed", "imagenet"):
        message = refused(path, "--input-scaling", scaling, "--threshold", "0.4", *ORDERS[1])
        assert "quantised for 0 to 1" in message


def spec(*shape: int, dtype: str = "float32") -> TensorSpec:
    return TensorSpec(shape, dtype, 0.0, 0)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"inputs": (spec(8, 32, 32, 3),)}, "batch of 1"),
        ({"inputs": (spec(1, 3, 224, 224),)}, "channels first"),
        ({"inputs": (spec(1, 32, 64, 3),)}, "expected a square picture"),
        ({"inputs": (spec(1, 1, 1, 3),), "open_sides": True}, "any size"),
        ({"inputs": (spec(1, 32, 32, 3), spec(1, 4))}, "2 inputs"),
        ({"inputs": (spec(1, 32, 32, 3, dtype="int16"),)}, "has int16 input"),
        ({"outputs": (spec(1, 5),)}, "answers with 5 numbers"),
        ({"outputs": (spec(1, 1), spec(1, 4))}, "2 outputs"),
    ],
)
def test_what_is_no_classifier_of_square_pictures_is_named(
    changes: dict[str, object],
    message: str,
    refused: Callable[..., str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path = write_own_model(tmp_path / "m" / "own.tflite", "logit")
    graph: Graph = replace(read_graph(path), **changes)  # type: ignore[arg-type]
    monkeypatch.setattr(adoption, "read_graph", lambda path: graph)
    assert message in refused(path, *STATED, *ORDERS[1])


def test_logits_stated_to_be_probabilities_are_refused_and_the_other_way_round(
    refused: Callable[..., str], tmp_path: Path
) -> None:
    path = write_own_model(tmp_path / "m" / "own.tflite", "logits")
    assert "no probabilities. Say --head logits" in refused(path, *STATED, *ORDERS[1], "--head", "softmax")
    path = write_own_model(tmp_path / "m" / "own.tflite", "logit")
    assert "no probability. Say --head logit" in refused(path, *STATED, *ORDERS[1], "--head", "probability")


def test_a_large_picture_is_cut_and_its_highest_tile_answers(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_own_model(tmp_path / "own.tflite", "softmax")
    dark, bright = write_pictures(tmp_path / "large", 4 * SIZE)
    assert adopt.main([str(path), *STATED, *ORDERS[1], "--crack", str(dark), "--clean", str(bright)]) == 0
    assert "the highest of 25 tiles" in capsys.readouterr().out
    assert (
        adopt.main(
            [
                str(path),
                *STATED,
                *ORDERS[1],
                "--crack",
                str(dark),
                "--clean",
                str(bright),
                "--tile-side",
                "128",
                "--tile-mm",
                "35.5",
                "--overwrite",
            ]
        )
        == 0
    )
    assert "highest of" not in capsys.readouterr().out
    assert read_sidecar(path).training["tile_side"] == 128
    assert read_sidecar(path).training["training_mm"] == 35.5


def test_a_disk_without_room_for_the_model_gets_nothing_else(
    pictures: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    path = write_own_model(tmp_path / "own.tflite", "softmax")
    with monkeypatch.context() as patch:
        patch.setattr(adoption, "write_bytes", full)
        assert adopt.main([str(path), *STATED, *ORDERS[1], *pictures, "--out", str(tmp_path / "out")]) == 2
    assert not (tmp_path / "out").exists()


def test_only_what_adoption_wrote_is_replaced(
    pictures: list[str], refused: Callable[..., str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    foreign = tmp_path / "m" / "dark.tflite"
    write_dark_model(foreign)
    before = sidecar_path(foreign).read_bytes()
    assert "adopt did not write it" in refused(foreign, *STATED, *ORDERS[1], "--overwrite")
    assert sidecar_path(foreign).read_bytes() == before

    path = write_own_model(tmp_path / "own.tflite", "softmax")
    golden_path(path, "clean").write_bytes(b"somebody's picture")
    assert adopt.main([str(path), *STATED, *ORDERS[1], *pictures, "--overwrite"]) == 2
    assert "adopt did not write it" in capsys.readouterr().err
    assert golden_path(path, "clean").read_bytes() == b"somebody's picture"

    out = tmp_path / "out"
    assert adopt.main([str(path), *STATED, *ORDERS[1], *pictures, "--out", str(out)]) == 0
    assert sorted(file.name for file in out.iterdir()) == [
        *("own.tflite", "own.tflite.clean.png", "own.tflite.crack.png", "own.tflite.json")
    ]
    assert not sidecar_path(path).exists()
    assert adopt.main([str(path), *STATED, *ORDERS[1], *pictures, "--out", str(out)]) == 2
    assert "Add --overwrite" in capsys.readouterr().err
    (out / "own.tflite").write_bytes(b"another model")
    sidecar_path(out / "own.tflite").unlink()
    assert adopt.main([str(path), *STATED, *ORDERS[1], *pictures, "--out", str(out), "--overwrite"]) == 2
    assert (out / "own.tflite").read_bytes() == b"another model"


def test_an_open_batch_is_named_and_runs(
    pictures: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_own_model(tmp_path / "own.tflite", "softmax", open_batch=True)
    assert adopt.main([str(path), *STATED, *ORDERS[1], *pictures]) == 0
    assert "its batch is left open: it runs with a batch of 1" in capsys.readouterr().out
    assert Classifier(path).is_crack(np.zeros((SIZE, SIZE, 3), np.uint8))


# ------------------------------------------------------------------------------------------- what the other verbs make of it


@pytest.fixture
def adopted(pictures: list[str], tmp_path: Path) -> Path:
    path = write_own_model(tmp_path / "own.tflite", "softmax", quantised=True, crack=0)
    assert adopt.main([str(path), *STATED, *ORDERS[0], *pictures]) == 0
    return path


def test_predict_benchmark_and_the_device_take_an_adopted_model(
    adopted: Path, pictures: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = str(Path(pictures[1]).parent)
    assert crack_tf(["predict", folder, "--model", str(adopted), "--jobs", "1"]) == 0
    said = capsys.readouterr().out
    assert "1 crack, 1 no crack" in said
    assert device_run(["--source", folder, "--model", str(adopted), "--out", str(tmp_path / "flight")]) == 0
    (positive,) = read_journal(tmp_path / "flight").positives
    assert positive["frame"] == "dark.png"
    assert positive["score"]["raw"] == Classifier(adopted).raw(load_rgb(Path(folder) / "dark.png"))
    assert benchmark([str(adopted), "--runs", "50", "--out", str(tmp_path / "b")]) == 0
    assert "without a sidecar" not in capsys.readouterr().err


def test_a_bundle_of_an_adopted_model_holds_its_golden_tiles_and_checks(
    adopted: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from tflite.device import answers
    from tflite.device.check import main as check

    assert crack_tf(["bundle", str(adopted), "--out", str(tmp_path / "bundle.zip"), "--tiles", "2"]) == 0
    shutil.unpack_archive(tmp_path / "bundle.zip", tmp_path / "board")
    monkeypatch.setattr(answers, "can_spawn", lambda: False)
    assert check(["--bundle", str(tmp_path / "board"), "--out", str(tmp_path / "check.json")]) == 0
    assert "all is well" in capsys.readouterr().out
    golden_path(adopted, "crack").unlink()
    assert crack_tf(["bundle", str(adopted), "--out", str(tmp_path / "other.zip")]) == 2
    assert "golden tile of own.tflite, is not beside it" in capsys.readouterr().err


def test_what_has_no_gradients_is_explained_by_occlusion_alone(
    adopted: Path, pictures: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["explain", str(adopted), "--tiles", pictures[1], "--out", str(tmp_path / "e")]
    assert crack_tf([*arguments, "--methods", "gradcam"]) == 2
    assert "--methods occlusion" in capsys.readouterr().err
    assert crack_tf(arguments) == 0


@pytest.mark.parametrize("name", ["my_model.h5", "saved_model"])
@pytest.mark.parametrize(
    "verb",
    [
        ["adopt", *STATED, *ORDERS[1], "--crack", str(FIXTURES), "--clean", str(FIXTURES)],
        ["predict", "photo.jpg", "--model"],
        ["evaluate", "--data", "tiles"],
        ["benchmark"],
        ["bundle"],
        ["explain", "--tiles", "photo.jpg", "--out", "e"],
        ["export"],
    ],
    ids=lambda verb: verb[0] if isinstance(verb, list) else verb,
)
def test_hdf5_and_saved_models_are_answered_with_the_call_that_converts_them(
    verb: list[str], name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    write_pictures(tmp_path)[0].rename("photo.jpg")
    assert crack_tf([*verb, str(FIXTURES / name)]) == 2
    said = capsys.readouterr().err
    assert ("from_keras_model" if name.endswith("h5") else "from_saved_model") in said
    assert "Traceback" not in said


# ---------------------------------------------------------------------------------------------- as people brought them, Keras


@pytest.mark.parametrize(
    ("name", "head", "scheme"),
    [("dynamic_batch_softmax2.tflite", "softmax", "float32"), ("uint8_softmax2.tflite", "softmax", "int8")],
)
def test_the_files_that_people_brought_are_adopted(name: str, head: str, scheme: str, tmp_path: Path) -> None:
    """They were never trained: which picture they hold for cracked is read from them first."""
    path = Path(shutil.copy(FIXTURES / name, tmp_path))
    dark, bright = write_pictures(tmp_path / "pictures", 96)
    none = Scaling()
    model = _stated(path, none, 0.5)
    shares = [model.logit(load_rgb(picture)) for picture in (dark, bright)]
    crack, clean = (dark, bright) if shares[0] > shares[1] else (bright, dark)
    border = float(1 / (1 + np.exp(-np.mean(shares))))
    config = adoption.AdoptConfig(none, ("no_crack", "crack"), border)
    found = adoption.adopt(path, config, crack, clean, overwrite=True)
    assert (found.sidecar.head.kind, found.sidecar.scheme) == (head, scheme)
    assert found.answers["crack"].probability > border > found.answers["clean"].probability
    assert any("batch is left open" in note for note in found.notes)


def _stated(path: Path, scaling: Scaling, threshold: float) -> Classifier:
    """The classifier of an adoption that nobody checked."""
    config = adoption.AdoptConfig(scaling, ("no_crack", "crack"), threshold)
    found = adoption._read(path)
    head = adoption._head(path, found, None, 1)
    from tflite.sidecar import write_sidecar

    write_sidecar(path, adoption._draft(path, found, head, config))
    return Classifier(path)


@pytest.fixture(scope="module")
def keras_models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """.keras files by head: a convolution, pooling and a dense layer that call dark tiles cracked, of pixels from -1 to 1."""
    keras = pytest.importorskip("keras")
    folder = tmp_path_factory.mktemp("keras")
    paths = {}
    for kind, units, activation in (
        ("logit", 1, None),
        ("probability", 1, "sigmoid"),
        ("logits", 2, None),
        ("softmax", 2, "softmax"),
    ):
        inputs = keras.Input((SIZE, SIZE, 3))
        x = keras.layers.Conv2D(1, 1, name="grey")(inputs)
        x = keras.layers.GlobalAveragePooling2D()(x)
        model = keras.Model(inputs, keras.layers.Dense(units, activation=activation, name="head")(x))
        slopes = [[-STEEP]] if units == 1 else [[STEEP / 2, -STEEP / 2]]
        model.set_weights([np.full((1, 1, 3, 1), 1 / 3), np.zeros(1), np.array(slopes), np.zeros(units)])
        paths[kind] = folder / f"{kind}.keras"
        model.save(paths[kind])
    return paths


STEEP = 4.0


@pytest.mark.parametrize("kind", ["logit", "probability", "logits", "softmax"])
def test_a_keras_model_of_every_head_is_adopted_and_explained(
    kind: str, keras_models: dict[str, Path], pictures: list[str], tmp_path: Path
) -> None:
    from crack_tf.explain.explainer import Explainer

    path = Path(shutil.copy(keras_models[kind], tmp_path))
    options = ["--input-scaling", "signed", "--threshold", "0.5", *ORDERS[1]]
    assert adopt.main([str(path), *options, *pictures]) == 0
    sidecar = read_sidecar(path)
    assert (sidecar.head.kind, sidecar.scheme) == (kind, "keras")
    tiles = np.stack([load_rgb(picture) for picture in (pictures[1], pictures[3])])
    expected = [-STEEP * (value / 127.5 - 1) for value in (DARK, BRIGHT)]
    assert load_predictor(path).logits(tiles) == pytest.approx(expected, abs=1e-3)
    explainer = Explainer(path)
    assert explainer.network.logits(tiles) == pytest.approx(expected, abs=1e-3)
    _, gradients = explainer.network.pixel_gradients(tiles[:1].astype(np.float32))
    assert float(gradients.sum()) == pytest.approx(-STEEP / 127.5, rel=1e-3)
    assert [part.method for part in explainer.explain(tiles[0], explainer.default_methods)] == ["gradcam", "ig-blurred"]


def test_what_cannot_take_an_adopted_keras_model_says_so(
    keras_models: dict[str, Path], pictures: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = Path(shutil.copy(keras_models["softmax"], tmp_path))
    assert adopt.main([str(path), "--input-scaling", "signed", "--threshold", "0.5", *ORDERS[1], *pictures]) == 0
    for arguments in (
        ["export", str(path), "--int8"],
        ["average", str(path), str(path), "--data", "x", "--out", str(tmp_path / "mean")],
        ["predict", pictures[1], "--model", str(path)],
        ["benchmark", str(path)],
        ["bundle", str(path), "--out", str(tmp_path / "b.zip")],
    ):
        assert crack_tf(arguments) == 2
        assert "TFLiteConverter" in capsys.readouterr().err


def test_a_name_of_a_class_is_known_whatever_its_spelling() -> None:
    assert adoption.crack_label(("Uncracked", "Cracked"), None) == 1
    assert adoption.crack_label(("CP", "spalling"), None) == 0
    assert adoption.crack_label(("spalling", "No Crack"), None) == 0
    with pytest.raises(CrackError, match="which of them means a crack"):
        adoption.crack_label(("crack", "positive"), None)
