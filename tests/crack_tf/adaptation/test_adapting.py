from __future__ import annotations

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path
from unittest.mock import Mock

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("tensorflow")

from crack_tf.adapt import main
from crack_tf.adaptation import adapting, from_nothing
from crack_tf.adaptation.candidates import TRIALS
from crack_tf.adaptation.config import FORMAT, AdaptConfig
from crack_tf.adaptation.deliver import build
from crack_tf.adaptation.elsewhere import Elsewhere, Found
from crack_tf.adaptation.sources import read_site
from crack_tf.data.__main__ import main as data
from crack_tf.evaluation.thresholds import threshold_record
from crack_tf.inference.tiles import PhotoClassifier
from crack_tf.models.shipped import find_model
from crack_tf.zoo.adoption import golden_tile
from tests.conftest import draw_tile
from tests.crack_tf.adaptation.conftest import draw_site_tile, write_site
from tests.options import instead
from tflite.errors import CrackError
from tflite.files import read_csv, read_json, write_csv, write_json, write_text
from tflite.outputs import MARK
from tflite.sidecar import made_from, read_sidecar, verify_file, write_sidecar

FEW = ["--regression-limit", "20", "--candidates", "head"]


def options(site: Path, base: Path, out: Path, *more: str) -> list[str]:
    return instead([str(site), "--model", str(base), "--out", str(out), *FEW], more)


def files(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


@pytest.fixture(autouse=True)
def _no_data(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CRACK_TF_DATA", raising=False)


@pytest.fixture(scope="module")
def adapted(tiny_base: Path, site: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model adapted to the structure; killed once between the verdict and the files, and gone on with."""
    out = tmp_path_factory.mktemp("adapted") / "bridge-model"
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("CRACK_TF_DATA", raising=False)

        def killed(*_: object) -> None:
            raise KeyboardInterrupt

        patch.setattr(adapting, "build", killed)
        assert main(options(site, tiny_base, out)) == 130
    assert not read_json(out / "adapt.json")["finished"]
    assert not (out / "export").exists()
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("CRACK_TF_DATA", raising=False)
        assert main(options(site, tiny_base, out, "--resume")) == 0
    return out


def test_a_better_model_is_a_run_folder_with_an_int8_file_a_card_and_golden_tiles(adapted: Path, site: Path) -> None:
    model = find_model(str(adapted)).path
    sidecar = read_sidecar(model)
    verify_file(model, sidecar)
    assert made_from(sidecar, read_sidecar(adapted / "model.keras"))
    record = sidecar.training["adapted"]
    assert (record["to"], record["candidate"], record["from"]) == (site.name, "head", "tiny")
    assert record["labels"]["counts"]["person"] == {"no_crack": 18, "crack": 18, "photographs": 6}
    assert record["labels"]["by_photograph"]["IMG_0"] == {"no_crack": 3, "crack": 3}
    for role in ("crack", "clean"):
        assert golden_tile(model, sidecar, role)
    card = model.with_name(model.name.replace(".tflite", ".md")).read_text(encoding="utf-8")
    assert model.name == "opnet-adapted-int8-ptq.tflite"  # not as the model that it was made from
    assert f"# opnet, int8-ptq, adapted to {site.name}" in card
    assert f"To {site.name}, from tiny" in card
    assert f"**For {site.name} only**" in card
    assert "| IMG_0 | 3 | 3 |" in card
    assert not (adapted / "work").exists()
    assert {"adapt.json", "candidates.csv", "regression.csv", "labels.csv", "config.json"} <= set(files(adapted))


def test_the_model_is_better_here_and_its_report_says_by_what(adapted: Path, site: Path) -> None:
    (row,) = read_csv(adapted / "candidates.csv")
    assert row["passed"] == "True"
    assert float(row["errors_fall_low"]) > 0
    from tflite.images import load_rgb

    with PhotoClassifier(find_model(str(adapted)).path, jobs=1) as classifier:
        size = classifier.sidecar.image_size
        tiles = {label: sorted((site / label).rglob("*.png")) for label in ("crack", "no_crack")}
        called = {
            label: np.mean([classifier.score(load_rgb(path, size))[0].crack for path in paths])
            for label, paths in tiles.items()
        }
    assert called["crack"] > 0.9
    assert called["no_crack"] < 0.3


def test_a_finished_run_is_told_again_and_another_one_is_not_gone_on_with(
    adapted: Path, tiny_base: Path, site: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = files(adapted)
    assert main(options(site, tiny_base, adapted, "--resume")) == 0
    assert main(options(site, tiny_base, adapted, "--resume", "--seed", "3")) == 2
    assert "was started with seed = 0, now it is 3" in capsys.readouterr().err
    assert main(options(site, tiny_base, adapted)) == 2
    assert "exists already" in capsys.readouterr().err
    assert files(adapted) == before


def test_where_none_is_better_a_report_says_why_and_no_model_is_left(
    tiny_base: Path, site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def lost(*given: object) -> object:
        return replace(build(*given), reasons=("as an int8 file on metu it finds 1 of 9 cracks",))  # type: ignore[arg-type]

    monkeypatch.setattr(adapting, "build", lost)
    out = tmp_path / "out"
    assert main(options(site, tiny_base, out)) == 1
    told = capsys.readouterr().out
    assert "no better model found" in told
    assert "too few" not in told
    assert "head: as an int8 file on metu it finds 1 of 9 cracks" in told
    assert files(out) == ["adapt.json", "candidates.csv", "labels.csv", "regression.csv"]
    assert json.loads((out / "adapt.json").read_text())["candidate"] is None


def test_what_was_read_and_few_labels_are_told_before_any_test_and_a_shared_reason_once(
    tiny_base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def impossible(*_: object) -> None:
        raise CrackError("it cannot be told here")

    monkeypatch.setattr(adapting, "TRIALS", dict.fromkeys(TRIALS, impossible))
    few = write_site(tmp_path / "few", photos=3, each=1)
    asked = [str(few), "--model", str(tiny_base), "--out", str(tmp_path / "out"), "--regression-limit", "20"]
    assert main([*asked, "--candidates", "threshold,normalisation,head"]) == 1
    reading, read, labels, next_step, *others = capsys.readouterr().out.splitlines()
    assert reading == f"reading {few}"
    assert read == "6 tiles of 3 photographs, 3 with cracks; candidates: threshold, normalisation, head"
    assert labels.startswith(
        "6 labels (3 no_crack, 3 crack): most likely too few to show that anything is better; label 40"
    )
    assert "shipped model is tested first" in next_step
    begun = [line.partition(",")[0] for line in others if line.startswith("candidate ")]
    assert begun == [
        f"candidate {number} of 3: {name}" for number, name in enumerate(("threshold", "normalisation", "head"), 1)
    ]
    assert any(
        re.match(r"testing the shipped model: 6 tiles of 3 photographs here, \d+ of other", line) for line in others
    )
    told = [line.strip() for line in others if "it cannot be told here" in line]
    assert told == ["threshold, normalisation, head: it cannot be told here"]


def test_bad_input_leaves_nothing(
    tiny_base: Path, site: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    few = write_site(tmp_path / "few", photos=2, each=1)
    alone = tmp_path / "alone.tflite"
    (export,) = (tiny_base / "export").glob("*.tflite")
    for suffix in ("", ".json"):
        shutil.copyfile(f"{export}{suffix}", f"{alone}{suffix}")
    out = tmp_path / "out"
    for source, more, told in (
        (few, ["--model", str(tiny_base)], "has 4 labels"),
        (tmp_path / "none", ["--model", str(tiny_base)], "does not exist"),
        (site, ["--model", str(alone)], "alone.tflite has no model.keras"),
        (site, ["--model", "unet_mobile"], "only classifiers are adapted"),
        (site, ["--model", str(tiny_base), "--suggest", "5"], "have labels"),
        (site, ["--model", str(tiny_base), "--resume"], "there is no run"),
        (site, ["--model", str(tiny_base), "--shapes", "masks.csv"], "has labels. Leave it out"),
    ):
        assert main([str(source), "--out", str(out), *more]) == 2
        assert told in capsys.readouterr().err
        assert not out.exists()


@pytest.mark.parametrize("option", ["source", "--review", "--photos", "--model", "--shapes"])
def test_empty_text_as_of_a_variable_that_is_not_set_is_refused(
    option: str, site: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = [""] if option == "source" else [str(site), f"{option}="]
    with pytest.raises(SystemExit, match="2"):
        main([*given, "--out", str(tmp_path / "out")])
    assert f"{option}: is empty text" in capsys.readouterr().err.replace("SOURCE", "source")
    with pytest.raises(CrackError, match="source is ''"):
        AdaptConfig("")


@pytest.mark.parametrize(
    ("more", "told"),
    [
        (["--shapes", "nothing.csv"], "nothing.csv"),
        (["--suggest", "5"], "fewer than two photographs"),
    ],
)
def test_an_earlier_result_stays_where_the_new_input_does_not_do(
    more: list[str], told: str, tiny_base: Path, photographs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = tmp_path / "DCIM"
    for name in ("IMG_0.png", "IMG_1.png")[: 2 - ("--suggest" in more)]:
        source.mkdir(exist_ok=True)
        shutil.copyfile(photographs / name, source / name)
    asked = [str(source), "--model", str(tiny_base), "--tile-side", "64", *more]
    out = tmp_path / "out"
    assert main([*asked, "--out", str(out)]) == 2
    assert not out.exists()
    write_json(out / "adapt.json", {"format": FORMAT, "source": "x", "finished": True})
    for name in (
        "candidates.csv",
        "model.keras",
        "export/a-int8-ptq.tflite",
        "work/head.json",
        "work/blocks-3/steps.json",
    ):
        write_text(out / name, "earlier")
    before = {name: (out / name).read_bytes() for name in files(out)}
    assert main([*asked, "--out", str(out), "--overwrite"]) == 2
    assert told in capsys.readouterr().err
    assert {name: (out / name).read_bytes() for name in files(out)} == before


def test_an_earlier_result_stays_until_all_is_read_and_the_stopped_run_is_the_one_that_goes_on(
    adapted: Path, tiny_base: Path, site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "bridge-model"
    shutil.copytree(adapted, out)
    before = {name: (out / name).read_bytes() for name in files(out)}
    same = options(site, tiny_base, out)
    for stopped, code in ((CrackError("no"), 2), (KeyboardInterrupt(), 130)):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(adapting, "make_bench", Mock(side_effect=stopped))
            assert main([*same, "--overwrite"]) == code
        left = {name: (out / name).read_bytes() for name in files(out) if name != MARK}
        assert left == before
        assert (out / MARK).exists() is (code == 130)
    assert main(instead(same, ["--candidates", "threshold", "--resume"])) == 2  # begun with others
    monkeypatch.setattr(adapting, "put_in_place", Mock(side_effect=KeyboardInterrupt()))
    assert main([*same, "--resume"]) == 130
    assert not read_json(out / "adapt.json")["finished"]
    assert not (out / MARK).exists()


def test_killed_while_an_earlier_result_goes_no_report_calls_it_finished(
    tiny_base: Path, site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    write_json(out / "adapt.json", {"format": FORMAT, "source": "x", "finished": True})

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(adapting, "clear_folder", killed)
    assert main(options(site, tiny_base, out, "--overwrite")) == 130
    assert not read_json(out / "adapt.json")["finished"]


def test_the_library_takes_a_configuration_only(tmp_path: Path) -> None:
    import crack_tf

    with pytest.raises(CrackError, match=r"give the result of crack_tf.AdaptConfig"):
        crack_tf.adapt({"source": "bridge"}, tmp_path / "out")  # type: ignore[arg-type]
    assert crack_tf.Adapted.__dataclass_params__.frozen  # type: ignore[attr-defined]


@pytest.fixture(scope="module")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four photographs of 192 x 128 pixels, six tiles each."""
    folder = tmp_path_factory.mktemp("flight") / "DCIM"
    folder.mkdir()
    for number in range(4):
        tiles = [[draw_site_tile(0, 100 * number + 10 * row + column) for column in range(3)] for row in range(2)]
        pixels = np.concatenate([np.concatenate([np.asarray(tile) for tile in row], axis=1) for row in tiles])
        Image.fromarray(pixels).save(folder / f"IMG_{number}.png")
    return folder


def test_photographs_alone_get_cracks_laid_in_and_no_threshold_of_their_own(
    tiny_base: Path,
    photographs: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(from_nothing, "SURE_BELOW", -20.0)  # the tiny model is sure of nothing
    out = tmp_path / "out"
    asked = ["--tile-side", "64", "--candidates", "threshold,head", "--regression-limit", "20"]
    assert main([str(photographs), "--model", str(tiny_base), "--out", str(out), *asked]) in (0, 1)
    assert re.findall(r"candidate \d.*?,", capsys.readouterr().out) == ["candidate 1 of 1: head,"]
    record = read_json(out / "adapt.json")
    assert [row["candidate"] for row in record["here"]] == ["head"]
    counts = record["labels"]["counts"]
    assert counts["person"]["photographs"] == 0
    assert counts["composed"]["crack"] > 0
    assert {row["origin"] for row in read_csv(out / "labels.csv")} == {"unlabelled", "assumed clean", "composed"}


def test_photographs_alone_are_refused_where_nothing_but_a_threshold_is_to_be_tried(
    tiny_base: Path, photographs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = [
        "--tile-side",
        "64",
        "--candidates",
        "threshold",
        "--regression-limit",
        "20",
        "--out",
        str(tmp_path / "out"),
    ]
    assert main([str(photographs), "--model", str(tiny_base), *asked]) == 2
    assert "it takes labels" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_suggested_tiles_are_labelled_on_sheets_and_read_back(
    tiny_base: Path, photographs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "look"
    asked = ["--model", str(tiny_base), "--tile-side", "64", "--suggest", "8", "--out", str(out)]
    assert main([str(photographs), *asked]) == 0
    place = out / "suggested"
    assert (place / "sheet-00.png").is_file()
    table = read_csv(place / "review.csv")
    verdicts = ["crack" if number % 2 else "no_crack" for number in range(len(table))]
    write_csv(place / "review.csv", [row | {"verdict": name} for row, name in zip(table, verdicts, strict=True)])
    assert main([str(photographs), *asked, "--overwrite"]) == 2
    assert "verdicts that a person wrote" in capsys.readouterr().err
    labels = tmp_path / "labels.csv"
    assert (
        data(["relabel", str(place / "manifest.csv"), "--review", str(place / "review.csv"), "--out", str(labels)]) == 0
    )
    tiles = read_site(AdaptConfig(str(labels)), 32, 64, tmp_path / "work").tiles
    assert len(tiles) == len(table)
    assert tiles.labels.sum() == verdicts.count("crack")
    assert len(set(tiles.photos)) > 1


def test_a_new_threshold_keeps_the_shipped_bytes(
    tiny_base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    base, place = tmp_path / "base", tmp_path / "walls"
    shutil.copytree(tiny_base, base)
    (export,) = (base / "export").glob("*.tflite")
    sidecar = read_sidecar(export)
    output = sidecar.output
    low = threshold_record(-1.5, output.scale, output.zero_point, output.dtype)  # calls nearly everything
    write_sidecar(export, replace(sidecar, threshold=low))
    labels = np.arange(72) % 2  # of fewer cracks, no threshold is raised
    tiles = [draw_tile(int(label), 5000 + number) for number, label in enumerate(labels)]
    for number, (label, tile) in enumerate(zip(labels, tiles, strict=True)):
        path = place / ("no_crack", "crack")[label] / f"IMG_{number % 6}" / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        tile.save(path)
    others = np.stack([np.asarray(draw_tile(number % 2, 7000 + number).resize((32, 32))) for number in range(30)])
    known = Elsewhere("walls", others, (np.arange(30) % 2).astype(np.int8), np.arange(30) < 20, "CC0-1.0")
    monkeypatch.setattr(adapting, "find_elsewhere", lambda *_: Found((known,), ("metu: not here",)))
    out = tmp_path / "out"
    assert main([str(place), "--model", str(base), "--out", str(out), "--candidates", "threshold"]) == 0
    model = find_model(str(out)).path
    assert model.read_bytes() == export.read_bytes()
    assert model.name.startswith("opnet-adapted-int8-")
    assert read_sidecar(model).file == model.name
    found = read_sidecar(model)
    assert found.threshold.logit > low.logit
    assert found.golden == sidecar.golden
    assert made_from(found, read_sidecar(out / "model.keras"))
    card = model.with_name(model.name.replace(".tflite", ".md")).read_text(encoding="utf-8")
    assert "by the candidate *threshold*" in card
    assert "Not checked: metu: not here." in card
