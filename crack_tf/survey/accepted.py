"""Findings that a person accepted though the survey did not confirm them: measured, since the survey measures confirmed ones only.

A survey that has a review and its photographs searches those with such findings again and measures whatever is drawn of them.
`measured.json` in its folder keeps that, so each is measured once. A finding's verdict stays what the networks say.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from crack_tf.survey.condition import table_of, with_conditions
from crack_tf.survey.findings import FORMAT, Finding, FindingId, PhotoRecord, Sha256, Survey
from crack_tf.survey.geometry.curved import holding_both, radii_of
from crack_tf.survey.geometry.rounds import on_cylinders
from crack_tf.survey.geometry.views import faces_of
from crack_tf.survey.patterning import with_patterns
from crack_tf.survey.reviews.review import Review, is_unmeasured
from crack_tf.survey.searching.search import Searched
from crack_tf.survey.severity import in_order, severity_of
from crack_tf.survey.source import Item, Source
from crack_tf.survey.store import MEASURED, Store
from tflite.checked import CheckError, checked
from tflite.errors import CrackError
from tflite.files import read_json, write_json
from tflite.words import a_few, counted

TOO_LITTLE = "too little is drawn here to be measured"
SINCE_ACCEPTED = "measured since a person accepted it"


@dataclass(frozen=True)
class Measured:
    """An accepted finding, measured on its photograph.

    Attributes:
        sha256: of the photograph.
        finding: as it was searched there, with whatever is drawn of it measured; without a length where that is too little.
    """

    sha256: Sha256
    finding: Finding


def read_measured(folder: Path) -> dict[FindingId, Measured]:
    """What a survey's folder keeps of them, by id; nothing where it is damaged, since they are measured again."""
    with suppress(CrackError, CheckError, KeyError, TypeError):
        value = read_json(folder / MEASURED) if (folder / MEASURED).is_file() else {"format": FORMAT, "findings": []}
        if value["format"] == FORMAT:
            return {one.finding.id: one for one in (checked(Measured, entry) for entry in value["findings"])}
    return {}


def measure_accepted(
    store: Store,
    source: Source,
    search: Callable[[Item], Searched],
    survey: Survey,
    review: Review,
    tell: Callable[[str], None],
) -> dict[FindingId, Measured]:
    """Measure the accepted findings that have no length and were not measured before.

    Args:
        store: of the survey, which keeps them.
        source: of the photographs.
        search: gives a photograph's findings, all of them measured.
        survey: as it was put together.
        review: of it.
        tell: takes progress lines.

    Returns:
        All that are measured. What cannot be read any more is not among them.
    """
    hashes = {photo.name: photo.sha256 for photo in survey.photos}
    kept = {name: one for name, one in read_measured(store.folder).items() if one.sha256 in hashes.values()}
    todo = [one for one in survey.findings if is_unmeasured(one, review) and one.id not in kept]
    wanted = {finding.id for finding in todo}
    names = {finding.photo for finding in todo}
    if not names:
        return kept
    tell(f"measuring {counted(len(wanted), 'accepted finding')} on {counted(len(names), 'photograph')}")
    for item in source.items(lambda name, size: name in names):
        searched = search(item)
        if searched.photo is None or searched.photo.sha256 != hashes[item.name]:
            continue
        for finding in searched.findings:
            if finding.id not in wanted:
                continue
            if finding.profile is not None:
                store.add_picture(finding.profile, searched.pictures[finding.profile])
            kept[finding.id] = Measured(searched.photo.sha256, finding)
    store.check()
    entries = [{"sha256": one.sha256, "finding": one.finding.as_json()} for one in kept.values()]
    write_json(store.folder / MEASURED, {"format": FORMAT, "findings": entries})
    without = [name for name in sorted(wanted & set(kept)) if kept[name].finding.length_px is None]
    if without:
        tell(f"{counted(len(without), 'accepted finding')} ({a_few(without)}): {TOO_LITTLE}")
    return kept


def with_measures(
    survey: Survey,
    review: Review,
    measured: Mapping[FindingId, Measured],
    records: Iterable[tuple[PhotoRecord | None, Sequence[Finding], object]],
    position_error_m: float,
) -> Survey:
    """A survey with its accepted findings measured.

    Args:
        survey: as it was put together.
        review: of it.
        measured: see `measure_accepted`.
        records: what was found on each photograph, before findings of several were merged.
        position_error_m: of a photograph's position.
    """
    wanted = {one.id: one for one in survey.findings if is_unmeasured(one, review) and one.id in measured}
    if not wanted:
        return survey
    faces, table = faces_of(survey.settings), table_of(survey.settings)
    radii = radii_of(survey.photos, faces, position_error_m)
    told: dict[FindingId, Finding] = {}
    for photo, found, _ in records:
        here = {one.id for one in found} & set(wanted)
        if photo is None or not here:
            continue
        drawn = with_patterns(photo, [measured[one.id].finding if one.id in here else one for one in found])
        drawn = on_cylinders(survey.photos, [one for one in drawn if one.id in here], faces, position_error_m)
        for finding in holding_both(survey.photos, drawn, radii):
            before = wanted[finding.id]
            why = TOO_LITTLE if finding.length_px is None else SINCE_ACCEPTED
            one = replace(
                finding,
                seen_on=before.seen_on,
                merged=before.merged,
                probability=before.probability,
                note="; ".join(text for text in (finding.note, why) if text),
            )
            one = replace(one, severity=severity_of(one))
            told[one.id] = one if table is None else with_conditions(table, [one])[0]
    return replace(survey, findings=tuple(in_order(told.get(one.id, one) for one in survey.findings)))
