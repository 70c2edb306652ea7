"""`python -m crack_tf.bundle`: what is in a bundle, that the device side accepts it, and what is refused."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from crack_tf import bundle
from crack_tf.deploy import bundle as packing
from crack_tf.evaluation.thresholds import threshold_record
from crack_tf.inference.predictor import load_predictor
from crack_tf.models.shipped import find_model, read_zoo
from tests.dark_map_model import write_map_model
from tflite.device import __main__ as device
from tflite.device.bundle import file_problems, read_bundle
from tflite.device.tiles import training_side
from tflite.errors import CrackError
from tflite.files import read_json, sha256_file
from tflite.images import load_rgb
from tflite.manifest import Manifest, read_manifest, write_manifest
from tflite.runtime import Classifier
from tflite.sidecar import read_sidecar, sidecar_path, write_sidecar

pytest.importorskip("tensorflow")

NAMES = ("opnet-float32.tflite", "opnet-int8-ptq.tflite")
HEAVY = ("tensorflow", "keras", "tf_keras", "matplotlib", "sklearn", "scipy", "cv2", "crack_tf")


@pytest.fixture(scope="session")
def exported(tiny_export: Path) -> Path:
    """A tiny run with two models in export/. Do not change it."""
    return tiny_export


@pytest.fixture(scope="session")
def packed(exported: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle of both models. Do not change it."""
    path = tmp_path_factory.mktemp("packed") / "bundle.zip"
    assert bundle.main([str(exported), "--out", str(path), "--tiles", "6"]) == 0
    return path


@pytest.fixture(scope="session")
def unpacked(packed: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its content. Do not change it."""
    folder = tmp_path_factory.mktemp("unpacked") / "bundle"
    with zipfile.ZipFile(packed) as archive:
        archive.extractall(folder)
    return folder


@pytest.fixture
def run(exported: Path, tmp_path: Path) -> Path:
    """A copy of the run, to be changed."""
    folder = tmp_path / "run"
    shutil.copytree(exported, folder)
    return folder


@pytest.fixture
def refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Pack, expect a refusal that leaves no file, and return its message."""

    def call(*arguments: str | Path) -> str:
        out = tmp_path / "refused.zip"
        assert bundle.main([*map(str, arguments), "--out", str(out)]) == 2
        assert not out.exists()
        return capsys.readouterr().err

    return call


def retrain(path: Path, **changes: Any) -> None:
    """Change what a sidecar says about the model's training."""
    sidecar = read_sidecar(path)
    write_sidecar(path, replace(sidecar, training={**sidecar.training, **changes}))


def test_a_bundle_holds_the_device_side_models_tiles_and_answers(unpacked: Path) -> None:
    content = read_bundle(unpacked)
    assert file_problems(content) == []
    assert tuple(path.name for path in content.models()) == NAMES
    names = {file.path for file in content.files}
    assert {"README.txt", "requirements-device.txt", "LICENSE", "NOTICE"} <= names
    assert {"tflite/runtime.py", "tflite/benchmark.py", "tflite/device/check.py", "tflite/device/__main__.py"} <= names
    assert not {f"tflite/{name}" for name in packing.HOST_MODULES} & names
    assert not any(name.startswith("crack_tf/") for name in names)
    assert content.record["models"] == [f"models/{name}" for name in NAMES]
    assert content.record["evaluation"]["tiles"] == 6
    assert "tensorflow" in content.record["versions"]


def test_the_tiles_are_balanced_and_from_the_test_split(unpacked: Path, tiny_manifest: Manifest) -> None:
    small = read_manifest(unpacked / "evaluation/manifest.csv")
    assert [item.label for item in small.split("test")].count(1) == 3
    assert len(small.items) == 6
    assert {(item.path, item.sha256) for item in small.items} < {
        (item.path, item.sha256) for item in tiny_manifest.split("test")
    }
    for item in small.items:
        small.read(item)
    assert small.name == "tiny-plain-bundle"


def test_the_recorded_answers_are_those_of_the_models(unpacked: Path, exported: Path) -> None:
    reference = read_json(unpacked / "evaluation/reference.json")
    items = read_manifest(unpacked / "evaluation/manifest.csv").items
    assert reference["tiles"] == [item.path for item in items]
    tiles = np.stack([load_rgb(unpacked / "evaluation/images" / item.path, 32) for item in items])
    logits = load_predictor(exported).logits(tiles)
    for name in NAMES:
        record = reference["models"][name]
        assert record["float"]["logits"] == pytest.approx(logits, abs=1e-4)
        assert record["float"]["threshold"] == read_sidecar(exported / "model.keras").threshold.logit
        for delegate, nodes in (("xnnpack", 1), ("none", 0)):
            classifier = Classifier(exported / "export" / name, delegate=delegate)
            assert record["delegates"][delegate]["raw"] == [classifier.raw(tile) for tile in tiles]
            assert record["delegates"][delegate]["nodes"]["delegates"] == nodes
        labels = np.array([item.label for item in items])
        clearest = record["golden_tiles"]
        assert logits[clearest["crack"]] == max(logits[labels == 1])
        assert logits[clearest["no_crack"]] == min(logits[labels == 0])
    raw = reference["models"]["opnet-int8-ptq.tflite"]["delegates"]["xnnpack"]["raw"]
    assert all(isinstance(value, int) for value in raw)


def test_check_and_benchmark_run_in_the_bundle_without_anything_heavy(unpacked: Path, tmp_path: Path) -> None:
    """An untrained model may take its golden tiles for the opposite, on the workstation as here: no problem of this machine."""
    program = f"import sys; sys.modules.update(dict.fromkeys({HEAVY!r})); sys.path.insert(0, '')\n"
    check = f"from tflite.device.__main__ import main; sys.exit(main(['check', '--out', {str(tmp_path / 'c.json')!r}]))"
    done = subprocess.run(
        [sys.executable, "-c", program + check], cwd=unpacked, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    result = read_json(tmp_path / "c.json")
    assert result["files"]["problems"] == []
    for row in result["rows"]:
        assert row["max_difference"] == 0
        assert row["problems"] == []
    measure = (
        "from tflite.benchmark import main\n"
        f"sys.exit(main(['models/{NAMES[1]}', '--manifest', 'evaluation/manifest.csv', '--out', {str(tmp_path / 'b')!r}, "
        "'--runs', '50', '--warmup', '1']))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program + measure], cwd=unpacked, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_a_model_that_is_wrong_on_the_workstation_is_named_when_it_is_packed(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = run / "export" / NAMES[1]
    sidecar = read_sidecar(path)
    blind = threshold_record(60.0, sidecar.output.scale, sidecar.output.zero_point, sidecar.output.dtype)
    write_sidecar(path, replace(sidecar, threshold=blind))
    assert bundle.main([str(path), "--out", str(tmp_path / "weak.zip"), "--tiles", "6"]) == 0
    said = capsys.readouterr().err
    assert (
        f"note: {Path(NAMES[1]).stem} takes the clearest crack tile for the opposite; finds 0 of 3 cracked tiles here"
        in said
    )
    assert "that is the model's doing" in said


def test_every_module_of_a_bundle_imports_without_anything_heavy(unpacked: Path) -> None:
    modules = [
        path.relative_to(unpacked).with_suffix("").as_posix().replace("/", ".").removesuffix(".__init__")
        for path in sorted((unpacked / "tflite").rglob("*.py"))
    ]
    program = (
        "import importlib, sys\n"
        f"sys.modules.update(dict.fromkeys({HEAVY!r}))\n"
        f"for name in {modules!r}: importlib.import_module(name)"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=unpacked, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_same_inputs_give_the_same_bytes(packed: Path, exported: Path, tmp_path: Path) -> None:
    again = tmp_path / "again.zip"
    models = [str(exported / "export" / name) for name in reversed(NAMES)]
    assert bundle.main([*models, "--out", str(again), "--tiles", "6"]) == 0
    assert again.read_bytes() == packed.read_bytes()


def test_another_seed_draws_other_tiles(tiny_manifest: Manifest) -> None:
    draws = {tuple(packing.choose_tiles(tiny_manifest, "train", 6, seed)) for seed in range(4)}
    assert len(draws) > 1
    assert packing.choose_tiles(tiny_manifest, "train", 6, 0) == packing.choose_tiles(tiny_manifest, "train", 6, 0)


def test_fewer_tiles_than_asked_for_are_taken_with_a_note(
    tiny_manifest: Manifest, capsys: pytest.CaptureFixture[str]
) -> None:
    assert len(packing.choose_tiles(tiny_manifest, "test", 64, 0)) == 8
    assert "only 4 crack tiles" in capsys.readouterr().err
    one = replace(tiny_manifest, items=tuple(item for item in tiny_manifest.items if item.split == "test")[-5:])
    assert len(packing.choose_tiles(one, "test", 4, 0)) == 3
    assert "only 1 crack tile in" in capsys.readouterr().err


def test_a_shipped_model_is_packed_by_its_name_with_its_golden_tiles(capsys: pytest.CaptureFixture[str]) -> None:
    (model,) = packing.find_models([Path("opnet_lite_nano")], [])
    assert model.path == read_zoo()[1]["opnet_lite_nano"].tflite
    assert model.name == "opnet_lite_nano-int8-qat.tflite"  # the file in the zoo is called as several are
    files = packing.model_files([model])
    assert sorted(files) == [f"models/{model.name}", f"models/{model.name}.json"]
    assert json.loads(files[f"models/{model.name}.json"])["file"] == model.name
    with packing.golden_manifest([model]) as manifest:
        assert sorted(item.label for item in manifest.items) == [0, 1]
        assert {item.path for item in manifest.items} == {f"{model.name}.{role}.png" for role in ("crack", "clean")}
        tiles = {item.label: load_rgb(manifest.read(item)) for item in manifest.items}
        told = packing.readme([model], manifest, manifest.items)
        packing.choose_tiles(manifest, "test", 64, 0)
        packing.refuse_trained([model], manifest, manifest.items)
    assert capsys.readouterr().err == ""  # nobody can do anything about there being two
    assert model.sidecar.licence == "CC-BY-4.0"
    assert "opnet_lite_nano" in told.partition("Licence: CC-BY-4.0")[0].splitlines()[-2]
    assert f"  models/{model.name}  (" in told
    assert "Licence of the tiles: CC0-1.0" in told
    clean, cracked = (load_predictor(model.path).logits(tiles[label][None])[0] for label in (0, 1))
    assert clean < model.sidecar.threshold.logit <= cracked


@pytest.mark.parametrize("compiled", [False, True])
def test_a_board_cuts_a_shipped_models_tiles_as_large_as_predict_does(compiled: bool, tmp_path: Path) -> None:
    name = "mobilenet_v2_104_real"
    shipped = read_zoo()[1][name]
    own = read_sidecar(shipped.tflite)
    if compiled:
        for path in (shipped.tflite, sidecar_path(shipped.tflite), shipped.keras, sidecar_path(shipped.keras)):
            shutil.copyfile(path, tmp_path / path.name)
        path = tmp_path / "compiled_edgetpu.tflite"
        path.write_bytes(shipped.tflite.read_bytes() + b"compiled")
        origin = {"file": shipped.tflite.name, "sha256": own.sha256}
        changed = replace(own, file=path.name, sha256=sha256_file(path))
        write_sidecar(path, replace(changed, training={**own.training, "compiled_from": origin}))
    models = packing.find_models([tmp_path / "compiled_edgetpu.tflite" if compiled else Path(name)], [])
    assert len(models) == 1 + compiled
    for place, data in packing.model_files(models).items():
        (tmp_path / "board" / place).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "board" / place).write_bytes(data)
    for model in models:
        path = tmp_path / "board" / model.folder / model.name
        assert training_side(read_sidecar(path)) == find_model(name).tile_side == shipped.tile_side == 256
        assert read_sidecar(path).sha256 == sha256_file(path)


def test_a_model_of_ones_own_keeps_its_sidecar(exported: Path) -> None:
    models = packing.find_models([exported], [])
    content = packing.model_files(models)
    for model in models:
        assert content[f"models/{model.name}.json"] == sidecar_path(model.path).read_bytes()


def test_a_file_that_exists_is_kept_unless_told_otherwise(
    exported: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "bundle.zip"
    out.write_text("precious")
    assert bundle.main([str(exported), "--out", str(out)]) == 2
    assert "exists already" in capsys.readouterr().err
    assert out.read_text() == "precious"


def test_nothing_to_pack_is_refused(refused: Callable[..., str], tmp_path: Path, tiny_run: Path) -> None:
    assert "no model given" in refused()
    assert "none.tflite does not exist" in refused(tmp_path / "none.tflite")
    assert "has no export/*.tflite. Make one with" in refused(tiny_run)
    assert "name a run folder, a .tflite file or a shipped model" in refused(tiny_run / "model.keras")


def test_damaged_models_are_refused(run: Path, refused: Callable[..., str]) -> None:
    model = run / "export" / NAMES[1]
    data = bytearray(model.read_bytes())
    data[500] ^= 1
    model.write_bytes(data)
    assert "is not the file its sidecar describes" in refused(model)
    sidecar_path(model).unlink()
    assert "has no sidecar" in refused(model)


def test_a_model_without_a_golden_answer_is_refused(run: Path, refused: Callable[..., str]) -> None:
    model = run / "export" / NAMES[1]
    write_sidecar(model, replace(read_sidecar(model), golden=None))
    assert "has no golden answer" in refused(model)


def test_a_segmentation_model_is_refused_and_its_benchmark_named(refused: Callable[..., str], tmp_path: Path) -> None:
    model = tmp_path / "export" / "dark_map.tflite"
    model.parent.mkdir()
    write_map_model(model)
    for named in (model, tmp_path):
        message = refused(named)
        assert "draws masks, which is done after the flight" in message
        assert "python -m tflite.benchmark dark_map.tflite" in message


def test_two_models_of_one_name_have_their_runs_in_front(run: Path, exported: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    shutil.copytree(exported, other)
    (other / "export" / NAMES[0]).unlink()
    out, folder = tmp_path / "both.zip", tmp_path / "both"
    assert bundle.main([str(run), str(other), str(run), "--out", str(out), "--tiles", "2"]) == 0
    with zipfile.ZipFile(out) as archive:
        archive.extractall(folder)
    names = [NAMES[0], *(f"{name}-{NAMES[1]}" for name in ("other", "run"))]
    content = read_bundle(folder)
    assert file_problems(content) == []
    assert [path.name for path in content.models()] == names
    for path in content.models():
        sidecar = read_sidecar(path)
        assert (sidecar.file, sidecar.sha256) == (path.name, sha256_file(path))
    assert sorted(read_json(folder / "evaluation/reference.json")["models"]) == names
    assert device.main(["check", "--bundle", str(folder), "--out", str(tmp_path / "check.json")]) == 0


def test_two_models_of_one_name_and_one_runs_name_are_refused(run: Path, refused: Callable[..., str]) -> None:
    other = run.parent / "elsewhere" / run.name
    shutil.copytree(run, other)
    assert "have one name, and so have their folders" in refused(run, other)


def test_a_model_whose_float_original_is_missing_is_refused_and_takes_one_that_is_named(
    run: Path, exported: Path, refused: Callable[..., str], tmp_path: Path
) -> None:
    alone = tmp_path / "alone"
    shutil.copytree(run / "export", alone)
    assert "Name the .keras file, with its sidecar beside it: --float-model FILE" in refused(alone / NAMES[1])
    other = tmp_path / "other.keras"
    shutil.copy(exported / "model.keras", other)
    write_sidecar(other, replace(read_sidecar(exported / "model.keras"), sha256="0" * 64))
    assert "--float-model FILE" in refused(alone / NAMES[1], "--float-model", other)
    found = packing.find_models([alone / NAMES[1]], [other, exported / "model.keras"])
    assert found[0].source == exported / "model.keras"


def test_a_changed_float_original_is_refused(run: Path, refused: Callable[..., str]) -> None:
    with (run / "model.keras").open("ab") as stream:
        stream.write(b"x")
    assert "model.keras is not the file its sidecar describes" in refused(run)


def test_tiles_that_trained_the_model_are_refused(exported: Path, refused: Callable[..., str]) -> None:
    assert "32 of the 32 tiles trained" in refused(exported, "--split", "train")


def test_models_of_different_manifests_need_one_to_be_named(
    run: Path, exported: Path, tiny_manifest: Manifest, tmp_path: Path, refused: Callable[..., str]
) -> None:
    other = replace(tiny_manifest, items=tiny_manifest.items[1:], root=str(tiny_manifest.folder()))
    write_manifest(tmp_path / "other.csv", other)
    (run / "config.json").write_text(json.dumps({"data": {"manifest": str(tmp_path / "other.csv")}}))
    retrain(run / "model.keras", manifest_sha256=other.sha256)
    message = refused(run / "export" / NAMES[0], exported / "export" / NAMES[1])
    assert "name one with --data" in message


@pytest.mark.parametrize(
    ("kept", "message"),
    [
        (lambda item: item.split != "test", "is empty"),
        (lambda item: item.split != "test" or item.label, "no no_crack tile"),
    ],
)
def test_a_manifest_without_test_tiles_of_both_classes_is_refused(
    kept: Callable[..., Any],
    message: str,
    exported: Path,
    tiny_manifest: Manifest,
    tmp_path: Path,
    refused: Callable[..., str],
) -> None:
    items = tuple(item for item in tiny_manifest.items if kept(item))
    write_manifest(tmp_path / "m.csv", replace(tiny_manifest, items=items, root=str(tiny_manifest.folder())))
    assert message in refused(exported, "--data", tmp_path / "m.csv")


def test_tiles_outside_the_folder_of_a_manifest_are_refused(tiny_manifest: Manifest) -> None:
    items = tuple(replace(item, path=f"../{item.path}") for item in tiny_manifest.items)
    with pytest.raises(CrackError, match="lies outside its folder"):
        packing.choose_tiles(replace(tiny_manifest, items=items), "test", 4, 0)


def test_one_tile_is_too_few(tiny_manifest: Manifest) -> None:
    with pytest.raises(CrackError, match="at least 2"):
        packing.choose_tiles(tiny_manifest, "test", 1, 0)


def test_a_tile_that_changed_since_the_split_is_refused(
    exported: Path, tiny_manifest: Manifest, tmp_path: Path, refused: Callable[..., str]
) -> None:
    root = tmp_path / "copy"
    shutil.copytree(tiny_manifest.folder(), root)
    for path in root.rglob("*.png"):
        path.write_bytes(path.read_bytes() + b"x")
    assert "changed since manifest" in refused(exported, "--data", root / "tiny.csv")


def test_a_model_compiled_for_the_edge_tpu_brings_its_twin_and_is_kept_apart(run: Path, tmp_path: Path) -> None:
    """No compiler here: a copy stands for the compiled file, which this machine could not run either."""
    twin = run / "export" / NAMES[1]
    compiled = twin.with_name("opnet-int8-ptq_edgetpu.tflite")
    compiled.write_bytes(twin.read_bytes() + b"\0")
    sidecar = read_sidecar(twin)
    origin = {"file": twin.name, "sha256": sidecar.sha256}
    training = {**sidecar.training, "compiled_from": origin}
    write_sidecar(compiled, replace(sidecar, file=compiled.name, sha256=sha256_file(compiled), training=training))
    out = tmp_path / "coral.zip"
    assert bundle.main([str(compiled), "--out", str(out), "--tiles", "2"]) == 0
    with zipfile.ZipFile(out) as archive:
        archive.extractall(tmp_path / "coral")
        assert "--delegate edgetpu" in archive.read("README.txt").decode()
    content = read_bundle(tmp_path / "coral")
    assert [path.name for path in content.models()] == [twin.name]
    assert [path.name for path in content.models(compiled=True)] == [compiled.name]
    answers = read_json(tmp_path / "coral/evaluation/reference.json")["models"]
    assert answers[compiled.name]["delegates"] == answers[twin.name]["delegates"]


def test_a_compiled_model_without_its_twin_is_refused(run: Path, refused: Callable[..., str]) -> None:
    model = run / "export" / NAMES[1]
    retrain(model, compiled_from={"file": "gone.tflite", "sha256": "0" * 64})
    assert "was compiled from gone.tflite, which is not beside it" in refused(model)


def test_an_installation_without_the_boards_requirements_is_not_whole(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(packing, "SHIPPED", tmp_path)
    with pytest.raises(CrackError, match=r"requirements-device\.txt does not exist.*Install crack_tf again"):
        packing.code_files()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--ssh=-oProxyCommand=x"], "expected USER@HOST"),
        (["--tiles", "1"], "at least 2"),
    ],
)
def test_bad_options_are_refused_before_any_work(
    options: list[str], message: str, exported: Path, refused: Callable[..., str]
) -> None:
    assert message in refused(exported, *options)


def test_odd_thread_counts_are_refused_before_any_work(
    exported: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stop:
        bundle.main([str(exported), "--out", str(tmp_path / "b.zip"), "--ssh", "pi@board", "--threads", "many"])
    assert stop.value.code == 2
    assert "--threads: a count must be a whole number, got 'many'" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_bundle_that_exists_is_not_replaced_when_models_are_named_with_ssh(
    exported: Path, packed: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = packed.read_bytes()
    assert bundle.main([str(exported), "--out", str(packed), "--ssh", "pi@board"]) == 2
    assert "To send it as it is, leave the models out" in capsys.readouterr().err
    assert packed.read_bytes() == before
