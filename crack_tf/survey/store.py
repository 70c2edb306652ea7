"""The survey's folder: its settings, one record per photograph, and the pictures.

    settings.json            what decides the results; another run in this folder must have the same
    ranges.json              distances that were measured between photographs, see `crack_tf.survey.geometry.position_ranges`
    records/KEY.json         one photograph: what was found on it, or why it could not be read
    records/KEY.npy          points by which the photograph is known again on others, see `crack_tf.survey.merge`
    pictures/ID.jpg          a finding; overlays/ID.jpg the same with its outline
    profiles/ID.csv          the widths along its crack
    since/ID.jpg             the place on an earlier survey's photograph
    review.json              what an engineer decided, see `crack_tf.survey.reviews.review`
    measured.json            what was measured since it was accepted, see `crack_tf.survey.accepted`

A record is written after the pictures it names, whole or not at all. So whatever stops a survey, at most the photographs in
progress are searched again, and none counts as done that lacks a finding.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, TypedDict

import numpy as np

from crack_tf.common.arrays import write_npy
from crack_tf.survey.certificates.certificate import FILES as CERTIFICATE
from crack_tf.survey.findings import FILE_NAME, FORMAT, Finding, Gap, Moment, PhotoName, PhotoRecord
from crack_tf.survey.photo_list import FILE_NAME as PHOTOS_CSV
from crack_tf.survey.reviews.review import FILE_NAME as REVIEW
from tflite.checked import Between, CheckError, OneOf, checked
from tflite.errors import CrackError
from tflite.files import read_json, sha256_bytes, write_bytes, write_json
from tflite.locks import FolderLock
from tflite.outputs import Inputs, Output, check_folder, clear_folder, json_with, remove_leftovers
from tflite.sameness import FileState, changed

SETTINGS, RECORDS, PICTURES, OVERLAYS, PROFILES = "settings.json", "records", "pictures", "overlays", "profiles"
SINCE = "since"  # photographs of cracks, the earlier ones and, of what is gone, the later, see `crack_tf.survey.comparison.since`
SINCE_FILES = ("since.json", "since.csv")
PERFORMANCE = "performance.json"
MEASURED = "measured.json"
RANGES = "ranges.json"  # where `crack_tf.survey.geometry.position_ranges` was asked
RESULTS = (
    *CERTIFICATE,
    *SINCE_FILES,
    FILE_NAME,
    "findings.csv",
    PHOTOS_CSV,
    "findings.geojson",
    "coverage.geojson",
    "report.html",
    REVIEW,
    MEASURED,
    PERFORMANCE,
)
_POINTS = ".npy"
_KEY, _ID = "[0-9a-f]" * 16, "[0-9a-f]" * 12
OUTPUT = Output(
    "crack-tf survey",
    json_with(SETTINGS, format=FORMAT),
    (
        *(SETTINGS, RANGES, *RESULTS, "comparison.json", f"{RECORDS}/{_KEY}.json", f"{RECORDS}/{_KEY}{_POINTS}"),
        *(f"{PICTURES}/{_ID}.jpg", f"{OVERLAYS}/{_ID}.jpg", f"{PROFILES}/{_ID}.csv"),
        *(f"{SINCE}/{_ID}.jpg", f"{SINCE}/{_ID}-now.jpg"),
    ),
    first=SETTINGS,
)


@dataclass(frozen=True)
class _Record:
    """One photograph's record, as it is read: of `photo` and `gap` one is there."""

    format: Annotated[str, OneOf((FORMAT,))]
    name: PhotoName
    bytes: int
    photo: PhotoRecord | None
    findings: tuple[Finding, ...]
    gap: Gap | None
    file: FileState | None = None


def read_records(folder: Path) -> Iterator[tuple[PhotoRecord | None, list[Finding], Gap | None]]:
    """What was recorded of each photograph of a survey, in order of their names, one in memory at a time: the findings of single
    photographs, before those of several were merged. Damaged records are passed over.
    """
    paths = sorted((record.name, path) for path in _paths(folder) if (record := _record(folder, path)) is not None)
    for _, path in paths:
        record = _record(folder, path)
        if record is not None:
            yield record.photo, list(record.findings), record.gap


def read_points(folder: Path, name: str) -> np.ndarray | None:
    """The points of a photograph, uint8 (n, 136); None if there are none."""
    try:
        return np.asarray(np.load(_record_path(folder, name).with_suffix(_POINTS), allow_pickle=False))
    except (OSError, ValueError):
        return None


class _Settings(TypedDict):
    created: Moment
    settings: dict[str, Any]


class Store:
    """A survey's folder, opened to add to it; used as a context. Records may be added by several threads.

    Args:
        folder: created when missing. A survey in it is continued.
        settings: JSON values.
        overwrite: start again; nothing but a survey's own files is removed.
        inputs: what the survey reads, which must not lie in the folder then.

    Attributes:
        created: when the survey was started, ISO 8601 in UTC with "Z".
        resumed: whether there was one to continue.

    Raises:
        CrackError: if the folder holds something else, the survey in it has other settings, or another process works in it.
    """

    def __init__(
        self, folder: Path, settings: Mapping[str, Any], *, overwrite: bool = False, inputs: Inputs = ()
    ) -> None:
        self.folder = folder
        with ExitStack() as stack:
            self._lock = stack.enter_context(FolderLock(folder))
            if overwrite or not (folder / SETTINGS).is_file():
                hint = "It holds no survey, so it is left alone. Choose another --out."
                check_folder(folder, OUTPUT, overwrite, inputs=inputs, hint=hint)
            # JSON turns tuples into lists: compared is what a file can hold.
            self._start(json.loads(json.dumps(settings)), overwrite)
            self._open = stack.pop_all()

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def is_done(self, name: str, size: int) -> bool:
        """Whether a photograph was searched. What could not be read is tried again.

        Args:
            name: of the photograph.
            size: of its file in bytes; a file of another size is another photograph. Negative where the file is gone: what was
                found on it stays.
        """
        record = self._record(self._path(name))
        return record is not None and record.gap is None and (size < 0 or record.bytes == size)

    def file_of(self, name: str) -> FileState | None:
        """What a photograph's file was like when it was searched; None where nothing is recorded."""
        record = self._record(self._path(name))
        if record is None or record.photo is None:
            return None
        return record.file or FileState(record.bytes, record.photo.sha256)

    def check(self) -> None:
        """Make sure that what was recorded is still there.

        Raises:
            CrackError: if the folder was removed, emptied, renamed or replaced.
        """
        self._lock.check(SETTINGS)

    @property
    def search_seconds(self) -> float:
        """How long earlier calls searched, as far as they came to their end."""
        with contextlib.suppress(CrackError, CheckError):
            earlier = read_json(self.folder / PERFORMANCE) if (self.folder / PERFORMANCE).is_file() else {}
            seconds = earlier.get("search_seconds", earlier.get("seconds", 0.0))
            return float(checked(Annotated[float, Between(0, 1e9)], seconds))
        return 0.0

    def add_photo(
        self,
        size: int,
        photo: PhotoRecord,
        findings: list[Finding],
        points: np.ndarray | None,
        file: FileState | None = None,
    ) -> None:
        """Record a photograph whose pictures are written.

        Args:
            size: of its file, in bytes.
            photo: what is known about it.
            findings: on it.
            points: uint8 (n, 136), or None where there is nothing to find again.
            file: what it was read from, where that is no file of its own.

        Raises:
            CrackError: see `check`.
        """
        self.check()
        path = self._path(photo.name)
        if points is None:  # those of a file that was replaced
            path.with_suffix(_POINTS).unlink(missing_ok=True)
        else:
            write_npy(path.with_suffix(_POINTS), points)
        record: dict[str, Any] = {
            "bytes": size,
            "photo": vars(photo),
            "findings": [finding.as_json() for finding in findings],
        }
        if file is not None:
            record["file"] = file.as_json()
        write_json(path, {"format": FORMAT, "name": photo.name, **record, "gap": None})

    def add_gap(self, size: int, gap: Gap) -> None:
        """Record a photograph that could not be read. An earlier record of the same name is replaced.

        Raises:
            CrackError: see `check`.
        """
        self.check()
        record: dict[str, Any] = {"bytes": size, "photo": None, "findings": [], "gap": vars(gap)}
        write_json(self._path(gap.photo), {"format": FORMAT, "name": gap.photo, **record})

    def add_picture(self, name: str, jpeg: bytes) -> None:
        """Write a finding's picture, or its profile, under the name that the finding states.

        Raises:
            CrackError: see `check`.
        """
        self.check()
        write_bytes(self.folder / name, jpeg)

    def points(self, name: str) -> np.ndarray | None:
        """The points of a photograph, uint8 (n, 136); None if there are none."""
        return read_points(self.folder, name)

    def records(self) -> Iterator[tuple[PhotoRecord | None, list[Finding], Gap | None]]:
        """All records in order of their photographs' names, one in memory at a time."""
        return read_records(self.folder)

    def _start(self, settings: dict[str, Any], overwrite: bool) -> None:
        path = self.folder / SETTINGS
        remove_leftovers(self.folder, OUTPUT)
        for name in (RECORDS, PICTURES, OVERLAYS, PROFILES):  # what else is half-written there is of an older version
            for left in (self.folder / name).glob(".*.partial*"):
                left.unlink(missing_ok=True)
        self.resumed = path.is_file() and not overwrite
        if not self.resumed:
            clear_folder(self.folder, OUTPUT)
            self.created = _now()
            write_json(path, {"format": FORMAT, "created": self.created, "settings": settings})
            return
        found = read_json(path)
        if found.get("format") != FORMAT:
            raise CrackError(
                f"{path} was not written by this version of crack-tf survey. Add --overwrite, or choose another --out."
            )
        try:
            earlier = checked(_Settings, found)
        except CheckError as error:
            raise CrackError(f"{path} is damaged: {error}. Add --overwrite, or choose another --out.") from None
        others = [_difference(*change) for change in changed(earlier["settings"], settings)]
        if others:
            raise CrackError(
                f"--out {self.folder} belongs to a survey with other settings ({'; '.join(others)}). Results of the two would not "
                "compare. Use the same settings to go on with it, --overwrite to start again, or another --out."
            )
        self.created = earlier["created"]

    def _path(self, name: str) -> Path:
        return _record_path(self.folder, name)

    def _record(self, path: Path) -> _Record | None:
        return _record(self.folder, path)


def _difference(name: str, before: Any, now: Any) -> str:
    """In what two surveys' settings differ, for people; the models by name, and by hash or threshold where that is the same."""
    if name == "models" and isinstance(before, Mapping) and isinstance(now, Mapping):
        roles = [(role, before.get(role), now.get(role)) for role in sorted({*before, *now})]
        return "; ".join(
            f"the {role} was {old}, now {new}"
            for role, *models in roles
            if models[0] != models[1]
            for old, new in [_apart(*models)]
        )
    return f"{name if name.isprintable() else repr(name)} was {before!r}, now {now!r}"


def _apart(*models: Any) -> list[str]:
    """Two models' names, with what else tells them apart where these are the same."""
    records = [model if isinstance(model, Mapping) else {"name": "none"} for model in models]
    names = [str(record.get("name")) for record in records]
    if names[0] != names[1]:
        return names
    key = next(
        (key for key in ("sha256", "threshold", "reading") if len({str(one.get(key)) for one in records}) > 1), "sha256"
    )
    return [f"{name} ({key} {str(record.get(key))[:8]})" for name, record in zip(names, records, strict=True)]


def _record_path(folder: Path, name: str) -> Path:
    return folder / RECORDS / f"{sha256_bytes(name.encode())[:16]}.json"


def _paths(folder: Path) -> list[Path]:
    return sorted((folder / RECORDS).glob("*.json"))


def _record(folder: Path, path: Path) -> _Record | None:
    """A whole record, or None: one that is missing or damaged, or no survey wrote, is made again."""
    with contextlib.suppress(CrackError, CheckError):
        record: _Record = checked(_Record, read_json(path) if path.is_file() else {})
        if path == _record_path(folder, record.name):
            return record
    return None


def _now() -> str:
    """Now in UTC, or the moment that SOURCE_DATE_EPOCH states (reproducible-builds.org/specs/source-date-epoch)."""
    fixed = os.environ.get("SOURCE_DATE_EPOCH", "")
    moment = datetime.fromtimestamp(int(fixed), UTC) if fixed.isdecimal() else datetime.now(UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
