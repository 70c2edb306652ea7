"""What the notebooks call besides the functions that the verbs call too: what lies in the folders that these write."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tflite.errors import CrackError
from tflite.files import read_json


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
