"""`python -m crack_tf.report RUN`: execute the notebook that fits what RUN is, and write one self-contained HTML file.

    a run folder of crack-tf train      02_training; several are compared
    a folder of crack-tf tune           03_tuning
    .tflite files, or a folder of them  04_quantisation_and_benchmark
    a run folder, .keras or .tflite     05_explanations_and_errors, when asked for
    a manifest .csv                     01_data_and_splits

Without RUN, `--notebook` executes a notebook on a small made-up data set. Nothing is written but the HTML.
"""

from __future__ import annotations

import argparse
import ast
import contextlib
import importlib
import importlib.util
import io
import logging
import os
import re
import shlex
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from tflite.cli import run_main
from tflite.errors import CrackError, first_line
from tflite.files import read_json, refuse_existing, write_text
from tflite.manifest import read_manifest

NOTEBOOKS = Path(__file__).parent.parent / "notebooks"
DATA, TRAINING, TUNING, QUANTISATION, EXPLANATION = (
    "01_data_and_splits",
    "02_training",
    "03_tuning",
    "04_quantisation_and_benchmark",
    "05_explanations_and_errors",
)
# The parameter that takes what is reported on, and whether it is a list.
SUBJECTS = {
    DATA: ("data", False),
    TRAINING: ("runs", True),
    TUNING: ("search", False),
    QUANTISATION: ("models", True),
    EXPLANATION: ("models", True),
}
INSTALL = "pip install -r requirements-report.txt"

# nbconvert's own page loads scripts from the network; results hold tables and pictures, which need none.
_TEMPLATE = """{% extends 'lab/index.html.j2' %}
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


def make_parser() -> argparse.ArgumentParser:
    """The command line's options."""
    parser = argparse.ArgumentParser(
        prog="crack-tf report",
        description="Execute the notebook that fits a run and write one self-contained HTML file.",
    )
    add = parser.add_argument
    add("runs", nargs="*", metavar="RUN", help="run folder(s), folder of a search, .tflite file(s), or manifest .csv")
    add(
        "--notebook",
        metavar="NAME",
        help=f"of {', '.join(SUBJECTS)}, or its number (default: the one that fits RUN); without RUN on made-up data",
    )
    add(
        "--set",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="another parameter of the notebook, as in its first code cell; VALUE as Python literal or text",
    )
    add("--out", type=Path, default=None, metavar="FILE.html", help="default: runs/reports/NOTEBOOK[-RUN].html")
    add("--overwrite", action="store_true", help="replace the file")
    return parser


def main(argv: list[str] | None = None) -> int:
    """Entry point; returns the exit code."""
    args = make_parser().parse_args(argv)
    return run_main(lambda: run(args), interrupted="No report was written.")


def run(args: argparse.Namespace) -> None:
    """Execute and write as the parsed options say."""
    name = choose(args.runs, args.notebook)
    out = args.out or Path("runs/reports") / ("-".join([name, *(Path(text).stem for text in args.runs)]) + ".html")
    if out.suffix != ".html":
        raise CrackError(f"--out {out}: a report's name must end in .html.")
    refuse_existing(out, args.overwrite)
    notebook = NOTEBOOKS / f"{name}.ipynb"
    if not notebook.is_file():
        raise CrackError(f"{notebook} does not exist: reports need a checkout of the project, not the package alone.")
    require_packages()
    parameters = read_parameters(args.set, notebook)
    if args.runs:
        subject, several = SUBJECTS[name]
        parameters[subject] = list(args.runs) if several else args.runs[0]
    print(f"executing {notebook.name}", flush=True)
    document = execute(notebook, parameters)
    write_text(out, to_html(document, out.stem))
    print(out)


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
        TUNING: (path / "project.json").is_file(),
        QUANTISATION: path.suffix == ".tflite" or bool(_exported(path)),
        EXPLANATION: path.suffix in (".keras", ".tflite") or (path / "model.keras").is_file(),
    }
    names = [name for name, fits in found.items() if fits]
    if not names:
        raise CrackError(
            f"RUN {path} is not recognised: give a run folder (with config.json), a folder of crack-tf tune (with project.json), "
            ".tflite files or a folder that holds some, or a manifest .csv."
        )
    return names


def require_packages() -> None:
    """Make sure that the packages of requirements-report.txt are there.

    Raises:
        CrackError: naming the one that is missing.
    """
    for package in ("papermill", "nbconvert", "ipykernel"):
        if importlib.util.find_spec(package) is None:
            raise CrackError(f"reports need {package}, which is not installed. Run: {INSTALL}")


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
            # Parameters are set in a cell of their own, which the notebook as committed does not have.
            number = error.exec_count - bool(parameters)
            raise CrackError(f"{notebook.name} failed in code cell {number}: {what}") from None
        except DeadKernelError as error:
            raise CrackError(
                f"{notebook.name}: its kernel died ({first_line(error)}). Is there enough memory? Give a smaller limit with --set."
            ) from None


@contextlib.contextmanager
def _kernel_environment() -> Iterator[None]:
    """A temporary folder that outlives even a killed kernel's own cleaning up, and no chatter of TensorFlow or the debugger."""
    before = dict(os.environ)
    with tempfile.TemporaryDirectory(prefix="crack-tf-report-") as folder:
        os.environ |= {"TMPDIR": folder, "PYDEVD_DISABLE_FILE_VALIDATION": "1"}
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
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
        # What native code logs while it starts; the verbs' own messages are printed by `run_verb`.
        if cell.cell_type == "code":
            cell.outputs = [output for output in cell.outputs if output.get("name") != "stderr"]
    exporter = HTMLExporter(
        extra_loaders=[DictLoader({"report.html.j2": _TEMPLATE})], template_file="report.html.j2", embed_images=True
    )
    page, _ = exporter.from_notebook_node(document, {"metadata": {"name": title}})
    return str(page)


# ------------------------------------------------------------------------------- what the notebooks call, besides the verbs


def run_verb(verb: str, *arguments: object) -> None:
    """Run a command of this package in this process, as a notebook does: show it, then what it prints.

    Args:
        verb: of `crack_tf.cli.VERBS`.
        arguments: its command line.

    Raises:
        CrackError: the command's own message, if it fails.
    """
    from crack_tf.cli import VERBS

    # One process that runs several verbs makes TensorFlow warn about functions traced again.
    logging.getLogger("tensorflow").addFilter(_is_error)
    words = [str(argument) for argument in arguments]
    print("$ crack-tf", verb, shlex.join(words), flush=True)
    messages = io.StringIO()
    try:
        with contextlib.redirect_stderr(messages):
            code = importlib.import_module(VERBS[verb].module).main(words)
    except SystemExit as stop:  # argparse
        code = stop.code
    lines = messages.getvalue().strip()
    if code:
        raise CrackError(
            re.sub(r"^.*?error: ", "", lines.splitlines()[-1]) if lines else f"{verb} ended with code {code}"
        )
    if lines:
        print(lines)


def _is_error(record: logging.LogRecord) -> bool:
    return record.levelno >= logging.ERROR


def exported_files(paths: Sequence[str | Path]) -> list[Path]:
    """The .tflite files that paths stand for: themselves, those in a folder, or those in its export/.

    Raises:
        CrackError: if a path has none.
    """
    files = []
    for path in map(Path, paths):
        found = [path] if path.suffix == ".tflite" else _exported(path)
        if not found:
            raise CrackError(f"{path} holds no .tflite file. Make one with: crack-tf export {path}")
        files += found
    return files


def manifest_of(path: str | Path) -> str | None:
    """The manifest that trained a run, as its config.json names it.

    Args:
        path: run folder, or a .tflite file in its export/.

    Returns:
        Its path, or None when there is no such run or the manifest is not here.
    """
    path = Path(path)
    for folder in (path, path.parent, path.parent.parent):
        if (folder / "config.json").is_file():
            named = read_json(folder / "config.json").get("data", {}).get("manifest")
            return named if isinstance(named, str) and Path(named).is_file() else None
    return None


def _exported(folder: Path) -> list[Path]:
    return sorted(folder.glob("export/*.tflite")) or sorted(folder.glob("*.tflite"))


if __name__ == "__main__":
    sys.exit(main())
