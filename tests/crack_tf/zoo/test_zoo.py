"""The zoo gives out only files that are what its manifest says, and every shipped model gives its golden answers.

The tests of shipped models take their names from the manifest. While it lists none they are skipped by name; what holds for the
zoo as a whole (its size, no stray files) is tested all the same.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from crack_tf.models.shipped import (
    FOLDER,
    GOLDEN,
    LIMIT_BYTES,
    ROLES,
    Chosen,
    ZooModel,
    check,
    find_model,
    load,
    looks_again,
    model_name,
    read_zoo,
)
from crack_tf.zoo.__main__ import main
from tests.dark_map_model import write_map_model
from tests.dark_model import SIZE, write_dark_model
from tflite.device.tiles import training_side
from tflite.errors import CrackError, ModelFileError
from tflite.files import read_json, sha256_file, write_json
from tflite.segmenter import Segmenter, load_model
from tflite.sidecar import Sidecar, Threshold, made_from, read_sidecar, sidecar_path, write_sidecar

SHIPPED: list[Any] = sorted(read_zoo()[1]) or [
    pytest.param("", marks=pytest.mark.skip(reason="this version's manifest lists no model yet"), id="none-yet")
]


def make_run(
    folder: Path, export: str = "dark-int8-ptq", write: Callable[[Path], Sidecar] = write_dark_model, **changes: Any
) -> Path:
    """A finished run as `add` finds it: model.keras, an int8 export, sidecars and a model card."""
    (folder / "export").mkdir(parents=True, exist_ok=True)
    keras, tflite = folder / "model.keras", folder / "export" / f"{export}.tflite"
    keras.write_bytes(b"stands for a Keras model")
    sidecar = write(tflite)
    write_sidecar(keras, replace(sidecar, file=keras.name, sha256=sha256_file(keras), scheme="int8-ptq"))
    training = {**sidecar.training, "source_sha256": sha256_file(keras), **changes.pop("training", {})}
    write_sidecar(tflite, replace(sidecar, training=training, **changes))
    tflite.with_suffix(".md").write_text("# dark\n")
    return folder


def add(folder: Path, run: Path, name: str, *options: str) -> int:
    return main(["--zoo", str(folder), "add", str(run), "--name", name, *options])


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return make_run(tmp_path / "run")


@pytest.fixture
def small_zoo(run: Path, tmp_path: Path) -> Path:
    """A zoo of two models, "one" the default."""
    folder = tmp_path / "zoo"
    assert add(folder, run, "one") == 0
    assert add(folder, run, "two") == 0
    return folder


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_model_is_whole_and_gives_its_golden_answers(name: str) -> None:
    model = load(name)
    assert set(check(model)) == {"golden_crack", "golden_no_crack"}
    sidecar = load_model(model.tflite).sidecar
    assert (model.model, model.scheme, model.image_size) == (sidecar.model, sidecar.scheme, sidecar.image_size)
    assert model.task == sidecar.task
    assert model.licence == sidecar.licence
    assert model.trained_on["citation"]
    twin = read_sidecar(model.keras)
    assert twin.sha256 == model.files["keras"].sha256
    assert sidecar.training["source_sha256"] == twin.training.get("rounded_from", twin.sha256)
    assert find_model(name, task=model.task).tile_side == model.tile_side
    # A board has no manifest to ask.
    assert training_side(sidecar) == training_side(twin) == model.tile_side == sidecar.training["tile_side"]


def test_every_shipped_file_has_a_name_of_its_own_wherever_it_lies(tmp_path: Path) -> None:
    models = read_zoo()[1].values()
    sidecars = [read_sidecar(path) for model in models for path in (model.tflite, model.keras)]
    names = [model_name(sidecar) for sidecar in sidecars]
    assert len(set(names)) == len(names)
    for model in models:
        shutil.copy(model.tflite, tmp_path / "copy.tflite")
        shutil.copy(sidecar_path(model.tflite), tmp_path / "copy.tflite.json")
        assert model_name(read_sidecar(tmp_path / "copy.tflite")) == f"{model.name}-{model.scheme}"


def test_a_model_from_elsewhere_has_its_architectures_name(run: Path) -> None:
    sidecar = read_sidecar(run / "export/dark-int8-ptq.tflite")
    assert model_name(sidecar) == "dark-int8-ptq"
    assert not looks_again(sidecar)


def test_what_was_adapted_from_the_default_says_so_and_looks_again(small_zoo: Path) -> None:
    default, other = (read_sidecar(load(name, folder=small_zoo).tflite) for name in ("one", "two"))
    for origin, again in (("one", True), ("two", False), ("runs/mine", False)):
        adapted = replace(default, training={**default.training, "adapted": {"from": origin}})
        assert looks_again(adapted, small_zoo) is again
        assert model_name(adapted, small_zoo).endswith("-adapted-int8-ptq")
    assert model_name(other, small_zoo) in ("one-int8-ptq", "two-int8-ptq")  # the same bytes


def test_the_zoo_is_small_enough_for_git_and_holds_no_other_files() -> None:
    models = read_zoo()[1].values()
    listed = {FOLDER / file.path for model in models for file in model.files.values()}
    assert {path for path in FOLDER.rglob("*") if path.is_file()} == {FOLDER / "zoo.json", *listed}
    assert sum(path.stat().st_size for path in listed) < LIMIT_BYTES


def test_a_run_is_added_with_all_that_belongs_to_it(run: Path, tmp_path: Path) -> None:
    folder = tmp_path / "zoo"
    options = ["--default", "--tile-side", "100", "--summary", "calls dark tiles cracked", "--citation", "nobody"]
    assert add(folder, run, "dark-1.0", *options) == 0
    version, models = read_zoo(folder)
    assert version == 1
    model = models["dark-1.0"]
    assert (model.model, model.scheme, model.image_size, model.tile_side) == ("dark", "int8-ptq", SIZE, 100)
    assert (model.summary, model.trained_on["citation"], model.default) == ("calls dark tiles cracked", "nobody", True)
    assert set(model.files) == set(ROLES)
    assert {path.name for path in (folder / "dark-1.0").iterdir()} == {
        *("model.keras", "model.keras.json", "dark-int8-ptq.tflite", "dark-int8-ptq.tflite.json", "dark-int8-ptq.md"),
        *("golden_crack.png", "golden_no_crack.png"),
    }
    assert model.tflite.read_bytes() == (run / "export/dark-int8-ptq.tflite").read_bytes()
    assert [training_side(read_sidecar(path)) for path in (model.tflite, model.keras)] == [100, 100]
    with Image.open(model.path("golden_crack")) as tile:
        assert tile.size == (SIZE, SIZE)
    assert set(check(model)) == set(GOLDEN)


def test_a_zoo_of_an_earlier_version_is_renewed_without_its_models_changing(
    small_zoo: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = load("two", folder=small_zoo)
    path, before = model.tflite, model.tflite.read_bytes()
    sidecar = read_sidecar(path)
    write_sidecar(path, replace(sidecar, training={"dataset": "synthetic"}))
    record = read_json(small_zoo / "zoo.json")
    record["models"][1]["files"]["tflite_sidecar"]["sha256"] = sha256_file(sidecar_path(path))
    record["models"][1]["files"]["tflite_sidecar"]["bytes"] = sidecar_path(path).stat().st_size
    record["models"][1]["tile_side"] = 100
    write_json(small_zoo / "zoo.json", record)
    assert main(["--zoo", str(small_zoo), "renew"]) == 0
    assert main(["--zoo", str(small_zoo), "renew"]) == 0
    assert capsys.readouterr().out.endswith("changed: two\nchanged: nothing\n")
    assert (training_side(read_sidecar(path)), path.read_bytes()) == (100, before)
    version, models = read_zoo(small_zoo)
    assert version == 3
    check(models["two"])


class Killed(BaseException):
    """Stands for a kill."""


def kill_at(monkeypatch: pytest.MonkeyPatch, number: int, below: Path) -> None:
    """Stop when, after so many, the next file gets its name below a folder."""
    real, left = os.replace, [number]

    def replace_or_die(source: Path, target: Path) -> None:
        if below in Path(target).parents:
            if not left[0]:
                raise Killed
            left[0] -= 1
        real(source, target)

    monkeypatch.setattr(os, "replace", replace_or_die)


@pytest.mark.slow
def test_a_renewal_that_is_killed_anywhere_is_finished_by_the_next(small_zoo: Path, run: Path, tmp_path: Path) -> None:
    record = read_json(small_zoo / "zoo.json")
    for entry in record["models"]:
        entry["tile_side"] = 100
    write_json(small_zoo / "zoo.json", record)
    killed, number = True, 0
    while killed:
        zoo = tmp_path / f"zoo-{number}"
        shutil.copytree(small_zoo, zoo)
        with pytest.MonkeyPatch.context() as patch:
            kill_at(patch, number, zoo)
            try:
                main(["--zoo", str(zoo), "renew"])
                killed = False
            except Killed:
                number += 1
        if number == 9:  # an addition goes by what was about to be put in place, too
            assert add(zoo, run, "three") == 0
        assert main(["--zoo", str(zoo), "renew"]) == 0
        models = read_zoo(zoo)[1]
        assert [training_side(read_sidecar(models[name].tflite)) for name in ("one", "two")] == [100, 100]
        for model in models.values():
            check(model)
        assert not list(zoo.glob(".*"))
    assert number > 12  # six files, each made and put in place


@pytest.mark.slow
def test_an_addition_that_is_killed_anywhere_is_made_again(small_zoo: Path, tmp_path: Path) -> None:
    other = make_run(tmp_path / "other", "other-int8-ptq")  # whose files have other names
    killed, number = True, 0
    while killed:
        zoo = tmp_path / f"zoo-{number}"
        shutil.copytree(small_zoo, zoo)
        with pytest.MonkeyPatch.context() as patch:
            kill_at(patch, number, zoo / "one")
            try:
                add(zoo, other, "one", "--overwrite")
                killed = False
            except Killed:
                number += 1
        assert add(zoo, other, "one", "--overwrite") == 0
        for model in read_zoo(zoo)[1].values():
            check(model)
        assert len(list((zoo / "one").iterdir())) == len(ROLES)
    assert number == len(ROLES) + 1  # its files, and the mark that it is being made


def test_a_refused_addition_makes_no_zoo(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert add(tmp_path / "zoo", tmp_path / "nothing", "one") == 2
    assert not (tmp_path / "zoo").exists()


def test_the_version_rises_and_there_is_one_default(small_zoo: Path, run: Path) -> None:
    version, models = read_zoo(small_zoo)
    assert version == 2
    assert [model.name for model in models.values() if model.default] == ["one"]
    assert add(small_zoo, run, "three", "--default") == 0
    version, models = read_zoo(small_zoo)
    assert (version, sorted(models)) == (3, ["one", "three", "two"])
    assert load(folder=small_zoo).name == "three"
    assert add(small_zoo, run, "three", "--overwrite") == 0
    assert load(folder=small_zoo).name == "three"  # there has to be one


def test_load_gives_paths_by_name_or_the_default(small_zoo: Path) -> None:
    model = load("two", folder=small_zoo)
    assert model.tflite == small_zoo / "two/dark-int8-ptq.tflite"
    assert model.keras.is_file()
    head, _, body = model.card.read_text().partition("\n---\n\n")
    assert head.startswith("---\nlicense: ")
    assert body == "# dark\n"
    assert load(folder=small_zoo).name == "one"
    assert find_model(None, small_zoo).path == small_zoo / "one/dark-int8-ptq.tflite"
    assert find_model("two", small_zoo).tile_side == SIZE


def test_an_unknown_name_lists_the_known_ones(small_zoo: Path) -> None:
    with pytest.raises(CrackError, match="'opent' is not in the zoo: choose one of one, two"):
        load("opent", folder=small_zoo)


def test_an_empty_zoo_says_what_to_do(tmp_path: Path) -> None:
    shutil.copy(FOLDER / "zoo.json", tmp_path)
    record = read_json(tmp_path / "zoo.json")
    write_json(tmp_path / "zoo.json", {**record, "models": []})
    with pytest.raises(CrackError, match=r"no classifier is shipped .* --model FILE\.tflite"):
        load(folder=tmp_path)
    assert main(["--zoo", str(tmp_path), "list"]) == 0
    assert main(["--zoo", str(tmp_path), "check"]) == 0


@pytest.mark.parametrize("command", ["list", "check", "renew"])
def test_a_folder_without_a_zoo_is_named_with_its_option(
    command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--zoo", str(tmp_path / "nosuch"), command]) == 2
    assert f"--zoo {tmp_path / 'nosuch'}: no zoo.json" in capsys.readouterr().err


@pytest.mark.parametrize("role", ROLES)
def test_a_missing_or_changed_file_is_named(role: str, small_zoo: Path) -> None:
    path = read_zoo(small_zoo)[1]["one"].path(role)
    path.write_bytes(path.read_bytes() + b" ")
    with pytest.raises(ModelFileError, match=f"{path.name} of the shipped model one was changed"):
        load("one", folder=small_zoo)
    path.unlink()
    with pytest.raises(ModelFileError, match=f"{path.name} of the shipped model one is missing"):
        load("one", folder=small_zoo)
    assert load("two", folder=small_zoo)
    assert load("one", folder=small_zoo, roles=set(ROLES) - {role})


def test_files_of_a_model_by_path_are_taken_as_they_are(run: Path) -> None:
    path = run / "export/dark-int8-ptq.tflite"
    assert find_model(str(path)) == Chosen(path, None)
    with pytest.raises(CrackError, match=r"gone\.tflite does not exist"):
        find_model("gone.tflite")


def test_a_run_folder_stands_for_its_export_for_every_verb_that_predicts(tmp_path: Path) -> None:
    (tmp_path / "run/export").mkdir(parents=True)
    with pytest.raises(CrackError, match=r"name a \.tflite file"):
        find_model(str(tmp_path / "run"))
    for scheme in ("int8-ptq", "int8-qat"):
        (tmp_path / f"run/export/dark-{scheme}.tflite").touch()
    assert find_model(str(tmp_path / "run")) == Chosen(tmp_path / "run/export/dark-int8-qat.tflite", None)


def test_check_notices_another_answer(small_zoo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--zoo", str(small_zoo), "check"]) == 0
    assert "7 files as described" in capsys.readouterr().out
    record = read_json(small_zoo / "zoo.json")
    record["models"][0]["golden"]["golden_crack"] += 3
    write_json(small_zoo / "zoo.json", record)
    assert main(["--zoo", str(small_zoo), "check"]) == 2
    assert "golden_crack.png, the manifest says" in capsys.readouterr().err


def test_list_names_size_default_and_summary(small_zoo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--zoo", str(small_zoo), "list"]) == 0
    first, second, last = capsys.readouterr().out.splitlines()
    assert first.startswith("one")
    assert "default" in first
    assert "default" not in second
    assert last.startswith("zoo version 2: 2 models, 0.0 MB")


def damage_unknown(record: dict[str, Any]) -> None:
    record["models"][0]["colour"] = "grey"


def damage_missing(record: dict[str, Any]) -> None:
    del record["models"][0]["files"]["card"]


def damage_default(record: dict[str, Any]) -> None:
    record["models"][0]["default"] = False


@pytest.mark.parametrize("damage", [damage_unknown, damage_missing, damage_default])
def test_a_damaged_manifest_is_refused(damage: Any, small_zoo: Path) -> None:
    record = read_json(small_zoo / "zoo.json")
    damage(record)
    write_json(small_zoo / "zoo.json", record)
    with pytest.raises(CrackError, match=r"zoo\.json is damaged"):
        read_zoo(small_zoo)
    write_json(small_zoo / "zoo.json", {"format": "other"})
    with pytest.raises(CrackError, match="not a zoo's manifest"):
        read_zoo(small_zoo)


def refused(folder: Path, run: Path, capsys: pytest.CaptureFixture[str], *options: str, name: str = "new") -> str:
    assert add(folder, run, name, *options) == 2
    assert not list(folder.glob(".*"))
    assert not (folder / name).exists() or name == "one"
    return capsys.readouterr().err


def test_a_name_is_not_taken_twice_and_fit_for_a_folder(
    small_zoo: Path, run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "exists already" in refused(small_zoo, run, capsys, name="one")
    assert "use lower-case letters" in refused(small_zoo, run, capsys, name="A b")
    assert "use lower-case letters" in refused(small_zoo, run, capsys, name="../x")


def test_files_that_do_not_belong_together_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = make_run(tmp_path / "run", training={"source_sha256": "0" * 64})
    assert "was not made from" in refused(tmp_path / "zoo", run, capsys)


def test_a_model_that_must_not_be_passed_on_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for licence in ("not stated", "a: research only (academic); b: not stated"):
        run = make_run(tmp_path / "run", licence=licence)
        assert f"licence {licence!r}: only models under" in refused(tmp_path / "zoo", run, capsys)


def test_a_model_for_research_only_carries_that_label(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    licence = (
        "crack500: research only (academic research); metu: CC-BY-4.0. Encoder from ImageNet weights (Apache-2.0)."
    )
    run = make_run(tmp_path / "run", licence=licence, training={"dataset": "crack500+metu"})
    assert add(tmp_path / "zoo", run, "new", "--summary", "draws cracks") == 0
    model = load("new", folder=tmp_path / "zoo")
    assert model.summary == "draws cracks; research only"
    assert add(tmp_path / "zoo", run, "again", "--summary", "draws cracks; research only") == 0
    assert load("again", folder=tmp_path / "zoo").summary == "draws cracks; research only"
    assert model.licence == licence
    assert "Feature Pyramid" in model.trained_on["citation"]
    assert "Mendeley" in model.trained_on["citation"]


def test_each_task_has_its_default_and_neither_passes_for_the_other(
    small_zoo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(CrackError, match=r"no segmentation model is shipped .* --model FILE\.tflite"):
        find_model(None, small_zoo, task="segment")
    run = make_run(tmp_path / "maps", write=write_map_model)
    assert add(small_zoo, run, "lines") == 0
    assert add(small_zoo, run, "more-lines") == 0
    models = read_zoo(small_zoo)[1]
    assert [model.name for model in models.values() if model.default] == ["lines", "one"]
    assert load(folder=small_zoo).name == "one"
    assert load(folder=small_zoo, task="segment").name == "lines"
    Segmenter(find_model(None, small_zoo, task="segment").path)
    assert set(check(models["lines"])) == set(GOLDEN)
    with pytest.raises(
        CrackError, match=r"lines is a segmentation model: it draws cracks\. Use it with crack-tf photo segment"
    ):
        find_model("lines", small_zoo)
    with pytest.raises(CrackError, match="one is a classifier"):
        find_model("one", small_zoo, task="segment")
    capsys.readouterr()
    assert main(["--zoo", str(small_zoo), "list"]) == 0
    printed = capsys.readouterr().out
    assert "lines       segment" in printed
    assert "one         classify" in printed
    assert add(small_zoo, run, "more-lines", "--overwrite", "--default") == 0
    assert load(folder=small_zoo, task="segment").name == "more-lines"
    assert load(folder=small_zoo).name == "one"


def test_an_unknown_data_set_needs_its_source_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = make_run(tmp_path / "run", training={"dataset": "mix"})
    assert "--citation TEXT" in refused(tmp_path / "zoo", run, capsys)
    assert add(tmp_path / "zoo", run, "new", "--citation", "both of them") == 0


def test_a_model_that_cannot_tell_synthetic_tiles_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from tflite.metrics import sigmoid

    always = Threshold(float(sigmoid(-7.0)), -7.0, 16, None, None)
    run = make_run(tmp_path / "run", threshold=always)
    assert "answers no clean synthetic tile clearly" in refused(tmp_path / "zoo", run, capsys)


def test_missing_files_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = make_run(tmp_path / "run")
    (run / "export/dark-int8-ptq.md").unlink()
    assert "(card) does not exist" in refused(tmp_path / "zoo", run, capsys)
    (run / "export/dark-int8-ptq.tflite").unlink()
    assert "has no int8 models. Make one" in refused(tmp_path / "zoo", run, capsys)


def test_the_quantisation_aware_export_is_preferred_and_several_need_a_choice(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = make_run(tmp_path / "run", "a-int8-ptq")
    make_run(run, "b-int8-ptq")
    assert "has 2 int8 models: name one with --tflite" in refused(tmp_path / "zoo", run, capsys)
    make_run(run, "a-int8-qat")
    for options, name in (([], "a-int8-qat"), (["--tflite", str(run / "export/b-int8-ptq.tflite")], "b-int8-ptq")):
        assert add(tmp_path / "zoo", run, "one", "--overwrite", *options) == 0
        assert load(folder=tmp_path / "zoo").tflite.stem == name


def test_the_limit_of_the_zoo_is_kept_and_what_was_there_stays(
    small_zoo: Path, run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    before = (small_zoo / "zoo.json").read_bytes()
    monkeypatch.setattr("crack_tf.zoo.add.LIMIT_BYTES", 1000)
    assert "its limit is" in refused(small_zoo, run, capsys, "--overwrite", name="one")
    assert (small_zoo / "zoo.json").read_bytes() == before
    assert load("one", folder=small_zoo)


def test_the_paths_of_an_entry_follow_its_folder(small_zoo: Path, tmp_path: Path) -> None:
    moved = small_zoo.rename(tmp_path / "moved")
    model: ZooModel = load("one", folder=moved)
    assert sidecar_path(model.tflite) == model.path("tflite_sidecar")


def test_a_mixtures_licences_are_read_one_by_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    weights = "Backbone initialised from ImageNet weights (Apache-2.0)."
    mixed = make_run(
        tmp_path / "run",
        licence=f"metu: CC-BY-4.0; sdnet2018: CC-BY-4.0. {weights}",
        training={"dataset": "metu+sdnet2018"},
    )
    assert add(tmp_path / "zoo", mixed, "mixed") == 0
    closed = make_run(tmp_path / "other", licence=f"metu: CC-BY-4.0; ours: proprietary. {weights}")
    assert "may ship" in refused(tmp_path / "zoo", closed, capsys)


def test_a_rounded_float_model_is_smaller_and_still_known_as_the_source(tiny_run: Path, tmp_path: Path) -> None:
    run = make_run(tmp_path / "run")
    keras, tflite = run / "model.keras", run / "export" / "dark-int8-ptq.tflite"
    shutil.copyfile(tiny_run / "model.keras", keras)
    original = sha256_file(keras)
    write_sidecar(keras, replace(read_sidecar(keras), sha256=original))
    before = read_sidecar(tflite)
    write_sidecar(tflite, replace(before, training={**before.training, "source_sha256": original}))
    assert add(tmp_path / "zoo", run, "small", "--round-weights") == 0
    model = load("small", folder=tmp_path / "zoo")
    twin = read_sidecar(model.keras)
    assert model.keras.stat().st_size < 0.6 * keras.stat().st_size
    assert twin.sha256 == sha256_file(model.keras) != original
    assert twin.training["rounded_from"] == original
    assert made_from(read_sidecar(model.tflite), twin)
    assert add(tmp_path / "two", model.keras.parent, "small", "--tflite", str(model.tflite), "--round-weights") == 0
    assert read_sidecar(load("small", folder=tmp_path / "two").keras).training["rounded_from"] == original


def test_the_list_says_once_what_weights_may_be_used_for(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) >= len(read_zoo()[1])
    assert all(line.count("research only") <= 1 for line in lines)
