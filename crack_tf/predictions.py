"""The folder of a prediction run: JSON lines that are only ever added to, two tables made from them, and overlays.

`predictions.jsonl`: the first line holds the settings, every other line one photograph:

    photo, bytes, status "classified", width, height, decision, logit and probability (of its highest tile), positive_tiles,
    tiles [{x, y, w, h, logit, probability, decision}], threshold {probability, logit}, model_sha256, overlay (file or null)
    photo, bytes, status "unreadable", reason, model_sha256    nothing is known about what it shows: never count it as clean

`photos.csv` has a row per photograph and `tiles.csv` a row per tile. A photograph that was tried again counts once, as its
last line says.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from tflite.errors import CrackError
from tflite.files import atomic_path, refuse_existing, write_bytes

FORMAT = "crack_tf.predictions/1"
LINES, PHOTOS, TILES, OVERLAYS = "predictions.jsonl", "photos.csv", "tiles.csv", "overlays"
CLASSIFIED, UNREADABLE = "classified", "unreadable"
_PHOTO_COLUMNS = (
    *("photo", "status", "decision", "probability", "logit", "positive_tiles", "tiles", "width", "height"),
    *("threshold", "threshold_logit", "model_sha256", "overlay", "reason"),
)
_TILE_COLUMNS = (
    *("photo", "status", "x", "y", "w", "h", "logit", "probability", "decision"),
    *("threshold", "threshold_logit", "model_sha256", "reason"),
)


class Predictions:
    """A run's folder, opened to add photographs. For one thread.

    Args:
        folder: created when missing.
        settings: what decides the results, JSON values; a run is continued with the same ones only.
        resume: go on with the run in the folder.
        overwrite: replace the run in the folder; nothing but its own files is removed.

    Attributes:
        done: names and file sizes (bytes) of the photographs that an earlier session classified.

    Raises:
        CrackError: if the folder is in use for something else, there is nothing to resume, the settings differ, or the
            lines are damaged.
    """

    def __init__(
        self, folder: str | Path, settings: Mapping[str, Any], *, resume: bool = False, overwrite: bool = False
    ) -> None:
        self.folder = Path(folder)
        self.path = self.folder / LINES
        self.done: dict[str, int] = {}
        if resume:
            if not self.path.is_file():
                raise CrackError(f"--resume: there is no run in {folder}. Leave --resume out to start one.")
            self._recover(settings)
        else:
            refuse_existing(self.folder, overwrite, "Choose another --out, add --resume to go on, or --overwrite.")
            if self.path.is_file():
                self._remove()
            write_bytes(self.path, _line({"format": FORMAT, **settings}))
        self._file = self.path.open("ab")

    def __enter__(self) -> Predictions:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def add(self, record: Mapping[str, Any]) -> None:
        """Add one photograph. Its line is handed to the system whole, so a process that is killed loses none before it."""
        self._file.write(_line(record))
        self._file.flush()

    def write_tables(self) -> None:
        """Write photos.csv and tiles.csv from all lines, replacing older ones."""
        last = {record["photo"]: number for number, record in enumerate(self._records())}
        self._write_table(PHOTOS, _PHOTO_COLUMNS, _photo_rows, last)
        self._write_table(TILES, _TILE_COLUMNS, _tile_rows, last)

    def _write_table(
        self,
        name: str,
        columns: tuple[str, ...],
        rows: Callable[[dict[str, Any]], Iterator[dict[str, Any]]],
        last: Mapping[str, int],
    ) -> None:
        # Row by row: a survey's tiles may not fit into memory.
        with (
            atomic_path(self.folder / name) as temporary,
            temporary.open("w", newline="", encoding="utf-8") as stream,
        ):
            writer = csv.DictWriter(stream, columns, lineterminator="\n", extrasaction="ignore")
            writer.writeheader()
            for number, record in enumerate(self._records()):
                if last[record["photo"]] == number:
                    writer.writerows(rows(record))

    def _records(self) -> Iterator[dict[str, Any]]:
        with self.path.open("rb") as stream:
            next(stream)
            for number, line in enumerate(stream, 2):
                yield _record(line, self.path, number)

    def _recover(self, settings: Mapping[str, Any]) -> None:
        """Cut off a torn last line, compare the settings, learn what is done."""
        with self.path.open("rb+") as stream:
            whole = 0
            for line in stream:
                whole += len(line) if line.endswith(b"\n") else 0
            stream.truncate(whole)
            stream.seek(0)
            found = _record(stream.readline(), self.path, 1)
        if found.pop("format", None) != FORMAT:
            raise CrackError(f"{self.path} was not written by this version of crack-tf predict. Choose another --out.")
        for name in sorted({*found, *settings}):
            if found.get(name) != settings.get(name):
                raise CrackError(
                    f"--resume: {self.folder} was started with {name} = {found.get(name)!r}, now it is {settings.get(name)!r}. "
                    "Use the same settings, or another --out."
                )
        for record in self._records():
            if record["status"] == CLASSIFIED:
                self.done[record["photo"]] = record["bytes"]

    def _remove(self) -> None:
        """Remove an earlier run's files, its overlays by the names it recorded."""
        try:
            overlays = [str(record.get("overlay")) for record in self._records()]
        except CrackError:  # damaged, which may be why it is to be replaced
            overlays = []
        inside = [name for name in overlays if name.startswith(f"{OVERLAYS}/") and ".." not in Path(name).parts]
        for name in (LINES, PHOTOS, TILES, *inside):
            (self.folder / name).unlink(missing_ok=True)


def _line(record: Mapping[str, Any]) -> bytes:
    return json.dumps(record, separators=(",", ":"), allow_nan=False, ensure_ascii=False).encode() + b"\n"


def _record(line: bytes, path: Path, number: int) -> dict[str, Any]:
    try:
        record = json.loads(line)
        if not isinstance(record, dict) or (number > 1 and not {"photo", "status", "bytes"} <= set(record)):
            raise ValueError("not a photograph")
    except ValueError as error:
        raise CrackError(f"{path}, line {number} is damaged ({error}). Choose another --out, or --overwrite.") from None
    return record


def _photo_rows(record: dict[str, Any]) -> Iterator[dict[str, Any]]:
    tiles = record.get("tiles")
    yield {**record, **_threshold(record), "tiles": None if tiles is None else len(tiles)}


def _tile_rows(record: dict[str, Any]) -> Iterator[dict[str, Any]]:
    common = {
        "photo": record["photo"],
        "status": record["status"],
        "model_sha256": record["model_sha256"],
        "reason": record.get("reason"),
        **_threshold(record),
    }
    if record["status"] == UNREADABLE:
        yield common
        return
    for tile in record["tiles"]:
        yield {**common, **tile}


def _threshold(record: Mapping[str, Any]) -> dict[str, Any]:
    threshold = record.get("threshold") or {}
    return {"threshold": threshold.get("probability"), "threshold_logit": threshold.get("logit")}
