"""`crack-tf report`: which notebook fits what, what it hands over, and what it says when it cannot."""

from __future__ import annotations

import importlib.util
import json
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat
import pytest
from PIL import Image

from crack_tf.report import main
from crack_tf.reporting import report
from crack_tf.reporting.notebooks import exported_files, exported_in, manifest_of
from crack_tf.reporting.report import DATA, QUANTISATION, SEGMENTATION, SURVEY, TRAINING, TUNING, choose
from crack_tf.reporting.results import search_results, survey_counts, survey_map
from crack_tf.survey.findings import CONFIRMED, VALIDATIONS, survey_id
from crack_tf.survey.report.page import write_page
from crack_tf.survey.reviews.review import Decision, Review
from tests.crack_tf.survey.drawn_surveys import drawn_survey
from tflite.errors import CrackError
from tflite.files import write_json
from tflite.manifest import Manifest
from tuning.objective import Outcome
from tuning.report import write_report

MakeNotebook = Callable[..., Path]


@pytest.fixture
def make_notebook(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> MakeNotebook:
    """Puts a notebook of given code cells, the first of them its parameters, in the place of a real one."""

    def make(name: str, *sources: str) -> Path:
        cells: list[dict[str, Any]] = [
            {"cell_type": "code", "id": f"c{number}", "source": source, "outputs": [], "execution_count": None}
            | {"metadata": {"tags": ["parameters"]} if number == 0 else {}}
            for number, source in enumerate(sources)
        ]
        kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
        folder = tmp_path / "notebooks"
        folder.mkdir(exist_ok=True)
        path = folder / f"{name}.ipynb"
        content = {"cells": cells, "metadata": {"kernelspec": kernel}, "nbformat": 4, "nbformat_minor": 5}
        path.write_text(json.dumps(content), encoding="utf-8")
        monkeypatch.setattr(report, "NOTEBOOKS", folder)
        return path

    return make


@pytest.fixture
def run_folder(tmp_path: Path) -> Path:
    """What is needed to recognise a run with an exported model."""
    run = tmp_path / "run"
    (run / "export").mkdir(parents=True)
    write_json(run / "config.json", {"data": {"manifest": "nowhere.csv"}})
    (run / "export" / "opnet-int8-ptq.tflite").write_bytes(b"model")
    return run


def error_of(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """The one line that a refused command prints."""
    assert main(arguments) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert error.count("\n") == 1
    return error


def test_the_notebook_fits_what_the_run_is(run_folder: Path, tmp_path: Path, tiny_manifest: Manifest) -> None:
    search, models = tmp_path / "search", tmp_path / "models"
    write_json(search / "project.json", {})
    models.mkdir()
    (models / "a.tflite").write_bytes(b"model")
    assert choose([str(run_folder)], None) == TRAINING
    assert choose([str(search)], None) == TUNING
    assert choose([str(models)], None) == QUANTISATION
    assert choose([str(models / "a.tflite")], None) == QUANTISATION
    assert choose([str(tiny_manifest.source)], None) == DATA


def test_a_model_that_draws_masks_has_a_notebook_of_its_own(run_folder: Path, tmp_path: Path) -> None:
    model = run_folder / "export" / "opnet-int8-ptq.tflite"
    write_json(model.with_name(f"{model.name}.json"), {"task": "segment"})
    assert choose([str(model)], None) == choose([str(run_folder)], None) == SEGMENTATION
    with pytest.raises(CrackError, match="for 06_segmentation_and_foreground, not for 02_training"):
        choose([str(run_folder)], "02")


def test_a_survey_and_the_tables_of_a_search_are_recognised(tmp_path: Path) -> None:
    write_json(tmp_path / "found" / "survey.json", {})
    write_json(tmp_path / "results" / "search.json", {})
    assert choose([str(tmp_path / "found")], None) == SURVEY
    assert choose([str(tmp_path / "results")], None) == TUNING


@pytest.mark.parametrize("wanted", [QUANTISATION, "04"])
def test_another_fitting_notebook_can_be_asked_for_by_name_or_number(wanted: str, run_folder: Path) -> None:
    assert choose([str(run_folder)], wanted) == QUANTISATION


def test_unfit_requests_are_refused(run_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_json(tmp_path / "search" / "project.json", {})
    write_json(tmp_path / "other" / "project.json", {})
    (tmp_path / "empty").mkdir()
    (tmp_path / "table.csv").write_text("a,b\n1,2\n", encoding="utf-8")
    run, search, other = (str(tmp_path / name) for name in ("run", "search", "other"))
    assert "no RUN given" in error_of([], capsys)
    assert "nowhere does not exist" in error_of([str(tmp_path / "nowhere")], capsys)
    assert "empty is not recognised" in error_of([str(tmp_path / "empty")], capsys)
    assert "table.csv is not a crack_tf manifest" in error_of([str(tmp_path / "table.csv")], capsys)
    assert "--notebook '9': choose one of 01_data_and_splits" in error_of(["--notebook", "9"], capsys)
    assert "for 03_tuning, not for 02_training" in error_of([run, search], capsys)
    assert "not for 01_data_and_splits" in error_of([run, "--notebook", "01"], capsys)
    assert "one RUN at a time, got 2" in error_of([search, other], capsys)
    assert "must end in .html" in error_of([run, "--out", str(tmp_path / "report.pdf")], capsys)


def test_a_report_is_not_overwritten_unasked(
    run_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "report.html"
    out.write_text("mine", encoding="utf-8")
    assert "report.html exists already" in error_of([str(run_folder), "--out", str(out)], capsys)
    assert out.read_text(encoding="utf-8") == "mine"


@pytest.mark.parametrize("package", ["papermill", "nbconvert", "ipykernel"])
def test_a_missing_package_is_named_with_the_command_that_installs_it(
    package: str, run_folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == package else find(name))
    error = error_of([str(run_folder)], capsys)
    assert package in error
    assert "pip install 'crack_tf[report]'" in error
    assert "pip install -r requirements-report.txt" in error


def test_an_installation_without_the_notebooks_is_not_whole(
    run_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(report, "NOTEBOOKS", tmp_path / "site-packages")
    assert "Install crack_tf again" in error_of([str(run_folder)], capsys)


@pytest.mark.parametrize("text", ["limits=3", "limit"])
def test_an_unknown_parameter_is_refused_with_the_known_ones(
    text: str, make_notebook: MakeNotebook, capsys: pytest.CaptureFixture[str]
) -> None:
    make_notebook(TUNING, "limit = 1\nsearch = ''")
    assert "NAME=VALUE with one of limit, search" in error_of(["--notebook", "03", "--set", text], capsys)


def test_runs_and_parameters_reach_the_notebook_and_the_page_shows_them(
    make_notebook: MakeNotebook, run_folder: Path, tmp_path: Path
) -> None:
    make_notebook(TRAINING, "runs = []\nlimit = 1\ntest_data = ''", "print(runs, limit + 1, test_data.upper())")
    out = tmp_path / "report.html"
    options = ["--set", "limit=7", "--set", "test_data=metu", "--out", str(out)]
    assert main([str(run_folder), str(run_folder), *options]) == 0
    assert "8 METU" in out.read_text(encoding="utf-8")
    assert out.read_text(encoding="utf-8").count("/run'") >= 2


def test_pictures_go_to_a_folder_on_request(
    make_notebook: MakeNotebook, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = "from IPython.display import Image, display\nfor word in ('Curves', 'Scores'):\n"
    Image.new("RGB", (20, 10)).save(tmp_path / "a.png")
    make_notebook(DATA, "data = ''", f"{lines}    display(Image({str(tmp_path / 'a.png')!r}, alt=word))")
    options = ["--notebook", "01", "--out", str(tmp_path / "report.html")]
    assert "--pick 'Scores' chooses among the pictures of --figures" in error_of([*options, "--pick", "Scores"], capsys)
    assert main([*options, "--figures", str(tmp_path / "figures"), "--pick", "Scores"]) == 0
    assert [path.name for path in (tmp_path / "figures").iterdir()] == ["01-scores.png"]


def test_a_failing_cell_is_named_and_leaves_nothing_behind(
    make_notebook: MakeNotebook, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", None)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    before = dict(os.environ)
    make_notebook(
        DATA,
        "data = ''",
        "import tempfile\nopen(tempfile.mkdtemp() + '/half-made', 'w')",
        "raise ValueError('first line\\nsecond line')",
    )
    out = tmp_path / "out" / "report.html"
    error = error_of(["--notebook", "01", "--set", "data=x", "--out", str(out)], capsys)
    assert "01_data_and_splits.ipynb failed in code cell 3: ValueError: first line\n" in error
    assert not out.parent.exists()
    assert [path.name for path in tmp_path.iterdir()] == ["notebooks"]
    assert dict(os.environ) == before


def test_the_packages_own_message_is_shown_as_it_is(
    make_notebook: MakeNotebook, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make_notebook(DATA, "data = ''", "from tflite.errors import CrackError\nraise CrackError('Set CRACK_TF_DATA.')")
    error = error_of(["--notebook", "01", "--out", str(tmp_path / "report.html")], capsys)
    assert error == "error: 01_data_and_splits.ipynb failed in code cell 2: Set CRACK_TF_DATA.\n"


def test_a_dead_kernel_is_reported(
    make_notebook: MakeNotebook, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make_notebook(DATA, "data = ''", "import os\nos._exit(9)")
    error = error_of(["--notebook", "01", "--out", str(tmp_path / "report.html")], capsys)
    assert "its kernel died" in error
    assert not (tmp_path / "report.html").exists()


@pytest.mark.slow
def test_a_search_is_reported_from_its_results_alone(tmp_path: Path) -> None:
    search = tmp_path / "search"
    recipe = {"model": "opnet_lite", "space": {"width": "8 | [16]"}, "held": {"batch": 32}, "epochs": 3}
    plan = {"algorithm": "random", "trials": 2, "factor": 3, "iterations": 1, "recipe": recipe}
    write_json(search / "project.json", plan)
    for number, latency in enumerate((1.5, 2.5)):
        outcome = Outcome(
            trial=str(number),
            status="ok",
            score=0.5,
            values={"width": 8 * (number + 1)},
            recall=0.75,
            specificity=0.5,
            tp=3,
            fn=1,
            tn=2,
            fp=2,
            latency_ms=latency,
            speedup=6 / latency,
            kilobytes=40.0,
        )
        write_json(search / "search" / f"trial_000{number}" / "result.json", outcome.as_dict())
    out = tmp_path / "report.html"
    assert main([str(search), "--out", str(out)]) == 0
    page = out.read_text(encoding="utf-8")
    assert "knee: trial 0" in page
    assert page.count('src="data:image/png;base64,') == 1
    assert "this search has no finalists" in page


def test_a_search_is_read_alike_from_its_trials_and_from_its_tables(tmp_path: Path) -> None:
    plan = {"algorithm": "random", "recipe": {"space": {"width": "8 | [16]", "rate": "0.1 | 0.2", "kind": "a | b"}}}
    outcomes = [
        Outcome(
            trial="0007",
            status="ok",
            score=0.5,
            values={"width": 8, "rate": 0.1, "kind": "a"},
            epochs=3,
            recall=0.75,
            specificity=0.5,
            tp=3,
            fn=1,
            tn=2,
            fp=2,
            latency_ms=1.5,
            kilobytes=40.5,
        ),
        Outcome("0008", "over budget", -2.5, {"width": 16, "rate": 0.2, "kind": "b"}, message="too slow, by far"),
    ]
    write_json(tmp_path / "search" / "project.json", plan)
    for outcome in outcomes:
        write_json(tmp_path / "search" / "search" / f"trial_{outcome.trial}" / "result.json", outcome.as_dict())
    assert search_results(tmp_path / "search") == (plan, outcomes)
    write_report(outcomes, tmp_path / "tables", plan)
    record, found = search_results(tmp_path / "tables")
    assert record["recipe"] == plan["recipe"]
    assert found == outcomes


def test_the_map_of_a_survey_stands_alone(tmp_path: Path) -> None:
    page = survey_map(drawn_survey(tmp_path, photos=4, findings=2))
    assert page.startswith("<style>.survey-map { --page:")
    assert page.count("<circle") >= 2
    assert "url(" not in page
    assert "body" not in page
    nowhere = survey_map(drawn_survey(tmp_path / "nowhere", photos=2, findings=1, located=False, gaps=0))
    assert nowhere == "<p>No photograph has a position: there is no map.</p>"


def test_the_findings_of_a_survey_are_counted_as_in_its_own_report(tmp_path: Path) -> None:
    found = drawn_survey(tmp_path, photos=4, findings=8)
    every = survey_counts(found, None)
    assert every["findings"] == 8 == sum(every[name] for name in VALIDATIONS)
    assert "review" not in every
    confirmed = [finding.id for finding in found.findings if finding.validation == CONFIRMED]
    decisions = dict.fromkeys(confirmed[:2], Decision("rejected")) | {confirmed[2]: Decision("accepted")}
    review = Review(survey_id(found), found.source, "", "", decisions)
    counted = survey_counts(found, review)
    assert (counted["findings"], counted["confirmed"]) == (6, every["confirmed"] - 2)
    assert counted["review"] == "8 in all: 1 accepted, 2 rejected, 5 open"
    page = write_page(tmp_path, found, kept=(review, "")).read_text(encoding="utf-8")
    told = ", ".join(f"{counted[name]} {name}" for name in VALIDATIONS)
    assert f'id="standing">6</dd><dd class="more" id="standing-more">{told}</dd>' in page
    assert f'id="decided">{counted["review"]}</dd>' in page


def test_exported_files_are_found_by_file_folder_and_run(run_folder: Path, tmp_path: Path) -> None:
    model = run_folder / "export" / "opnet-int8-ptq.tflite"
    assert exported_files([model]) == exported_files([run_folder]) == exported_files([model.parent]) == [model]
    assert exported_in(str(run_folder)) == [model]
    assert exported_in(tmp_path / "nothing") == []
    with pytest.raises(CrackError, match=r"holds no \.tflite file"):
        exported_files([tmp_path / "nothing"])


def test_the_manifest_of_a_run_is_found_from_its_models_when_it_is_here(run_folder: Path, tmp_path: Path) -> None:
    model = run_folder / "export" / "opnet-int8-ptq.tflite"
    assert manifest_of(model) is None  # moved away since
    manifest = tmp_path / "m.csv"
    manifest.touch()
    write_json(run_folder / "config.json", {"data": {"manifest": str(manifest)}})
    assert manifest_of(model) == manifest_of(run_folder) == str(manifest)
    assert manifest_of(tmp_path / "models" / "a.tflite") is None


@pytest.mark.parametrize("name", report.SUBJECTS)
def test_a_report_begins_with_what_it_reports_on_not_with_the_notebooks_own_example(name: str) -> None:
    path = report.NOTEBOOKS / f"{name}.ipynb"
    document = nbformat.read(path, as_version=4)
    own = document.cells[0].source
    assert "As it stands" in own
    report.introduce(document, report.ReportConfig(notebook=name))
    assert document.cells[0].source == own  # on its own example, what it says is true
    report.introduce(document, report.ReportConfig(runs=("my flight/found",), settings=("shown=3",)))
    told = document.cells[0].source
    assert told.startswith(own.partition("\n\nAs it stands")[0])
    assert "As it stands" not in told
    assert "crack-tf report 'my flight/found' --set shown=3" in told
