"""Audit of a data set: one pass over the files, then the search for copies.

Nothing is judged here: files that cannot be used are listed with their reason, copies with their kind, and the split decides.
"""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from crack_tf.common.progress import bar
from crack_tf.data.duplicates import CORRELATION, DETAIL, FLAT, KINDS, THUMBNAIL, Copy, find_copies, groups
from crack_tf.data.folders import Reader, Source, passed_over, troubles
from crack_tf.data.pairs import PairSource, pair_counts, settle_orientations
from crack_tf.data.records import Record
from tflite.errors import CrackError
from tflite.manifest import LABELS


@dataclass(frozen=True)
class Audit:
    """Result of `audit`.

    Attributes:
        source: what was audited.
        records: every file (of pairs every photograph, as a `PairRecord`), sorted by path, unusable ones included.
        copies: pairs of positions in `readable`.
        seconds: wall-clock time by step, "read" and "compare".
        passed_over: number of files in the folder that are no part of the set, by kind (`crack_tf.data.folders.passed_over`).
        troubles: path and reason of what in the folder cannot be looked at, and may hold pictures.
    """

    source: Source
    records: tuple[Record, ...]
    copies: tuple[Copy, ...]
    seconds: dict[str, float]
    passed_over: Mapping[str, int] = field(default_factory=dict)
    troubles: Sequence[tuple[str, str]] = ()

    @property
    def readable(self) -> list[Record]:
        """The records without an error, in order; positions in `copies` count these."""
        return [record for record in self.records if not record.error]

    @property
    def unreadable(self) -> list[Record]:
        """The records with an error."""
        return [record for record in self.records if record.error]

    def copy_groups(self) -> list[int]:
        """For each readable record the position of the first copy of its picture (its own when there is none)."""
        return groups(len(self.readable), ((copy.first, copy.second) for copy in self.copies))


def audit(source: Source, threads: int | None = None, progress: bool = True) -> Audit:
    """Read every file of a data set once and find the copies.

    Args:
        source: data set or folder, see `crack_tf.data.registry.locate`.
        threads: that decode; None for one per core.
        progress: show how far it is, on stderr.

    Raises:
        CrackError: if the folder lacks images of both classes, or none of a class can be read; of pairs, if none can be used.
    """
    readers = source.readers()
    started = time.perf_counter()
    records, thumbnails = _read_all(readers, threads, progress)
    if isinstance(source, PairSource):
        readable = [record.path for record in records if not record.error]
        records = settle_orientations(source, records)
        kept = {record.path for record in records if not record.error}
        if len(kept) < len(readable):
            thumbnails = thumbnails[[path in kept for path in readable]]
    if source.task == "segment" and all(record.error for record in records):
        raise CrackError(f"no pair in {source.folder} can be used (the first one: {records[0].error})")
    for label, name in enumerate(source.classes if source.task == "classify" else ()):
        if not any(record.label == label and not record.error for record in records):
            reason = next(record.error for record in records if record.label == label)
            raise CrackError(f"no {name} image in {source.folder} can be read (the first one: {reason})")
    read = time.perf_counter()
    hashes = [record.sha256 for record in records if not record.error]

    def shown(blocks: Iterable[int]) -> Iterable[int]:
        places = list(blocks)
        return bar(places, "comparing", len(places), "block", shown=progress)

    copies = find_copies(thumbnails, hashes, progress=shown)
    seconds = {"read": round(read - started, 1), "compare": round(time.perf_counter() - read, 1)}
    return Audit(source, tuple(records), tuple(copies), seconds, passed_over(source), tuple(troubles(source)))


def summary(result: Audit) -> dict[str, Any]:
    """The audit in numbers, JSON-ready. Counts per class are in the order no_crack, crack."""
    readable, heads = result.readable, result.copy_groups()
    sizes = Counter(heads)
    per_class: dict[str, dict[str, Any]] = {}
    for label, name in enumerate(LABELS):
        rows = [record for record in result.records if record.label == label]
        good = [record for record in rows if not record.error]
        per_class[name] = {
            "files": len(rows),
            "unreadable": len(rows) - len(good),
            "bytes": sum(record.size for record in rows),
            "byte_identical_copies": len(good) - len({record.sha256 for record in good}),
            "distinct_pictures": len(
                {head for head, record in zip(heads, readable, strict=True) if record.label == label}
            ),
            "brightness_mean": _rounded(np.mean, [record.brightness for record in good]),
            "brightness_std": _rounded(np.std, [record.brightness for record in good]),
        }
    head: dict[str, Any] = {"dataset": result.source.name}
    if result.source.task == "segment":
        head |= {"task": "segment", "masks": asdict(pair_counts(result.records))}
    return head | {
        "licence": result.source.licence,
        "files": len(result.records),
        "unreadable": len(result.unreadable),
        "passed_over": dict(result.passed_over),
        "troubles": [f"{path} {reason}" for path, reason in result.troubles],
        "classes": per_class,
        "distinct_pictures": len(sizes),
        "files_with_a_copy": sum(size for size in sizes.values() if size > 1),
        "largest_copy_group": max(sizes.values()),
        "copies": copy_counts(result),
        "image_sizes": _counts(f"{record.width}x{record.height}" for record in readable),
        "formats": _counts(f"{record.format} {record.mode}" for record in readable),
        "method": {
            "thumbnail_correlation_above": CORRELATION,
            "detail_correlation_above": DETAIL,
            "flat_below_grey_levels": FLAT,
        },
        "seconds": result.seconds,
    }


def copy_counts(result: Audit) -> list[dict[str, Any]]:
    """Pairs of copies by kind and transform: within no_crack, within crack, and across classes."""
    readable = result.readable
    counts: Counter[tuple[str, str, str]] = Counter()
    for copy in result.copies:
        one, other = readable[copy.first].label, readable[copy.second].label
        where = LABELS[one] if one == other else "across"
        counts[copy.kind, copy.transform, where] += 1
    kinds = sorted({key[:2] for key in counts}, key=lambda key: (KINDS.index(key[0]), key[1]))
    return [
        {"kind": kind, "transform": transform}
        | {where: counts[kind, transform, where] for where in (*LABELS, "across")}
        for kind, transform in kinds
    ]


def copy_rows(result: Audit) -> list[dict[str, Any]]:
    """One row per pair of copies, with the files' paths."""
    readable = result.readable
    rows = []
    for copy in result.copies:
        row = asdict(copy) | {"first": readable[copy.first].path, "second": readable[copy.second].path}
        row["correlation"], row["detail"] = f"{copy.correlation:.4f}", f"{copy.detail:.4f}"
        row["across_classes"] = int(readable[copy.first].label != readable[copy.second].label)
        rows.append(row)
    return rows


def _counts(values: Iterable[str]) -> dict[str, int]:
    return dict(Counter(values).most_common())


def _rounded(statistic: Callable[[list[float]], Any], values: list[float]) -> float | None:
    """Nothing is told of a class without files (crack-free photographs, say)."""
    return round(float(statistic(values)), 1) if values else None


def _read_all(readers: Sequence[Reader], threads: int | None, progress: bool) -> tuple[list[Record], np.ndarray]:
    records: list[Record] = []
    thumbnails = np.empty((len(readers), THUMBNAIL, THUMBNAIL), np.uint8)
    count = 0
    # Threads are enough: Pillow and hashlib work without the interpreter lock.
    pool = ThreadPoolExecutor(threads or os.cpu_count() or 1)
    try:
        results = pool.map(lambda read: read(), readers)
        for record, thumbnail in bar(results, "reading", len(readers), "file", shown=progress):
            records.append(record)
            if thumbnail is not None:
                thumbnails[count] = thumbnail
                count += 1
    finally:
        # After Ctrl-C the files still queued must not be read to the end.
        pool.shutdown(wait=True, cancel_futures=True)
    return records, thumbnails[:count]
