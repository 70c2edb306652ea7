"""The folder of an adaptation: whether it may be written to, and what is taken away again. Loads nothing heavy."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

from crack_tf.adaptation.config import OUTPUT, REPORT, AdaptConfig
from crack_tf.data.reviews import keep_verdicts
from tflite.errors import CrackError
from tflite.outputs import check_folder, own_files, read_mark, remove_files

WORK, TILES, BUILT, SUGGESTED = "work", "tiles", "built", "suggested"
REVIEWED = f"{WORK}/review"  # tiles of a reviewed survey
BEGUN = "begun"  # in the folder's mark: the settings of a run that has not taken the place of what is there yet


def check_out(out: Path, config: AdaptConfig, resume: bool = False, overwrite: bool = False) -> None:
    """Refuse a folder that an adaptation may not write to.

    Raises:
        CrackError: saying why, and what to do.
    """
    if resume and overwrite:
        raise CrackError("--resume and --overwrite exclude each other: go on with the run, or start again.")
    if resume:
        if not (out / REPORT).is_file() and begun(out) is None:
            raise CrackError(f"--resume: there is no run in {out}. Leave --resume out to start one.")
        return
    hint = "Add --resume to go on with it, or --overwrite to start again."
    inputs = (config.source, config.review or None, config.photos or None, config.model or None)
    check_folder(out, OUTPUT, overwrite, inputs=inputs, hint=hint)
    keep_verdicts(out / SUGGESTED / "review.csv", "")


def begun(out: Path) -> dict[str, Any] | None:
    """The settings of a run that was stopped before an earlier result went, or before there was any; None where there is none."""
    settings = (read_mark(out, OUTPUT) or {}).get(BEGUN)
    return settings if isinstance(settings, dict) else None


def remove_below(out: Path, *folders: str) -> None:
    """Remove what an adaptation wrote below some of its folders, such as "work"; what else lies there stays."""
    wanted = [out / folder for folder in folders]
    remove_files(out, [path for path in own_files(out, OUTPUT) if any(folder in path.parents for folder in wanted)])
    for folder in wanted:
        # Folders whose files were moved away.
        above = [path for path in folder.parents if out in path.parents]
        for empty in (*sorted((path for path in folder.rglob("*") if path.is_dir()), reverse=True), folder, *above):
            with contextlib.suppress(OSError):
                empty.rmdir()
