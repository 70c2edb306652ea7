"""An audit, a split and a conversion as lines for the person who asked. What they should know besides is in `crack_tf.data.notes`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from crack_tf.data.audit import Audit
from crack_tf.data.audit_files import summary_rows
from crack_tf.data.convert import Conversion
from crack_tf.data.notes import audit_notes
from crack_tf.data.pairs import PairRecord, pair_counts
from crack_tf.data.registry import DATASETS
from tflite.manifest import LABELS, SPLITS, Manifest
from tflite.words import a_few, counted, on_one_line

_SHOWN = 10  # of a list that may be long


def dataset_lines() -> list[str]:
    """The data sets by name, and where they are on this machine."""
    lines = []
    for entry in DATASETS.values():
        local = entry.local_copy()
        place = f"by hand: {entry.page or 'no page is known'}" if entry.kaggle is None else f"Kaggle: {entry.kaggle}"
        if local or entry.generated:
            place = f"here: {local}" if local else "made on first use"
        lines += [f"{entry.name:<16}{entry.summary}", f"{'':<16}licence {entry.licence}; {place}"]
        lines.append(f"{'':<16}cite: {entry.citation}")
        lines += [f"{'':<16}for tests: not to be trained on"] if entry.left_out else []
    lines.append(f"{'FOLDER':<16}any folder with one sub-folder per class, such as crack and no_crack,")
    return [*lines, f"{'':<16}or with images and masks of the same names"]


def audit_lines(result: Audit) -> list[str]:
    """What an audit found. Lines to act on start with "warning"."""
    lines = [
        f"{result.source.name} in {result.source.folder}",
        f"{'':<24}{LABELS[0]:>12}{LABELS[1]:>12}{'across':>12}{'total':>12}",
    ]
    for row in summary_rows(result):
        values = (row.get(name) for name in (*LABELS, "across", "total"))
        cells = "".join(f"{'' if value is None else value:>12}" for value in values)
        lines.append(f"{row['quantity'].replace('_', ' '):<24}{cells}")
    if result.source.task == "segment":
        lines += mask_lines(result)
    lines += [*unreadable_lines(result), *audit_notes(result)]
    return [*lines, f"seconds: read {result.seconds['read']}, compare {result.seconds['compare']}"]


def mask_lines(result: Audit) -> list[str]:
    """What an audit found of masks, and the largest moves of those that fit better elsewhere."""
    numbers = pair_counts(result.records)
    quartiles = ", ".join(f"{share:.2%}" for share in numbers.crack_share_quartiles)
    lines = [
        f"{counted(numbers.pairs, 'pair')}, {numbers.crack_free} of them crack-free",
        f"crack pixels: {numbers.crack_pixels_share or 0:.2%} of all; quartiles of the cracked photographs: {quartiles}",
        f"cracks no darker than their surroundings: {numbers.not_darker_than_surroundings}; "
        f"not clearly darker: {numbers.not_on_a_dark_line}",
        *(f"problem: {count} {problem}" for problem, count in numbers.problems.items()),
    ]
    moved = [record for record in result.records if isinstance(record, PairRecord) and record.misaligned]
    lines.append(f"masks that fit much better when moved: {len(moved)}{', the largest moves:' if moved else ''}")
    moved.sort(key=lambda record: -max(abs(record.shift_x), abs(record.shift_y)))
    for record in moved[:_SHOWN]:
        move = f"{record.shift_x:+d} right, {record.shift_y:+d} down"
        contrast = f"contrast {record.contrast:.0f} -> {record.shifted_contrast:.0f} grey levels"
        lines.append(f"  {record.mask}: {move} ({contrast})")
    return lines


def unreadable_lines(result: Audit) -> list[str]:
    """The files that cannot be used, or the first of them; none where all can."""
    count = len(result.unreadable)
    if not count:
        return []
    pairs = result.source.task == "segment"
    lines = [
        f"{counted(count, 'pair')} with a problem:" if pairs else f"{count} unreadable files, left out of every split:"
    ]
    lines += [f"  {record.path}: {record.error}" for record in result.unreadable[:_SHOWN]]
    return [*lines, f"  and {count - _SHOWN} more"] if count > _SHOWN else lines


def split_lines(manifest: Manifest, leaks: Mapping[str, int]) -> list[str]:
    """A manifest's classes by split.

    Args:
        manifest: of tiles or pairs.
        leaks: by split, files that are copies of a training picture; empty where that was not looked at.
    """
    groups = len({item.group for item in manifest.items})
    lines = [
        f"{manifest.name}, seed {manifest.seed}: {counted(len(manifest.items), 'file')} in {counted(groups, 'group')}, "
        f"sha256 {manifest.sha256[:12]}",
        f"{'':<8}{LABELS[0]:>10}{LABELS[1]:>10}{'of them copies of a train picture':>36}",
    ]
    for name in SPLITS:
        counts = [sum(item.split == name and item.label == label for item in manifest.items) for label in range(2)]
        lines.append(f"{name:<8}{counts[0]:>10}{counts[1]:>10}{leaks.get(name, ''):>36}")
    return lines


def conversion_lines(result: Conversion) -> list[str]:
    """What was converted, and from which classes."""
    lines = [
        f"{result.kind}: {counted(result.photographs, 'photograph')} converted, {result.crack_free} of them without a crack"
    ]
    for what, classes in (("taken as crack", result.crack_classes), ("taken as background", result.other_classes)):
        if classes:
            lines.append(f"{what}: {', '.join(f'{name!r} ({count})' for name, count in sorted(classes.items()))}")
    if result.lines:
        width = f"{result.line_width:g} pixels wide, as you said"
        what = counted(result.lines, "crack that was marked as a line is", "cracks that were marked as lines are")
        lines.append(f"{what} drawn {width}")
    if count := result.not_annotated:
        names = a_few([on_one_line(name) for name in result.not_annotated_photos])
        what = counted(count, "photograph has no annotation and is", "photographs have no annotation and are")
        lines.append(f"{what} left out, since nobody said whether there is a crack: {names}")
    return lines


def left_lines(result: Conversion, out: Path) -> list[str]:
    """The annotations that were not converted, or the first of them; none where all were."""
    if not result.left:
        return []
    lines = [f"warning: {len(result.left)} not converted:"]
    lines += [f"  {row.photo} ({row.annotation}): {row.reason}" for row in result.left[:_SHOWN]]
    more = len(result.left) - _SHOWN
    return [*lines, f"  and {more} more, see {out / 'conversion.json'}"] if more > 0 else lines
