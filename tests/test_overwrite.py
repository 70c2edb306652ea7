"""No verb removes or replaces what it did not write: every command line with --overwrite, against a person's own files."""

from __future__ import annotations

import ast
import importlib
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.crack_tf.survey.known_surveys import photo_record, write_found
from tests.crack_tf.survey.small_flight import write_flight, write_models
from tests.test_project import ROOT, modules
from tflite.files import sha256_bytes, write_bytes
from tflite.locks import FolderLock
from tflite.manifest import Manifest
from tflite.outputs import MARK
from tflite.results import result_path
from tflite.sidecar import read_sidecar, write_sidecar

# Names that the verbs themselves give, each with something of a person's in it.
MINE = (
    *("notes.txt", "config.json", "project.json", "settings.json", "segment.json", "truth.json", "synthetic.json"),
    *("summary.json", "metrics.json", "suite.json", "cracks.json", "check.json", "survey.json", "adapt.json", MARK),
    *("predictions.jsonl", "photos.csv", "tiles.csv", "findings.csv", "history.csv", "audit.csv", "review.csv"),
    *("disputes.csv", "faithfulness.csv", "completeness.csv", "cracks.csv", "report.csv", "model.keras"),
    *("report.html", "pictures/holiday.jpg", "records/1.json", "overlays/a.png", "checkpoints/best.keras"),
    *("search/diary.txt", "images/crack/00001.png", "photos/IMG_0001.jpg", "masks/IMG_0001.png", "export/m.tflite"),
    *("golden_crack.png", "sheet-00.png", "mask.png", "mask.npy", "overlay.png"),
)
FOLDER, FILE, NAMED = "a folder", "a file", "files in a folder"


@dataclass(frozen=True)
class Inputs:
    """What the verbs read here: files in one folder, and a manifest."""

    folder: Path
    manifest: str

    def __call__(self, name: str) -> str:
        return str(self.folder / name)


@dataclass(frozen=True)
class Verb:
    """A command line with --overwrite.

    Attributes:
        module: with `main`.
        options: everything but the name of the result and --overwrite.
        kind: what it writes.
        file: name of the file, or of one of the files in the folder.
        out: the option that names the result.
        source: module that defines the option, where it is another.
    """

    module: str
    options: Callable[[Inputs], list[str]]
    kind: str = FOLDER
    file: str = ""
    out: str = "--out"
    source: str = ""

    def call(self, inputs: Inputs, out: Path, *more: str) -> int:
        main = importlib.import_module(self.module).main
        arguments, place = self.options(inputs), [self.out, str(out)]
        arguments = [*place, *arguments] if self.out == "--zoo" else [*arguments, *place]
        return int(main([*arguments, *more]))


SMALL_FLIGHT = ["--piers", "1", "--rows", "1", "--columns", "2", "--size", "240x240", "--cracks", "0"]
DATA, PHOTO = "crack_tf.data.__main__", "crack_tf.photo.__main__"
VERBS = {
    "train": Verb("crack_tf.train", lambda i: ["--model", "opnet", "--data", i.manifest]),
    "average": Verb("crack_tf.average", lambda i: [i("run"), i("run"), "--data", i.manifest]),
    "tune": Verb("crack_tf.tune", lambda i: ["--data", i.manifest]),
    "evaluate": Verb("crack_tf.evaluate", lambda i: [i("dark.tflite"), "--data", i.manifest]),
    "evaluate --suite": Verb("crack_tf.suite", lambda i: [i("dark.tflite"), "--suite"]),
    "explain": Verb(
        "crack_tf.explain.__main__", lambda i: [i("dark.tflite"), "--tiles", i("photo.png"), "--methods", "occlusion"]
    ),
    "explain.summary": Verb("studies.explain_summary", lambda i: [i("run")]),
    "predict": Verb("crack_tf.predict", lambda i: [i("photo.png"), "--model", i("dark.tflite")]),
    "survey": Verb(
        "crack_tf.survey.__main__", lambda i: [i("photos"), "--model", i("dark.tflite"), "--segmenter", "none"]
    ),
    "survey-export": Verb("crack_tf.survey_export", lambda i: [i("found"), "--to", "coco"], FILE, "out.json"),
    "photo segment": Verb(PHOTO, lambda i: ["segment", i("photo.png"), "--model", i("map.tflite")]),
    "photo measure": Verb(PHOTO, lambda i: ["measure", i("drawn.png")]),
    "photo foreground": Verb(PHOTO, lambda i: ["foreground", i("photo.png")], FILE, "out.png"),
    "data fetch": Verb(DATA, lambda i: ["fetch", "metu"]),
    "data fetch synthetic": Verb(DATA, lambda i: ["fetch", "synthetic"]),
    "data flight": Verb(DATA, lambda i: ["flight", *SMALL_FLIGHT], source="crack_tf.data.flight"),
    "data audit": Verb(DATA, lambda i: ["audit", i("metu")]),
    "data disputes": Verb(DATA, lambda i: ["disputes", i.manifest], source="crack_tf.data.label_verbs"),
    "data review": Verb(DATA, lambda i: ["review", i.manifest], source="crack_tf.data.label_verbs"),
    "data split": Verb(DATA, lambda i: ["split", i("metu")], FILE, "out.csv"),
    "data joint": Verb(DATA, lambda i: ["joint", i.manifest, i.manifest], FILE, "out.csv"),
    "data mix": Verb(DATA, lambda i: ["mix", i.manifest, i.manifest], FILE, "out.csv"),
    "data relabel": Verb(
        DATA,
        lambda i: ["relabel", i.manifest, "--review", "sdnet2018_walls"],
        FILE,
        "out.csv",
        source="crack_tf.data.label_verbs",
    ),
    "export": Verb("crack_tf.export", lambda i: [i("run"), "--float32"], NAMED, "dark-float32.tflite"),
    "zoo add": Verb(
        "crack_tf.zoo.__main__", lambda i: ["add", i("run"), "--name", "new"], NAMED, "new/notes.txt", "--zoo"
    ),
    "adapt": Verb("crack_tf.adapt", lambda i: [i("photos")]),
    "adopt": Verb(
        "crack_tf.adopt",
        lambda i: [
            *(i("dark.tflite"), "--input-scaling", "none", "--classes", "no_crack,crack", "--threshold", "0.5"),
            *("--crack", i("photo.png"), "--clean", i("photo.png")),
        ],
        NAMED,
        "dark.tflite.json",
    ),
    "bundle": Verb("crack_tf.bundle", lambda i: [i("dark.tflite")], FILE, "out.zip"),
    "report": Verb("crack_tf.report", lambda i: ["--notebook", "01"], FILE, "out.html"),
    "throughput": Verb("crack_tf.throughput", lambda i: ["--data", i.manifest], FILE, "out.csv"),
    "seam_check": Verb("studies.seam_check", lambda i: [i("map.tflite"), "--data", i.manifest], FILE, "out.csv"),
    "latency": Verb("studies.map_latency", lambda i: [i("map.tflite")], FILE, "out.csv"),
    "scaling": Verb("studies.survey_scaling", lambda i: [], FILE, "out.csv"),
    "photo_cost": Verb("studies.photo_cost", lambda i: [], FILE, "out.csv"),
    "benchmark": Verb("tflite.benchmark", lambda i: [i("dark.tflite")], NAMED, result_path("", ".json").name),
    "benchmark's table": Verb("tflite.benchmark", lambda i: [i("dark.tflite")], NAMED, result_path("", ".csv").name),
    "benchmark --report": Verb("tflite.benchmark", lambda i: ["--report", i("run")], NAMED, "report.csv"),
    "edgetpu check": Verb("tflite.edgetpu", lambda i: ["check", i("dark.tflite")], FILE, "out.json"),
    "edgetpu compile": Verb("tflite.edgetpu", lambda i: ["compile", i("dark.tflite")], NAMED, "dark_edgetpu.tflite"),
    "edgetpu validate": Verb("tflite.edgetpu", lambda i: ["validate", i("mapping.csv")], FILE, "out.csv"),
    "device check": Verb("tflite.device.check", lambda i: [], FILE, "check.json"),
}


# Those that end within a second or two here.
QUICK = (
    *(
        "predict",
        "survey",
        "survey-export",
        "photo segment",
        "photo measure",
        "photo foreground",
        "data fetch",
        "data flight",
        "data audit",
    ),
    *("data review", "data split", "edgetpu check", "edgetpu validate"),
)


# Those that say so here without a training.
WHILE_OTHERS_WRITE = (
    "evaluate",
    "explain",
    "predict",
    "survey",
    "photo segment",
    "photo measure",
    "data audit",
    "data flight",
    "data review",
)


@pytest.fixture(scope="module")
def inputs(tiny_manifest: Manifest, tmp_path_factory: pytest.TempPathFactory) -> Inputs:
    folder = tmp_path_factory.mktemp("inputs")
    write_models(folder)
    write_flight(folder / "photos", 2)
    write_found(folder / "found", [(photo_record("a.png"), [])])
    shutil.copytree(tiny_manifest.folder(), folder / "metu")
    Image.fromarray(np.full((40, 40, 3), 200, np.uint8)).save(folder / "photo.png")
    Image.fromarray(np.zeros((40, 40), np.uint8)).save(folder / "drawn.png")
    write_bytes(folder / "run/model.keras", b"weights")
    sidecar = read_sidecar(folder / "dark.tflite")
    float_model = replace(sidecar, file="model.keras", sha256=sha256_bytes(b"weights"), scheme="keras", golden=None)
    write_sidecar(folder / "run/model.keras", float_model)
    (folder / "mapping.csv").write_text("model,operators,mapped,left_on_cpu\n")
    return Inputs(folder, str(tiny_manifest.source))


def contents(folder: Path) -> dict[str, bytes | str]:
    """Everything below a folder by name; of a link where it leads."""
    return {
        path.relative_to(folder).as_posix(): os.readlink(path) if path.is_symlink() else path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_symlink() or path.is_file()
    }


def write_mine(out: Path, verb: Verb) -> None:
    """A person's files where the verb would write."""
    if verb.kind == FILE:
        write_bytes(out, b"mine")
    for name in {FOLDER: MINE, NAMED: (verb.file,), FILE: ()}[verb.kind]:
        write_bytes(out / name, b'{"mine": 1}' if name.endswith(".json") else b"mine")


def place(verb: Verb, folder: Path) -> Path:
    return folder / (verb.file if verb.kind == FILE else "out")


def refused(verb: Verb, inputs: Inputs, out: Path, capsys: pytest.CaptureFixture[str]) -> str:
    """The one line with which a verb ends with code 2."""
    assert verb.call(inputs, out, "--overwrite") == 2
    said = capsys.readouterr().err
    lines = [line for line in said.splitlines() if line.startswith("error: ")]
    assert len(lines) == 1, said
    assert "Traceback" not in said
    return lines[0]


every_verb = pytest.mark.parametrize("verb", VERBS.values(), ids=VERBS)
every_folder = pytest.mark.parametrize(
    "verb", [verb for verb in VERBS.values() if verb.kind == FOLDER], ids=[n for n in VERBS if VERBS[n].kind == FOLDER]
)
every_file = pytest.mark.parametrize(
    "verb", [verb for verb in VERBS.values() if verb.kind == FILE], ids=[n for n in VERBS if VERBS[n].kind == FILE]
)


def test_no_command_line_with_overwrite_is_missing_here() -> None:
    found = {
        path.relative_to(ROOT).with_suffix("").as_posix().replace("/", ".")
        for path in modules()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
        and any(isinstance(value, ast.Constant) and value.value == "--overwrite" for value in node.args)
        and ast.unparse(node.func).rpartition(".")[2] in ("add", "add_argument")
    }
    listed = {verb.source or verb.module for verb in VERBS.values()}
    assert found == {name for name in listed if not name.startswith("studies.")}  # those are not in the packages


def test_whole_folders_are_removed_in_few_places_only() -> None:
    """`tflite.locks` and a Dask worker take away their temporary folders, and a search its trials' parts."""
    culprits = {path.relative_to(ROOT).as_posix() for path in modules() if "rmtree" in path.read_text(encoding="utf-8")}
    assert culprits == {
        "tflite/locks.py",
        "crack_tf/survey/searching/cluster_worker.py",
        "tuning/project.py",
        "tuning/trial.py",
    }


@every_verb
def test_somebody_elses_files_are_refused_and_stay(
    verb: Verb, inputs: Inputs, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = place(verb, tmp_path)
    write_mine(out, verb)
    before = contents(tmp_path)
    said = refused(verb, inputs, out, capsys)
    assert "left alone" in said or "adopt did not write it" in said
    assert contents(tmp_path) == before


@pytest.mark.parametrize("name", QUICK)
def test_a_result_is_replaced_by_the_same_command_and_a_persons_note_stays(
    name: str, inputs: Inputs, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CRACK_TF_DATA", inputs(""))
    verb, out = VERBS[name], place(VERBS[name], tmp_path)
    code = verb.call(inputs, out)
    assert code in (0, 1), capsys.readouterr().err
    made = contents(tmp_path)
    note = out.parent / "notes.txt" if verb.kind == FILE else out / "notes.txt"
    note.write_text("mine")
    assert verb.call(inputs, out, "--overwrite") == code, capsys.readouterr().err
    assert {*contents(tmp_path)} == {*made, note.relative_to(tmp_path).as_posix()}
    assert note.read_text() == "mine"


@pytest.mark.parametrize("name", WHILE_OTHERS_WRITE)
def test_a_folder_that_another_process_writes_to_is_refused(
    name: str, inputs: Inputs, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    with FolderLock(out, "free"):
        assert VERBS[name].call(inputs, out) == 2
        assert "writing to" in capsys.readouterr().err
    assert contents(out) == {}


@every_folder
def test_a_link_the_home_folder_and_the_present_one_are_refused(
    verb: Verb,
    inputs: Inputs,
    tmp_path: Path,
    tmp_path_factory: pytest.TempPathFactory,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Where a verb is the first to import them, matplotlib and Keras keep files at home.
    for name in ("MPLCONFIGDIR", "KERAS_HOME"):
        monkeypatch.setenv(name, str(tmp_path_factory.mktemp("kept")))
    write_bytes(tmp_path / "home/notes.txt", b"mine")
    (tmp_path / "link").symlink_to("home")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("CRACK_TF_DATA", raising=False)  # a data set's own place is refused for another reason
    before = contents(tmp_path)
    assert "is a link to home" in refused(verb, inputs, tmp_path / "link", capsys)
    for out in (tmp_path / "home", tmp_path, Path("/")):
        assert "home folder or one above" in refused(verb, inputs, out, capsys)
    monkeypatch.setenv("HOME", "/nowhere")
    monkeypatch.chdir(tmp_path / "home")
    assert "is the present folder" in refused(verb, inputs, Path(), capsys)
    assert contents(tmp_path) == before


@every_folder
def test_a_file_where_a_folder_is_wanted_is_refused(
    verb: Verb, inputs: Inputs, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("mine")
    for out in (tmp_path / "file", tmp_path / "file/below"):
        assert "is a file" in refused(verb, inputs, out, capsys)
    assert contents(tmp_path) == {"file": b"mine"}


# Without --overwrite, and so not above.
OTHERS = {
    "data mine": Verb(DATA, lambda i: ["mine", i("dark.tflite"), "--clean", i("photos")]),
    "data convert": Verb(DATA, lambda i: ["convert", i("found")]),
    "data transplant": Verb(DATA, lambda i: ["transplant", i.manifest, "--onto", i.manifest]),
}


WRITERS = {name: verb for name, verb in (VERBS | OTHERS).items() if name != "adopt"}  # which looks at its model first


@pytest.mark.parametrize("verb", WRITERS.values(), ids=WRITERS)
def test_a_place_where_nothing_can_be_made_is_refused(
    verb: Verb, inputs: Inputs, capsys: pytest.CaptureFixture[str]
) -> None:
    assert verb.call(inputs, place(verb, Path("/proc/nowhere"))) == 2
    said = capsys.readouterr().err
    assert said.startswith("error: ")
    assert said.count("\n") == 1
    assert "cannot be written: nothing can be made in /proc" in said


@every_file
def test_a_folder_where_a_file_is_wanted_is_refused(
    verb: Verb, inputs: Inputs, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = place(verb, tmp_path)
    write_bytes(out / "notes.txt", b"mine")
    assert "is a folder" in refused(verb, inputs, out, capsys)
    assert contents(out) == {"notes.txt": b"mine"}
    assert "is a file" in refused(verb, inputs, out / "notes.txt" / verb.file, capsys)


@every_file
def test_a_link_to_a_persons_file_is_refused(
    verb: Verb, inputs: Inputs, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "mine").write_text("mine")
    out = place(verb, tmp_path)
    out.symlink_to("mine")
    before = contents(tmp_path)
    assert "is a link to mine" in refused(verb, inputs, out, capsys)
    assert contents(tmp_path) == before
