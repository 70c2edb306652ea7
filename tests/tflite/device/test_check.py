"""tflite.device.check, answers and bundle: a whole bundle passes, and everything that can be wrong with one is named."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from tflite.device import answers, check
from tflite.device.__main__ import main as device
from tflite.device.bundle import (
    FORMAT,
    INDEX,
    MANIFEST,
    REFERENCE,
    REFERENCE_FORMAT,
    file_problems,
    is_plain,
    read_bundle,
    sealed,
)
from tflite.errors import CrackError
from tflite.files import read_json, sha256_bytes, sha256_file, write_json
from tflite.images import load_rgb
from tflite.manifest import Item, Manifest, write_manifest
from tflite.metrics import sigmoid
from tflite.runtime import Classifier
from tflite.sidecar import golden_input, raw_threshold, read_sidecar, sidecar_path, write_sidecar

# What the tiny models take for cracked (logits around 0), and for clean (well below -1).
COLOURS = [(255, 0, 0), (0, 255, 0), (128, 128, 128), (0, 0, 255), (0, 255, 255), (255, 0, 255)]
TILES = len(COLOURS)
THRESHOLD = -1.0  # logit


def draw(folder: Path) -> list[Item]:
    """Three tiles that the tiny models call cracked and three that they call clean, as noisy PNG files."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(5)
    items = []
    for number, colour in enumerate(COLOURS):
        path = folder / f"{number}.png"
        pixels = (np.array(colour) + rng.integers(-20, 21, (48, 48, 3))).clip(0, 255).astype(np.uint8)
        Image.fromarray(pixels).save(path)
        items.append(Item(path.name, sha256_file(path), int(number < TILES // 2), f"g{number}", "test"))
    return items


def with_threshold(path: Path, logit: float) -> None:
    """Let a model decide at another logit."""
    sidecar = read_sidecar(path)
    output = sidecar.output
    raw = raw_threshold(logit, output.scale, output.zero_point, output.dtype) if output.quantised else None
    threshold = replace(sidecar.threshold, logit=logit, probability=float(sigmoid(logit)), raw=raw)
    write_sidecar(path, replace(sidecar, threshold=threshold))


def ask(path: Path, tiles: list[np.ndarray], delegate: str) -> dict[str, Any]:
    classifier = Classifier(path, delegate=delegate)
    return {
        "raw": [classifier.raw(tile) for tile in tiles],
        "golden": classifier.raw(golden_input(classifier.image_size)),
        "nodes": {
            "total": classifier.nodes.total,
            "delegates": classifier.nodes.delegates,
            "remaining": classifier.nodes.remaining,
        },
    }


def seal(folder: Path) -> None:
    """Write the index anew over what the folder holds, as a faulty `crack-tf bundle` would."""
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != INDEX)
    entries = [
        {"path": path.relative_to(folder).as_posix(), "bytes": path.stat().st_size, "sha256": sha256_file(path)}
        for path in files
    ]
    entries.sort(key=lambda entry: str(entry["path"]))
    write_json(folder / INDEX, sealed({"format": FORMAT, "created": "2025-01-01", "files": entries}))


@pytest.fixture(scope="session")
def whole(models: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An unpacked bundle of an int8 and a float model. Do not change it."""
    folder = tmp_path_factory.mktemp("bundle")
    (folder / "models").mkdir()
    items = draw(folder / "evaluation/images")
    tiles = [load_rgb(folder / "evaluation/images" / item.path, 32) for item in items]
    records = {}
    for name in ("uint8", "float32"):
        path = Path(shutil.copy(models[name], folder / "models"))
        shutil.copy(sidecar_path(models[name]), folder / "models")
        with_threshold(path, THRESHOLD)
        logits = Classifier(path).logits(np.stack(tiles))
        assert [value >= THRESHOLD for value in logits] == [item.label == 1 for item in items]
        records[path.name] = {
            "image_size": 32,
            "tolerance": 2.0 if name == "uint8" else 1e-3,
            "float": {"threshold": THRESHOLD, "logits": logits.tolist()},
            "golden_tiles": {"crack": int(np.argmax(logits)), "no_crack": int(np.argmin(logits))},
            "delegates": {delegate: ask(path, tiles, delegate) for delegate in ("xnnpack", "none")},
        }
    write_manifest(folder / MANIFEST, Manifest("tiny", "plain", 0, "images", "CC0-1.0", tuple(items)))
    write_json(
        folder / REFERENCE,
        {
            "format": REFERENCE_FORMAT,
            "tiles": [item.path for item in items],
            "pixels": {"32": [sha256_bytes(tile.tobytes()) for tile in tiles]},
            "models": records,
        },
    )
    seal(folder)
    return folder


@pytest.fixture
def bundle(whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy to be damaged, and the current folder. Models run in this process, which is quicker."""
    folder = tmp_path / "bundle"
    shutil.copytree(whole, folder)
    monkeypatch.chdir(folder)
    monkeypatch.setattr(answers, "can_spawn", lambda: False)
    return folder


@pytest.fixture
def edit_reference(bundle: Path) -> Callable[[Callable[[dict[str, Any]], None]], None]:
    """Change the recorded answers and seal the bundle again."""

    def edit(change: Callable[[dict[str, Any]], None]) -> None:
        record = read_json(bundle / REFERENCE)
        change(record)
        write_json(bundle / REFERENCE, record)
        seal(bundle)

    return edit


def test_a_whole_bundle_passes_and_leaves_a_result(bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert device(["check"]) == 0
    said = capsys.readouterr().out
    assert "all 12 are whole" in said
    assert "all is well" in said
    result = json.loads((bundle / "check.json").read_text())
    assert result["ok"] is True
    assert result["format"] == "crack_tf.check/1"
    assert result["board"]["cores"] >= 1
    assert result["environment"]["litert"] != "none"
    assert [row["model"] for row in result["rows"]] == ["tiny-float32", "tiny-uint8"]
    for row in result["rows"]:
        assert (row["max_difference"], row["share_equal"], row["flipped"]) == (0.0, 1.0, [])
        assert (row["tiles"], row["same_pixels"], row["as_float"]) == (TILES, TILES, TILES)
        assert row["delegate_nodes"] == 1
    assert [row["unit"] for row in result["rows"]] == ["logit", "step"]


def test_the_kernels_without_a_delegate_are_compared_with_their_own_record(bundle: Path) -> None:
    assert check.main(["--delegate", "none,xnnpack"]) == 0
    rows = read_json(bundle / "check.json")["rows"]
    assert [row["delegate_nodes"] for row in rows] == [0, 0, 1, 1]


def test_each_model_runs_in_a_process_of_its_own(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    assert check.main(["--bundle", str(bundle), "--out", str(bundle / "out.json"), "--limit", "1"]) == 0
    assert read_json(bundle / "out.json")["ok"] is True


def test_a_limit_keeps_the_golden_tiles(bundle: Path) -> None:
    assert check.main(["--limit", "1"]) == 0
    golden = read_json(bundle / REFERENCE)["models"]["tiny-uint8.tflite"]["golden_tiles"].values()
    assert read_json(bundle / "check.json")["rows"][1]["tiles"] == len({0, *golden})


@given(count=st.integers(2, 200), limit=st.none() | st.integers(1, 300), data=st.data())
def test_chosen_tiles_are_sorted_distinct_and_hold_the_golden_ones(
    count: int, limit: int | None, data: st.DataObject
) -> None:
    golden = data.draw(st.lists(st.integers(0, count - 1), max_size=2))
    chosen = answers.positions(count, limit, golden)
    assert list(chosen) == sorted(set(chosen))
    assert set(golden) <= set(chosen) <= set(range(count))
    assert len(chosen) >= min(count, limit or count)
    assert len(chosen) <= (count if limit is None else limit + len(golden))


def test_an_earlier_result_is_kept_unless_told_otherwise(bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (bundle / "check.json").write_text("precious")
    assert check.main([]) == 2
    assert "check.json exists already" in capsys.readouterr().err
    assert check.main(["--overwrite"]) == 2
    assert "was not written by tflite.device check" in capsys.readouterr().err
    assert (bundle / "check.json").read_text() == "precious"
    (bundle / "check.json").unlink()
    assert check.main([]) == 0
    assert check.main(["--overwrite"]) == 0


def test_every_kind_of_damage_to_a_file_is_named(bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    images = bundle / "evaluation/images"
    (images / "0.png").unlink()
    data = bytearray((images / "1.png").read_bytes())
    data[-5] ^= 1
    (images / "1.png").write_bytes(data)
    (images / "2.png").write_bytes(data[:50])
    (images / "3.png").write_bytes((images / "3.png").read_bytes() + b"more")
    (images / "4.png").unlink()
    (images / "4.png").mkdir()
    (bundle / "models/stray.tflite").write_bytes(b"")
    assert check.main([]) == 2
    out, err = capsys.readouterr()
    lines = out.splitlines()
    assert len(lines) == 6
    for start in (
        "missing: evaluation/images/0.png",
        "changed: evaluation/images/1.png has the right size and other bytes",
        "truncated: evaluation/images/2.png has 50 of",
        "changed: evaluation/images/3.png has ",
        "changed: evaluation/images/4.png is not a file",
        "extra: models/stray.tflite",
    ):
        assert any(line.startswith(start) for line in lines), (start, out)
    assert "6 of the bundle's 12 files are wrong" in err
    result = read_json(bundle / "check.json")
    assert (result["ok"], result.get("rows"), len(result["files"]["problems"])) == (False, None, 6)


def test_what_the_user_keeps_beside_the_bundle_is_no_damage(bundle: Path) -> None:
    for name in (".venv/bin/python", "results/x.json", "notes.txt", "models/__pycache__/x.pyc"):
        (bundle / name).parent.mkdir(parents=True, exist_ok=True)
        (bundle / name).write_text("")
    assert file_problems(read_bundle(bundle)) == []


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_an_unreadable_file_is_named(bundle: Path) -> None:
    (bundle / MANIFEST).chmod(0)
    assert file_problems(read_bundle(bundle)) == [f"unreadable: {MANIFEST} (Permission denied)"]


def test_a_folder_that_is_no_bundle_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert check.main(["--bundle", str(tmp_path), "--out", str(tmp_path / "o.json")]) == 2
    assert "is not an unpacked bundle (no bundle.json)" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda text: text[: len(text) // 2], "not valid JSON"),
        (lambda text: "", "not valid JSON"),
        (lambda text: "[]", "expected an object"),
        (lambda text: text.replace(FORMAT, "crack_tf.bundle/9"), 'expected "crack_tf.bundle/1"'),
        (lambda text: text.replace("2025-01-01", "2025-01-02"), "does not match its own sha256"),
        (lambda text: text.replace('"bytes"', '"byte"', 1), "does not match its own sha256"),
    ],
)
def test_a_damaged_index_is_refused(damage: Callable[[str], str], message: str, bundle: Path) -> None:
    (bundle / INDEX).write_text(damage((bundle / INDEX).read_text()))
    with pytest.raises(CrackError, match=message):
        read_bundle(bundle)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda record: record.pop("files"), "files"),
        (lambda record: record.update(files={}), "names no evaluation/manifest.csv"),
        (lambda record: record["files"][0].pop("sha256"), "sha256"),
        (lambda record: record["files"][0].update(path="../secret"), "file path"),
        (lambda record: record["files"][0].update(path="/etc/passwd"), "file path"),
        (lambda record: record["files"][0].update(path=7), "file path"),
        (lambda record: record["files"][0].update(bytes=-1), "size or sha256"),
        (lambda record: record["files"][0].update(bytes=True), "size or sha256"),
        (lambda record: record["files"][0].update(sha256="ab"), "size or sha256"),
        (lambda record: record["files"].reverse(), "not sorted"),
        (lambda record: record["files"].insert(0, record["files"][0]), "named twice"),
        (lambda record: record.update(files=["a"]), "damaged"),
        (
            lambda record: record.update(files=[f for f in record["files"] if not f["path"].endswith(".tflite")]),
            "names no model",
        ),
    ],
)
def test_an_index_with_a_right_hash_and_a_wrong_content_is_refused(
    change: Callable[[dict[str, Any]], None], message: str, bundle: Path
) -> None:
    record = read_json(bundle / INDEX)
    del record["index_sha256"]
    change(record)
    write_json(bundle / INDEX, sealed(record))
    with pytest.raises(CrackError, match=message):
        read_bundle(bundle)


@given(st.text(max_size=20))
def test_a_plain_path_never_leaves_its_folder(text: str) -> None:
    if is_plain(text):
        assert Path(os.path.normpath(Path("/a/b") / text)).is_relative_to("/a/b")
        assert Path("/a/b", text) != Path("/a/b")


@pytest.mark.parametrize("text", ["a", "a/b.c", "a..b/ä"])
def test_plain_paths_are_accepted(text: str) -> None:
    assert is_plain(text)


@pytest.mark.parametrize("text", ["", ".", "..", "/a", "a/../b", "a//b", "./a", "a/", "a\\b"])
def test_other_paths_are_not(text: str) -> None:
    assert not is_plain(text)


def test_outputs_beyond_the_tolerance_fail_and_say_by_how_much(
    bundle: Path,
    edit_reference: Callable[[Callable[[dict[str, Any]], None]], None],
    capsys: pytest.CaptureFixture[str],
) -> None:
    def change(record: dict[str, Any]) -> None:
        record["models"]["tiny-uint8.tflite"]["delegates"]["xnnpack"]["raw"][2] += 3

    edit_reference(change)
    assert check.main([]) == 2
    out, err = capsys.readouterr()
    assert "tiny-uint8, xnnpack: 1 of 6 outputs differ from the workstation's by more than 2 step(s)" in out
    assert "(2.png) by 3" in out
    assert "1 of 2 checks failed" in err
    good, bad = read_json(bundle / "check.json")["rows"]
    assert (good["problems"], bad["max_difference"], bad["mean_difference"]) == ([], 3.0, 0.5)
    assert bad["share_equal"] == pytest.approx(5 / 6)


def test_outputs_within_the_tolerance_pass_and_a_turned_decision_is_told(
    bundle: Path,
    edit_reference: Callable[[Callable[[dict[str, Any]], None]], None],
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The threshold is put on one tile's answer, and the workstation is made to have answered one step less."""
    reference = read_json(bundle / REFERENCE)["models"]["tiny-uint8.tflite"]
    path = bundle / "models/tiny-uint8.tflite"
    raws = reference["delegates"]["xnnpack"]["raw"]
    middle = sorted(range(TILES), key=lambda number: raws[number])[TILES // 2]
    assert middle not in reference["golden_tiles"].values()
    output = read_sidecar(path).output
    with_threshold(path, (raws[middle] - output.zero_point) * output.scale - output.scale / 4)

    def change(record: dict[str, Any]) -> None:
        record["models"]["tiny-uint8.tflite"]["delegates"]["xnnpack"]["raw"][middle] -= 1

    edit_reference(change)
    assert check.main([]) == 0
    assert f"rounding turned 1 decision(s) at the threshold: {middle}.png" in capsys.readouterr().out
    assert read_json(bundle / "check.json")["rows"][1]["flipped"] == [f"{middle}.png"]


def turn(model: dict[str, Any], name: str, sign: int) -> None:
    """Let the workstation have answered far on the right side of the threshold where this board is on the wrong one."""
    places, raws = model["golden_tiles"], model["delegates"]["xnnpack"]["raw"]
    other = places["no_crack" if name == "crack" else "crack"]
    raws[other] += sign * 1000
    places[name] = other


def test_what_the_workstation_got_wrong_too_is_the_models_error(
    bundle: Path,
    edit_reference: Callable[[Callable[[dict[str, Any]], None]], None],
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A model trained for one epoch takes its clearest crack for clean, on every machine alike."""

    def change(record: dict[str, Any]) -> None:
        places = record["models"]["tiny-uint8.tflite"]["golden_tiles"]
        places["crack"], places["no_crack"] = places["no_crack"], places["crack"]

    edit_reference(change)
    assert check.main([]) == 0
    said = capsys.readouterr()
    assert "the model takes the golden crack and no crack tile for the opposite, here as on the workstation" in said.out
    assert "this board is not to blame" in said.out
    assert "the board is well; 1 of 2 models are wrong here as on the workstation" in said.out
    assert "Do not trust" not in said.err
    record = read_json(bundle / "check.json")
    assert record["ok"] is True
    assert [row["weak"] for row in record["rows"]] == [[], ["crack", "no crack"]]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda model: model["delegates"]["xnnpack"].update(golden=100.0), "the golden input gives"),
        (
            lambda model: turn(model, "crack", 1),
            "the golden crack tile is taken for the opposite, and was not on the workstation",
        ),
        (
            lambda model: turn(model, "no_crack", -1),
            "the golden no crack tile is taken for the opposite, and was not on the workstation",
        ),
    ],
)
def test_a_wrong_golden_answer_fails(
    change: Callable[[dict[str, Any]], None],
    message: str,
    edit_reference: Callable[[Callable[[dict[str, Any]], None]], None],
    capsys: pytest.CaptureFixture[str],
) -> None:
    edit_reference(lambda record: change(record["models"]["tiny-uint8.tflite"]))
    assert check.main([]) == 2
    assert message in capsys.readouterr().out


def test_a_delegate_that_took_nothing_fails(bundle: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    """Asked for XNNPACK, this interpreter runs without: right answers, far too slow."""

    class Slow(Classifier):
        def __init__(self, path: Path, *, threads: int, delegate: str) -> None:
            super().__init__(path, threads=threads, delegate="none")

    monkeypatch.setattr(answers, "Classifier", Slow)
    assert check.main([]) == 2
    assert "XNNPACK took no operator here" in capsys.readouterr().out


def test_outputs_that_are_no_numbers_fail(
    bundle: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Broken(Classifier):
        def raw(self, tile: np.ndarray) -> float:
            return super().raw(tile) if np.array_equal(tile, golden_input(32)) else float("nan")

    monkeypatch.setattr(answers, "Classifier", Broken)
    assert check.main([]) == 2
    assert "6 of 6 outputs are not finite numbers" in capsys.readouterr().out


def test_other_pixels_are_told_since_they_explain_other_outputs(
    edit_reference: Callable[[Callable[[dict[str, Any]], None]], None], capsys: pytest.CaptureFixture[str]
) -> None:
    edit_reference(lambda record: record["pixels"].update({"32": ["0" * 64] * TILES}))
    assert check.main([]) == 0
    assert "6 of 6 tiles decode to other pixels than on the workstation" in capsys.readouterr().out


@pytest.mark.parametrize(
    "change",
    [
        lambda record: record["models"].pop("tiny-uint8.tflite"),
        lambda record: record["tiles"].reverse(),
        lambda record: record.pop("pixels"),
        lambda record: record.update(models=[]),
        lambda record: record["models"]["tiny-uint8.tflite"].pop("golden_tiles"),
    ],
)
def test_recorded_answers_that_do_not_fit_are_refused(
    change: Callable[[dict[str, Any]], None],
    edit_reference: Callable[[Callable[[dict[str, Any]], None]], None],
    capsys: pytest.CaptureFixture[str],
) -> None:
    edit_reference(change)
    assert check.main([]) == 2
    assert "the recorded answers of the bundle do not fit it" in capsys.readouterr().err


def test_a_reference_of_another_format_is_refused(
    edit_reference: Callable[[Callable[[dict[str, Any]], None]], None], capsys: pytest.CaptureFixture[str]
) -> None:
    edit_reference(lambda record: record.update(format="other"))
    assert check.main([]) == 2
    assert "says format 'other', expected \"crack_tf.reference/1\"" in capsys.readouterr().err


def test_a_model_that_does_not_load_is_a_failed_row_and_the_others_are_checked(
    bundle: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (bundle / "models/tiny-uint8.tflite").write_bytes(b"no model")
    seal(bundle)
    assert check.main([]) == 2
    out = capsys.readouterr().out
    assert "tiny-uint8, xnnpack: " in out
    assert "is not the file its sidecar describes" in out
    good, bad = read_json(bundle / "check.json")["rows"]
    assert good["problems"] == []
    assert "raw" not in bad


def test_packages_that_are_not_installed_are_named_at_once(bundle: Path) -> None:
    """In a Python without any: `-S` leaves the site packages out."""
    code = Path(check.__file__).parents[2]
    program = f"import sys; sys.path.insert(0, {str(code)!r}); from tflite.device.check import main; sys.exit(main([]))"
    done = subprocess.run(
        [sys.executable, "-S", "-c", program], cwd=bundle, capture_output=True, text=True, check=False, env={}
    )
    assert done.returncode == 2
    assert "error: numpy, Pillow, ai-edge-litert not installed. Run: pip install" in done.stderr


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--delegate", "gpu"], "delegate 'gpu'"),
        (["--delegate", "edgetpu"], "this bundle holds no model for it"),
    ],
)
def test_delegates_that_cannot_be_had_are_refused(
    options: list[str], message: str, bundle: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert check.main(options) == 2
    out, err = capsys.readouterr()
    assert message in out + err


def test_models_for_the_edge_tpu_are_kept_apart_from_the_others(bundle: Path) -> None:
    folder = bundle / "models/edgetpu"
    folder.mkdir()
    path = Path(shutil.copy(bundle / "models/tiny-uint8.tflite", folder / "tiny_edgetpu.tflite"))
    write_sidecar(path, read_sidecar(bundle / "models/tiny-uint8.tflite"))
    seal(bundle)
    assert [p.name for p in read_bundle(bundle).models()] == ["tiny-float32.tflite", "tiny-uint8.tflite"]
    assert read_bundle(bundle).models(compiled=True) == [path]


def test_damaged_code_is_named_and_not_run(whole: Path, tmp_path: Path) -> None:
    """With the code in the bundle, as it is unpacked on a board."""
    folder = tmp_path / "bundle"
    shutil.copytree(whole, folder)
    shutil.copytree(Path(check.__file__).parents[1], folder / "tflite", ignore=shutil.ignore_patterns("__pycache__"))
    seal(folder)
    code = (folder / "tflite/runtime.py").read_text()
    (folder / "tflite/runtime.py").write_text(code[: len(code) // 2] + "((")
    (folder / "tflite/hardware.py").unlink()
    done = subprocess.run(
        [sys.executable, "-m", "tflite.device", "check"], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "missing: tflite/hardware.py" in done.stdout
    assert "truncated: tflite/runtime.py" in done.stdout
    assert "No model was run" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_runtime_that_crashes_is_a_failed_row(
    bundle: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def crash(function: Callable[[Any], Any], job: answers.Job) -> Any:
        raise CrackError("the measuring process ended with code -4 and no result")

    monkeypatch.setattr(answers, "can_spawn", lambda: True)
    monkeypatch.setattr(answers, "in_child", crash)
    assert check.main([]) == 2
    assert "tiny-uint8, xnnpack: the measuring process ended with code -4" in capsys.readouterr().out
    assert read_json(bundle / "check.json")["ok"] is False


def test_the_check_needs_nothing_heavy(bundle: Path) -> None:
    program = f"""
import sys
sys.modules.update(dict.fromkeys(["tensorflow", "keras", "matplotlib", "cv2", "sklearn", "scipy", "crack_tf"]))
from tflite.device.check import main
sys.exit(main(["--bundle", {str(bundle)!r}, "--out", {str(bundle / "o.json")!r}, "--limit", "1"]))
"""
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(check.__file__).parents[2],
    )
    assert done.returncode == 0, done.stderr
