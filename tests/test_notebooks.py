"""The notebooks as committed, and that each one executes and gives a page that stands alone."""

from __future__ import annotations

import ast
import re
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from crack_tf.report import main
from crack_tf.reporting.report import NOTEBOOKS, SUBJECTS
from crack_tf.verbs import VERBS
from tests import warm
from tflite.files import read_json
from tflite.measure import MIN_RUNS

FILES = sorted(NOTEBOOKS.glob("*.ipynb"))
# Smaller still than what the notebooks do as they stand.
TINY: dict[str, dict[str, object]] = {
    "01_data_and_splits": {"tiles": 60, "image_size": 32},
    "02_training": {"tiles": 80, "limit": 48, "image_size": 32, "epochs": 1},
    "03_tuning": {"tiles": 80, "limit": 48, "trials": 1, "epochs": 1, "target_recall": 0.5},
    "04_quantisation_and_benchmark": {
        "tiles": 80,
        "limit": 48,
        "image_size": 32,
        "epochs": 1,
        "qat_steps": 1,
        "test_limit": 8,
        "threads": "1",
        "timed": MIN_RUNS,
    },
    "05_explanations_and_errors": {"tiles": 60, "shown": 2, "measured": 2, "sanity": 1, "errors_shown": 2},
    "06_segmentation_and_foreground": {"pairs": 8},
    "07_survey": {"size": "480x360", "columns": 1, "shown": 2},
}
# What a reader must find, by notebook: the heading of a table that only a whole execution fills, and how many pictures.
SHOWN = {
    "01_data_and_splits": ("copies of a training picture", 3),
    "02_training": ("specificity_at_target", 8),
    "03_tuning": ("published_specificity", 1),
    "04_quantisation_and_benchmark": ("p50_ms", 4),
    "05_explanations_and_errors": ("pointing_low", 4),
    "06_segmentation_and_foreground": ("tolerant_f1_low", 6),
    "07_survey": ("megapixels_per_second", 1),
}
# The parameter `data` on real pictures; METU unless said otherwise.
REAL = {"06_segmentation_and_foreground": "deepcrack", "07_survey": "DCIM"}


def cells(path: Path, kind: str) -> list[dict[str, Any]]:
    return [cell for cell in read_json(path)["cells"] if cell["cell_type"] == kind]


def source(cell: dict[str, Any]) -> str:
    return "".join(cell["source"])


def loaded_from_elsewhere(page: str) -> list[str]:
    """What a browser would fetch for a page: sources, stylesheets, imports; data: addresses and anchors are inside it."""
    found = re.findall(r"""<(?:script|img|iframe|video|audio|source|embed)\b[^>]*?\ssrc\s*=\s*["']([^"']*)""", page)
    found += re.findall(r"""<link\b[^>]*?\shref\s*=\s*["']([^"']*)""", page)
    found += re.findall(r"""(?:url|import)\s*\(\s*["']?([^"')]*)""", page) + re.findall(
        r"""@import\s+["']([^"']*)""", page
    )
    return [address for address in found if not address.startswith(("data:", "#"))]


def test_every_notebook_is_known_to_the_report_command() -> None:
    assert [path.stem for path in FILES] == sorted(SUBJECTS)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_notebook_is_committed_without_outputs(path: Path) -> None:
    for cell in cells(path, "code"):
        assert cell["outputs"] == [], source(cell)
        assert cell["execution_count"] is None, source(cell)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_notebook_starts_with_what_it_shows_and_how_to_run_it_on_real_data(path: Path) -> None:
    first = read_json(path)["cells"][0]
    assert first["cell_type"] == "markdown"
    assert source(first).startswith("# ")
    real = REAL.get(path.stem, "metu")
    assert f"crack-tf report --notebook {path.stem[:2]} --set data={real}" in source(first)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_notebook_has_one_parameters_cell_of_plain_values(path: Path) -> None:
    tagged = [cell for cell in cells(path, "code") if "parameters" in cell["metadata"].get("tags", [])]
    assert tagged == cells(path, "code")[:1]
    names = set()
    for node in ast.parse(source(tagged[0])).body:
        assert isinstance(node, ast.Assign)
        ast.literal_eval(node.value)
        names |= {ast.unparse(target) for target in node.targets}
    assert {"data", SUBJECTS[path.stem][0], "out"} <= names


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_notebook_calls_the_package_and_defines_nothing_itself(path: Path) -> None:
    for cell in cells(path, "code"):
        tree = ast.parse(source(cell))
        assert not [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.ClassDef)]
        assert len(source(cell).splitlines()) <= 32


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_notebook_calls_functions_and_no_command_line(path: Path) -> None:
    verbs = {verb.module for verb in VERBS.values()} | {
        f"{verb.module.removesuffix('.__main__')}.main" for verb in VERBS.values()
    }
    for cell in cells(path, "code"):
        for node in ast.walk(ast.parse(source(cell))):
            if isinstance(node, ast.ImportFrom):
                assert not {f"{node.module}.{alias.name}" for alias in node.names} & verbs
                assert node.module not in verbs
            elif isinstance(node, ast.Import):
                assert not {alias.name for alias in node.names} & verbs
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                assert not node.value.startswith("--")


def test_all_that_notebooks_import_is_there() -> None:
    for path in FILES:
        for node in (node for cell in cells(path, "code") for node in ast.walk(ast.parse(source(cell)))):
            if isinstance(node, ast.ImportFrom) and node.module is not None:
                module = import_module(node.module)
                assert [name.name for name in node.names if not hasattr(module, name.name)] == [], (
                    path.name,
                    node.module,
                )


def test_a_survey_s_notebook_shows_beside_lengths_and_widths_what_is_sure_of_them() -> None:
    columns = next(source(cell) for cell in cells(NOTEBOOKS / "07_survey.ipynb", "code") if "max_width" in source(cell))
    assert '"length", "length_low", "mean_width", "max_width"' in columns
    assert '"width_trusted"' in columns


@pytest.mark.slow
@pytest.mark.parametrize("name", SUBJECTS)
def test_a_notebook_executes_on_made_up_data_and_the_page_loads_nothing(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jupyter_client.launcher.Popen", warm.Popen)
    if name == "02_training":
        monkeypatch.setenv(warm.UNTRACED, "1")  # it trains a MobileNetV2
    out = tmp_path / "report.html"
    options = [word for key, value in TINY[name].items() for word in ("--set", f"{key}={value}")]
    code = main(["--notebook", name, *options, "--out", str(out)])
    assert code == 0, capsys.readouterr().err
    page = out.read_text(encoding="utf-8")
    heading, pictures = SHOWN[name]
    assert heading in page
    assert page.count('src="data:image/') >= pictures
    assert loaded_from_elsewhere(page) == []
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]


@pytest.mark.parametrize(
    "markup",
    [
        '<script src="https://example.org/a.js">',
        '<img alt="x" src="tiles/1.png">',
        '<link rel="stylesheet" href="https://example.org/a.css">',
        '<style>@import "a.css";</style>',
        "<style>body { background: url(http://example.org/a.png) }</style>",
        '<script>await import("https://example.org/a.mjs")</script>',
    ],
)
def test_the_check_for_what_a_page_loads_finds_it(markup: str) -> None:
    assert loaded_from_elsewhere(markup)
