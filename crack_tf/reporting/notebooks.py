"""What the notebooks call, besides what the verbs call too: the verbs themselves, and what lies in the folders they write."""

from __future__ import annotations

import contextlib
import importlib
import io
import logging
import re
import shlex
from collections.abc import Sequence
from pathlib import Path

from crack_tf.verbs import VERBS
from tflite.cli import EXIT_GAPS
from tflite.errors import CrackError
from tflite.files import read_json


def run_verb(verb: str, *arguments: object) -> None:
    """Run a command of this package in this process, as a notebook does: show it, then what it prints.

    Args:
        verb: of `crack_tf.verbs.VERBS`.
        arguments: its command line.

    Raises:
        CrackError: the command's own message, if it fails. Gaps, exit code 1 of verbs that take photographs, are no failure.
    """
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
    if code and code != EXIT_GAPS:
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
        found = [path] if path.suffix == ".tflite" else exported_in(path)
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


def exported_in(folder: str | Path) -> list[Path]:
    """The .tflite files of a run's export/, or of a folder itself; none where there are none."""
    folder = Path(folder)
    return sorted(folder.glob("export/*.tflite")) or sorted(folder.glob("*.tflite"))
