"""What a user should know of an audit and of a split besides its numbers, in sentences. Those to act on start with "warning"."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

from crack_tf.data.audit import Audit
from crack_tf.data.folders import folder_split
from crack_tf.data.pairs import mask_notes
from tflite.manifest import LABELS, SPLITS, Manifest
from tflite.words import counted


def audit_notes(result: Audit) -> list[str]:
    """About masks that were not read in the plain way, pictures in both classes, what cannot be looked at, and files passed over."""
    return [
        *mask_notes(result.records),
        *contradiction_notes(result),
        *trouble_notes(result),
        *passed_over_notes(result.passed_over),
    ]


def contradiction_notes(result: Audit, shown: int = 10) -> list[str]:
    """One sentence for each picture that lies in both classes, up to `shown` of them: one of the labels is wrong, but in a set of twins."""
    if result.source.twins:
        return []
    readable = result.readable
    notes = []
    for copy in result.copies:
        one, other = readable[copy.first], readable[copy.second]
        if one.label != other.label:
            what = "the same file" if copy.kind == "identical" else f"the same picture ({copy.kind})"
            notes.append(
                f"warning: {one.path} ({LABELS[one.label]}) and {other.path} ({LABELS[other.label]}) are {what}: one label is wrong. "
                "Take one of them away"
            )
    more = len(notes) - shown
    told = counted(more, "more picture lies", "more pictures lie")
    return [*notes[:shown], f"warning: {told} in both classes"] if more > 0 else notes


def trouble_notes(result: Audit, shown: int = 10) -> list[str]:
    """One sentence for each link or folder that cannot be looked at, up to `shown` of them."""
    notes = [f"warning: {path} {reason}" for path, reason in result.troubles[:shown]]
    more = len(result.troubles) - shown
    return [*notes, f"warning: {more} more links and folders cannot be looked at"] if more > 0 else notes


def gap_note(result: Audit) -> str | None:
    """One sentence that counts what is missing from a set: files that cannot be read or used, and places that cannot be looked at."""
    counts = (
        (len(result.unreadable), "file cannot be used", "files cannot be used"),
        (len(result.troubles), "link or folder cannot be looked at", "links or folders cannot be looked at"),
    )
    told = [counted(count, *what) for count, *what in counts if count]
    alone = len(result.unreadable) + len(result.troubles) == 1
    return f"{' and '.join(told)}, and {'is' if alone else 'are'} no part of this" if told else None


def unreadable_notes(result: Audit, shown: int = 10) -> list[str]:
    """One sentence for each file that cannot be used, up to `shown` of them."""
    notes = [
        f"warning: left out: {'' if record.path in record.error else f'{record.path} '}{record.error}"
        for record in result.unreadable[:shown]
    ]
    more = len(result.unreadable) - shown
    return [*notes, f"warning: {counted(more, 'more file')} cannot be used"] if more > 0 else notes


def passed_over_notes(counts: Mapping[str, int]) -> list[str]:
    """One sentence that counts files by their kind (`crack_tf.data.folders.passed_over`); none for none."""
    if not counts:
        return []
    named = ", ".join(f"{count} {kind}" for kind, count in counts.items())
    return [f"passed over, no part of the data set: {named}"]


def split_notes(result: Audit, manifest: Manifest) -> list[str]:
    """Sentences about a split that the folders have or had; none where they have none.

    Args:
        result: that was split.
        manifest: of the split.
    """
    given = {record.path: folder_split(record.path) for record in result.readable}
    named = sorted({name for name in given.values() if name}, key=SPLITS.index)
    if "train" not in named or len(named) == 1:
        return []
    folders = ", ".join(named)
    if manifest.policy != "folders":
        outside = sum(name is None for name in given.values())
        moved = sum(given[item.path] not in (None, item.split) for item in manifest.items)
        if outside:
            return [
                f"warning: {len(given) - outside} of {len(given)} files lie in folders of a split ({folders}), the others do not: "
                f"the split is drawn anew"
            ]
        return [
            f"the folders have a split of their own ({folders}), which is not kept: --policy {manifest.policy} draws anew, "
            f"and {moved} of {len(given)} files change sides"
        ]
    notes = [f"the split is the folders' own ({folders}); --policy grouped draws anew"]
    notes += [f"no folder for {name}: it is drawn from train, in whole groups" for name in SPLITS if name not in named]
    pictures: dict[int, set[str]] = defaultdict(set)
    splits = {item.path: item.split for item in manifest.items}
    heads = result.copy_groups()
    for record, head in zip(result.readable, heads, strict=True):
        pictures[head].add(splits[record.path])
    sides: dict[str, set[str]] = defaultdict(set)
    for item in manifest.items:
        sides[item.group].add(item.split)
    shared = sum(len(side) > 1 for side in pictures.values())
    related = sum(len(side) > 1 for side in sides.values())
    if related:
        notes.append(
            f"warning: {related} groups lie in more than one split, {shared} of them copies of one picture: test results are flattered. "
            "--policy grouped draws anew and keeps groups together"
        )
    return notes
