"""The folder of a prediction run: JSON lines that are only ever added to, two tables made from them, and overlays.

`predictions.jsonl`: the first line holds the settings, every other line one photograph:

    photo, bytes, status "classified", width, height, decision, logit and probability (of its highest tile), positive_tiles,
    left_out_tiles (not searched), transparent (share, where there is any), unlit (share too dark or burnt out, above a third),
    reason (where it was doubted, see `crack_tf.inference.second_look`), tiles [{x, y, w, h, logit, probability, decision}],
    threshold {probability, logit}, model_sha256, overlay (file or null)
    photo, bytes, status "unreadable", reason, model_sha256    nothing is known about what it shows: never count it as clean

and at the end of a photograph's `file` (`tflite.sameness.FileState`), `run` (the settings once more, as a hash) and `sha` (see
`tflite.lines`). A run that is gone on with passes over lines that are damaged, wherever they are, and says so: the rest counts, and
their photographs are done again. Lines of older versions have no hash.

`photos.csv` has a row per photograph, with whether it is `barely` cracked, and `tiles.csv` a row per tile; where a photograph was doubted,
`reason` stands at the tiles that are called cracked. A photograph that was tried again counts once, as its
last line says.
"""

from __future__ import annotations

import json
import math
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO

from tflite.errors import CrackError
from tflite.files import atomic_path, parse_json, sha256_bytes, stream_csv, write_bytes
from tflite.lines import seal_line, unseal_line
from tflite.locks import FolderLock, is_there
from tflite.outputs import Inputs, Output, check_folder, clear_folder, remove_files, remove_leftovers
from tflite.sameness import FileState, refuse_changed
from tflite.words import counted

FORMAT = "crack_tf.predictions/1"
LINES, PHOTOS, TILES, OVERLAYS = "predictions.jsonl", "photos.csv", "tiles.csv", "overlays"
CLASSIFIED, UNREADABLE = "classified", "unreadable"
_PHOTO_COLUMNS = (
    *("photo", "status", "decision", "probability", "logit", "positive_tiles", "tiles", "width", "height"),
    *("threshold", "threshold_logit", "model_sha256", "overlay", "reason", "barely"),
)
_TILE_COLUMNS = (
    *("photo", "status", "x", "y", "w", "h", "logit", "probability", "decision"),
    *("threshold", "threshold_logit", "model_sha256", "reason"),
)
# A photograph is barely cracked where its highest tile's odds of a crack are less than so many times those of the threshold. The page on
# photographs says how many are.
BARELY = 3.0
_NEWER = {"file", "run", "sha"}  # members that came with hashes
_MEMBERS = {
    CLASSIFIED: {"photo", "bytes", "tiles", "model_sha256"},
    UNREADABLE: {"photo", "bytes", "reason", "model_sha256"},
}


@dataclass(frozen=True)
class _Line:
    """A line of the file.

    Attributes:
        number: from 1.
        record: None where the line is damaged.
        sealed: whether it has a hash of its own, or needs none.
    """

    number: int
    record: dict[str, Any] | None
    sealed: bool


def _read_lines(path: Path) -> Iterator[_Line]:
    """The lines of a run, the first with its settings. A last one that was cut off is left out: after a kill it is normal."""
    with path.open("rb") as stream:
        for number, text in enumerate(stream, 1):
            if text.endswith(b"\n"):
                yield _parsed(number, text[:-1])


def _parsed(number: int, text: bytes) -> _Line:
    sealed = True
    try:
        text = unseal_line(text)
    except ValueError:
        sealed = number == 1
    try:
        record = parse_json(text)
    except (ValueError, RecursionError):
        return _Line(number, None, sealed)
    whole = isinstance(record, dict) and ("format" in record if number == 1 else _is_photo(record))
    # A line of an older version has no hash; one that has what came with it has lost its own.
    return _Line(number, record if whole and (sealed or not _NEWER & set(record)) else None, sealed)


def _is_photo(record: Mapping[str, Any]) -> bool:
    tiles = record.get("tiles")
    return (
        isinstance(record.get("photo"), str)
        and isinstance(record.get("bytes"), int)
        and _MEMBERS.get(str(record.get("status")), {""}) <= set(record)
        and (record["status"] == UNREADABLE or (isinstance(tiles, list) and all(isinstance(t, dict) for t in tiles)))
    )


def _is_run(folder: Path) -> bool:
    """Whether a folder holds a run: the first line says so, or a whole one with its hash."""
    for line in _read_lines(folder / LINES):
        if line.record is not None and (line.record.get("format") == FORMAT if line.number == 1 else line.sealed):
            return True
    return False


OUTPUT = Output("crack-tf predict", _is_run, (LINES, PHOTOS, TILES), first=LINES)
_LEFTOVERS = replace(OUTPUT, files=(*OUTPUT.files, f"{OVERLAYS}/**/*.png"))


class Predictions:
    """A run's folder, opened to add photographs. For one thread, and one process at a time.

    Args:
        folder: created when missing.
        settings: what decides the results, JSON values; a run is continued with the same ones only.
        resume: go on with the run in the folder.
        overwrite: replace the run in the folder; nothing but its own files is removed.
        inputs: the photographs and the model, which must not lie in a folder that is overwritten.

    Attributes:
        done: names and file sizes (bytes) of the photographs that an earlier session classified.
        files: what their files were like, as far as recorded.

    Raises:
        CrackError: if the folder is in use, by something else or by another process, there is nothing to resume, or the settings
            differ.
    """

    def __init__(
        self,
        folder: str | Path,
        settings: Mapping[str, Any],
        *,
        resume: bool = False,
        overwrite: bool = False,
        inputs: Inputs = (),
    ) -> None:
        self.folder = Path(folder)
        self.path = self.folder / LINES
        self.done: dict[str, int] = {}
        self.files: dict[str, FileState] = {}
        self._run = sha256_bytes(json.dumps(settings, sort_keys=True).encode())[:16]
        if resume and not self.path.is_file():
            raise CrackError(f"--resume: there is no run in {folder}. Leave --resume out to start one.")
        with ExitStack() as stack:
            self._lock = stack.enter_context(FolderLock(self.folder))
            if resume:
                self._recover(settings)
            else:
                hint = "Choose another --out, add --resume to go on, or --overwrite."
                check_folder(self.folder, OUTPUT, overwrite, inputs=inputs, hint=hint)
                self._clear()
                write_bytes(self.path, _head(settings))
            remove_leftovers(self.folder, _LEFTOVERS)
            self._file: BinaryIO = stack.enter_context(self.path.open("ab"))
            self._open = stack.pop_all()

    def __enter__(self) -> Predictions:
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def add(self, record: Mapping[str, Any]) -> None:
        """Add one photograph. Its line is handed to the system whole, so a process that is killed loses none before it.

        Raises:
            CrackError: if the run's folder or file is gone.
        """
        self.check()
        self._file.write(seal_line({**record, "run": self._run}, ascii=False))
        self._file.flush()

    def check(self) -> None:
        """Make sure that what was recorded is still there.

        Raises:
            CrackError: if the run's folder or file was removed, renamed or replaced.
        """
        self._lock.check(LINES)
        if not is_there(self.path, self._file.fileno()):
            raise CrackError(f"{self.path} was replaced while it was written to: stopped. Choose another --out.")

    def write_tables(self, photos: Iterable[str] = ()) -> None:
        """Write photos.csv and tiles.csv from all lines, replacing older ones.

        Args:
            photos: names of which each must have a line.

        Raises:
            CrackError: if one has none: something else wrote to the file.
        """
        if not self._file.closed:
            self.check()
        last = {record["photo"]: number for number, record in enumerate(self._records())}
        missing = sorted({*photos} - {*last})
        self._write_table(PHOTOS, _PHOTO_COLUMNS, _photo_rows, last)
        self._write_table(TILES, _TILE_COLUMNS, _tile_rows, last)
        if missing:
            raise CrackError(
                f"{self.path} lacks {counted(len(missing), 'photograph')} that were done, the first {missing[0]}: "
                "something else changed it. "
                "The same command with --resume does them again."
            )

    def _write_table(
        self,
        name: str,
        columns: tuple[str, ...],
        rows: Callable[[dict[str, Any]], Iterator[dict[str, Any]]],
        last: Mapping[str, int],
    ) -> None:
        # Row by row: a survey's tiles may not fit into memory.
        with stream_csv(self.folder / name, columns) as write:
            for number, record in enumerate(self._records()):
                if last.get(record["photo"]) == number:
                    for row in rows(record):
                        write({column: row.get(column) for column in columns})

    def _records(self) -> Iterator[dict[str, Any]]:
        """The whole records, oldest first."""
        return (line.record for line in _read_lines(self.path) if line.number > 1 and line.record is not None)

    def _recover(self, settings: Mapping[str, Any]) -> None:
        """Compare the settings, learn what is done, and leave nothing but whole lines, each with its hash."""
        head: dict[str, Any] | None = None
        damaged: list[int] = []
        lines = own = 0
        whole = True
        for line in _read_lines(self.path):
            lines += 1
            whole = whole and line.record is not None and line.sealed
            if line.record is None:
                damaged.append(line.number)
            elif line.number == 1:
                head = line.record
            else:
                own += line.record.get("run") == self._run
                self._learn(line.record)
        if not own:  # where photographs say that their settings were these, the first line need not
            self._compare(head, settings)
            whole = whole and head == json.loads(_head(settings))  # a model's name may be another one since
        elif head != json.loads(_head(settings)):
            whole = False
            damaged = sorted({1, *damaged})
        if damaged:
            print(
                f"warning: {self.path}: {len(damaged)} of {lines} lines are damaged, the first is line {damaged[0]}. The rest is kept; "
                "photographs that are lost are done again.",
                file=sys.stderr,
            )
        if not whole or self._is_torn():
            self._rewrite(settings)

    def _learn(self, record: dict[str, Any]) -> None:
        """The last of several records of a photograph counts."""
        name, file = record["photo"], FileState.from_json(record.get("file"))
        self.done.pop(name, None)
        self.files.pop(name, None)
        if record["status"] == CLASSIFIED:
            self.done[name] = record["bytes"]
            if file is not None:
                self.files[name] = file

    def _rewrite(self, settings: Mapping[str, Any]) -> None:
        """Replace the file by one of its whole lines; atomically, so that a kill loses none."""
        with atomic_path(self.path) as temporary, temporary.open("wb") as stream:
            stream.write(_head(settings))
            for record in self._records():
                stream.write(seal_line({**record, "run": self._run}, ascii=False))

    def _is_torn(self) -> bool:
        with self.path.open("rb") as stream:
            stream.seek(-1, os.SEEK_END)
            return stream.read(1) != b"\n"

    def _compare(self, head: Mapping[str, Any] | None, settings: Mapping[str, Any]) -> None:
        if head is None:
            raise CrackError(
                f"{self.path}, line 1 is damaged, and no other tells the run's settings. Choose another --out."
            )
        if head.get("format") != FORMAT:
            raise CrackError(f"{self.path} was not written by this version of crack-tf predict. Choose another --out.")
        refuse_changed(self.folder, head, {"format": FORMAT, **settings})

    def _clear(self) -> None:
        """Remove an earlier run's files, its overlays by the names it recorded."""
        names = [str(record.get("overlay")) for record in self._records()] if self.path.is_file() else []
        inside = [name for name in names if name.startswith(f"{OVERLAYS}/") and ".." not in Path(name).parts]
        pictures = [path for name in inside if (path := self.folder / name).is_file() and not path.is_symlink()]
        remove_files(self.folder, pictures)
        clear_folder(self.folder, OUTPUT)


def is_barely(record: Mapping[str, Any]) -> bool:
    """Whether a photograph is called cracked, and its highest tile is hardly above the threshold."""
    return record.get("decision") == "crack" and record["logit"] - record["threshold"]["logit"] < math.log(BARELY)


def _head(settings: Mapping[str, Any]) -> bytes:
    line = json.dumps({"format": FORMAT, **settings}, separators=(",", ":"), allow_nan=False, ensure_ascii=False)
    return line.encode("utf-8", "backslashreplace") + b"\n"


def _photo_rows(record: dict[str, Any]) -> Iterator[dict[str, Any]]:
    tiles = record.get("tiles")
    # What could not be read, and what versions without a threshold in their records wrote, is neither barely cracked nor surely.
    barely = is_barely(record) if record.get("threshold") else None
    yield {**record, **_threshold(record), "tiles": None if tiles is None else len(tiles), "barely": barely}


def _tile_rows(record: dict[str, Any]) -> Iterator[dict[str, Any]]:
    common = {
        "photo": record["photo"],
        "status": record["status"],
        "model_sha256": record["model_sha256"],
        **_threshold(record),
    }
    reason = record.get("reason")
    if record["status"] == UNREADABLE:
        yield {**common, "reason": reason}
        return
    for tile in record["tiles"]:
        # Why a photograph is not called cracked is about the tiles that are.
        yield {**common, **tile, "reason": reason if tile.get("decision") == "crack" else None}


def _threshold(record: Mapping[str, Any]) -> dict[str, Any]:
    threshold = record.get("threshold") or {}
    return {"threshold": threshold.get("probability"), "threshold_logit": threshold.get("logit")}
