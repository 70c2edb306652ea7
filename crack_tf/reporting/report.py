"""The notebook that fits what is to be reported on, executed and written as one self-contained HTML file: `make_report`."""

from __future__ import annotations

import ast
import contextlib
import os
import shlex
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from crack_tf.common.progress import say_now
from crack_tf.common.provenance import created
from crack_tf.reporting.figures import write_figures
from crack_tf.reporting.notebooks import exported_in
from tflite.arguments import check_types
from tflite.errors import CrackError, first_line
from tflite.extras import advice
from tflite.files import read_json, write_text
from tflite.manifest import read_manifest
from tflite.outputs import Output, check_file

NOTEBOOKS = Path(__file__).parents[1] / "shipped" / "notebooks"  # a link in a checkout
DATA, TRAINING, TUNING, QUANTISATION, EXPLANATION, SEGMENTATION, SURVEY = (
    "01_data_and_splits",
    "02_training",
    "03_tuning",
    "04_quantisation_and_benchmark",
    "05_explanations_and_errors",
    "06_segmentation_and_foreground",
    "07_survey",
)
# The parameter that takes what is reported on, and whether it is a list.
SUBJECTS = {
    DATA: ("data", False),
    TRAINING: ("runs", True),
    TUNING: ("search", False),
    QUANTISATION: ("models", True),
    EXPLANATION: ("models", True),
    SEGMENTATION: ("models", True),
    SURVEY: ("survey", False),
}

# nbconvert's own page loads scripts from the network; results hold tables and pictures, which need none.
# Nor does it hand the descriptions of pictures on.
_TEMPLATE = """{% extends 'lab/index.html.j2' %}
{% macro picture(output, kind) %}
<div class="jp-RenderedImage jp-OutputArea-output" data-mime-type="{{ kind }}">
<img src="data:{{ kind }};base64,{{ output.data[kind] }}"
{%- for name in ('alt', 'width', 'height') %}
{%- set value = output | get_metadata(name, kind) %}
{%- if value %} {{ name }}="{{ value | escape_html }}"{% endif %}
{%- endfor %}>
</div>
{% endmacro %}
{% block data_png scoped %}{{ picture(output, 'image/png') }}{% endblock %}
{% block data_jpg scoped %}{{ picture(output, 'image/jpeg') }}{% endblock %}
{% block html_head_js %}{% endblock %}
{% block jupyter_widgets %}{% endblock %}
{% block html_head_js_mathjax %}{% endblock %}
{% block html_head_js_mermaidjs %}{% endblock %}
{% block html_head_css %}<style>
body.jp-Notebook { max-width: 1200px; margin: 0 auto; }
.jp-OutputArea-output pre { white-space: pre-wrap; overflow-wrap: anywhere; }
.jp-RenderedHTMLCommon table { margin-left: 0; }
.jp-RenderedHTMLCommon td, .jp-RenderedHTMLCommon th { max-width: none; }
.jp-RenderedImage img { max-width: 100%; height: auto; }
</style>{% endblock %}
"""

_AS_IT_STANDS = "As it stands"  # begins the part of a notebook's first cell that is for its reader, not for a report's
_STYLE = b"body.jp-Notebook { max-width: 1200px; margin: 0 auto; }"  # of the template: no other page has this line
OUTPUT = Output("crack-tf report", lambda path: _STYLE in path.read_bytes())


@dataclass(frozen=True)
class ReportConfig:
    """What is reported on, and how.

    Attributes:
        runs: what to report on: paths of runs, searches, surveys, models or manifests; none for made-up data.
        notebook: name of a notebook, or its number; None for the one that fits `runs`.
        settings: further parameters of the notebook, as NAME=VALUE.
        figures: folder for the report's pictures as small PNG files; None for none.
        pick: of the pictures, only those whose description holds one of these words.

    Raises:
        CrackError: if pictures are picked and none are wanted.
    """

    runs: tuple[str, ...] = ()
    notebook: str | None = None
    settings: tuple[str, ...] = ()
    figures: Path | None = None
    pick: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        check_types(self)
        if self.pick and self.figures is None:
            raise CrackError(f"--pick {self.pick[0]!r} chooses among the pictures of --figures DIR: add it.")


@dataclass(frozen=True)
class Report:
    """A report that was written.

    Attributes:
        path: the HTML file.
        figures: its pictures, where they were asked for.
    """

    path: Path
    figures: tuple[Path, ...]


def make_report(config: ReportConfig, out: Path | None = None, overwrite: bool = False) -> Report:
    """Execute the notebook and write the page.

    Args:
        config: what is reported on.
        out: the HTML file; None names it after the notebook and the runs, in runs/reports.
        overwrite: whether files of earlier reports are replaced.

    Raises:
        CrackError: if no notebook fits, a file is there already, or the notebook fails.
    """
    name = choose(config.runs, config.notebook)
    if out is None:
        out = Path("runs/reports") / ("-".join([name, *(Path(text).stem for text in config.runs)]) + ".html")
    if out.suffix != ".html":
        raise CrackError(f"--out {out}: a report's name must end in .html.")
    check_file(out, OUTPUT, overwrite, inputs=config.runs)
    notebook = NOTEBOOKS / f"{name}.ipynb"
    if not notebook.is_file():
        raise CrackError(f"{notebook} does not exist: this installation is not whole. Install crack_tf again.")
    parameters = read_parameters(config.settings, notebook)
    if config.runs:
        subject, several = SUBJECTS[name]
        parameters[subject] = list(config.runs) if several else config.runs[0]
    say_now(f"executing {notebook.name}")
    document = execute(notebook, parameters)
    introduce(document, config)
    write_text(out, to_html(document, out.stem))
    figures: Sequence[Path] = ()
    if config.figures is not None:
        figures = write_figures(document, config.figures, name.partition("_")[0], config.pick, overwrite)
    return Report(out, tuple(figures))


def introduce(document: Any, config: ReportConfig) -> None:
    """Have a report's first words tell what it reports on, in place of what the notebook does as it stands.

    Args:
        document: an executed notebook, an nbformat node; changed.
        config: what was asked for; without runs and settings the notebook did what it says.
    """
    first = document.cells[0]
    if not (config.runs or config.settings) or first.cell_type != "markdown" or _AS_IT_STANDS not in first.source:
        return
    about = first.source.partition(f"\n\n{_AS_IT_STANDS}")[0]
    asked = [*config.runs, *(["--notebook", config.notebook] if config.notebook is not None else [])]
    asked += [word for setting in config.settings for word in ("--set", setting)]
    first.source = f"{about}\n\nMade {created()[:10]} by\n\n    {shlex.join(['crack-tf', 'report', *asked])}"


def choose(runs: Sequence[str], wanted: str | None) -> str:
    """The notebook to execute.

    Args:
        runs: what to report on.
        wanted: --notebook, a name or its number; None takes the one that fits.

    Raises:
        CrackError: if a run is missing or unrecognised, runs of two kinds are mixed, several are given where one is wanted,
            or there is no such notebook.
    """
    names = [name for name in SUBJECTS if wanted in (name, name.partition("_")[0])]
    if wanted is not None and not names:
        raise CrackError(f"--notebook {wanted!r}: choose one of {', '.join(SUBJECTS)}.")
    if not runs and not names:
        raise CrackError("no RUN given: name one, or give --notebook to execute a notebook on made-up data.")
    kinds = {text: kinds_of(Path(text)) for text in runs}
    if not names:
        names = [kinds[runs[0]][0]]
    name = names[0]
    for text, fitting in kinds.items():
        if name not in fitting:
            raise CrackError(f"{text} is for {' or '.join(fitting)}, not for {name}. Report on each kind apart.")
    if len(runs) > 1 and not SUBJECTS[name][1]:
        raise CrackError(f"{name} reports on one RUN at a time, got {len(runs)}: {', '.join(runs)}.")
    return name


def kinds_of(path: Path) -> list[str]:
    """The notebooks that can report on a path, the best one first.

    Raises:
        CrackError: if it does not exist, is nothing known, or is a .csv that is no manifest.
    """
    if not path.exists():
        raise CrackError(f"RUN {path} does not exist.")
    if path.suffix == ".csv":
        read_manifest(path)
    found = {
        DATA: path.suffix == ".csv",
        TRAINING: (path / "config.json").is_file(),
        TUNING: any((path / name).is_file() for name in ("project.json", "search.json")),
        QUANTISATION: path.suffix == ".tflite" or bool(exported_in(path)),
        EXPLANATION: path.suffix in (".keras", ".tflite") or (path / "model.keras").is_file(),
        SURVEY: (path / "survey.json").is_file(),
    }
    names = [name for name, fits in found.items() if fits]
    if {TRAINING, QUANTISATION, EXPLANATION} & set(names) and _draws_masks(path):
        names = [SEGMENTATION]
    if not names:
        raise CrackError(
            f"RUN {path} is not recognised: give a run folder (with config.json), a folder of crack-tf tune (with project.json), "
            "one of crack-tf survey (with survey.json), .tflite files or a folder that holds some, or a manifest .csv."
        )
    return names


def _draws_masks(path: Path) -> bool:
    """Whether the model of a run folder, a folder of .tflite files or a file is a segmentation model, as its sidecar says."""
    files = [path] if path.is_file() else [path / "model.keras", *exported_in(path)]
    sidecars = [file.with_name(f"{file.name}.json") for file in files]
    return any(read_json(sidecar).get("task") == "segment" for sidecar in sidecars if sidecar.is_file())


def read_parameters(texts: Sequence[str], notebook: Path) -> dict[str, Any]:
    """Turn ["limit=200"] into {"limit": 200}; what is no Python literal is text.

    Raises:
        CrackError: for a text without "=", or a name that the notebook's parameters cell does not set.
    """
    import papermill

    known = papermill.inspect_notebook(str(notebook))
    values: dict[str, Any] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or name not in known:
            raise CrackError(f"--set {text!r}: write NAME=VALUE with one of {', '.join(known)}.")
        try:
            values[name] = ast.literal_eval(value)
        except (ValueError, SyntaxError):
            values[name] = value
    return values


def execute(notebook: Path, parameters: Mapping[str, Any]) -> Any:
    """Execute a notebook in a kernel of its own, in the present folder.

    Args:
        notebook: with a cell tagged "parameters".
        parameters: override that cell's.

    Returns:
        The executed notebook, an nbformat node.

    Raises:
        CrackError: naming the cell that failed and the first line of its error.
    """
    import papermill
    from nbclient.exceptions import DeadKernelError
    from papermill.exceptions import PapermillExecutionError

    with _kernel_environment():
        try:
            return papermill.execute_notebook(
                notebook,
                None,
                dict(parameters),
                kernel_name="python3",
                progress_bar=sys.stderr.isatty(),
                # Its own log is about its sockets: loopback ports that others on this machine could listen to, Ctrl-C.
                extra_arguments=["--IPKernelApp.log_level=CRITICAL"],
            )
        except PapermillExecutionError as error:
            line = (error.evalue.strip().splitlines() or [""])[0]
            what = line if error.ename == CrackError.__name__ else f"{error.ename}: {line}"
            if error.ename == ModuleNotFoundError.__name__:
                what = advice(line.partition("'")[2].partition("'")[0]) or what
            # Parameters are set in a cell of their own, which the notebook as committed does not have.
            number = error.exec_count - bool(parameters)
            raise CrackError(f"{notebook.name} failed in code cell {number}: {what}") from None
        except DeadKernelError as error:
            raise CrackError(
                f"{notebook.name}: its kernel died ({first_line(error)}). Is there enough memory? Give a smaller limit with --set."
            ) from None


@contextlib.contextmanager
def _kernel_environment() -> Iterator[None]:
    """A temporary folder that outlives even a killed kernel's own cleaning up, and no chatter of the debugger."""
    before = dict(os.environ)
    with tempfile.TemporaryDirectory(prefix="crack-tf-report-") as folder:
        os.environ |= {"TMPDIR": folder, "PYDEVD_DISABLE_FILE_VALIDATION": "1"}
        try:
            yield
        finally:
            os.environ.clear()
            os.environ.update(before)


def to_html(document: Any, title: str) -> str:
    """An executed notebook as one HTML page with its pictures and styles inside, which loads nothing."""
    from jinja2 import DictLoader
    from nbconvert import HTMLExporter

    for cell in document.cells:
        # What native code logs while it starts, and progress bars; what is found is printed.
        if cell.cell_type == "code":
            cell.outputs = [output for output in cell.outputs if output.get("name") != "stderr"]
    exporter = HTMLExporter(
        extra_loaders=[DictLoader({"report.html.j2": _TEMPLATE})], template_file="report.html.j2", embed_images=True
    )
    page, _ = exporter.from_notebook_node(document, {"metadata": {"name": title}})
    return str(page)
