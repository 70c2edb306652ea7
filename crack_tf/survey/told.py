"""Last words of a survey in the terminal: what was found, what is not known, how fast it went, and what it is worth."""

from __future__ import annotations

from crack_tf.photo.gsd import TOO_COARSE
from crack_tf.photo.limits import tell as tell_limit
from crack_tf.survey.certificates.certificate import TABLE as CERTIFICATE
from crack_tf.survey.comparison.since import MEANS_ONLY
from crack_tf.survey.condition import count_states, describe_doubts, table_of
from crack_tf.survey.findings import MEANINGS, VALIDATIONS, limits_of, research_of
from crack_tf.survey.geometry.scales import describe_scales, describe_tiles
from crack_tf.survey.ledger import UNKNOWN
from crack_tf.survey.reviews.review import cracks_of, describe_decisions, not_rejected
from crack_tf.survey.severity import CAUTION
from crack_tf.survey.store import SINCE_FILES
from crack_tf.survey.surveying import SurveyResult
from tflite.words import counted, on_one_line, rate

_LISTED_GAPS, _LISTED_HOLES = 10, 3


def tell(found: SurveyResult, auto: bool) -> list[str]:
    """Lines about a survey.

    Args:
        found: the survey.
        auto: whether the size of tiles was left to the model and the photographs.
    """
    survey = found.survey
    lines = [_counts(found), *_verdicts(found)]
    if found.review is not None:
        reviewer = f" by {found.review.reviewers}" if found.review.reviewers else ""
        lines.append(
            f"review of {counted(len(survey.findings), 'finding')}{reviewer}: {describe_decisions(survey.findings, found.review)}"
        )
    lines += [on_one_line(f"GAP  {gap.photo}: {gap.reason}, {gap.detail}") for gap in survey.gaps[:_LISTED_GAPS]]
    if len(survey.gaps) > _LISTED_GAPS:
        lines.append(f"GAP  ... and {len(survey.gaps) - _LISTED_GAPS} more, see coverage.geojson")
    scales = describe_scales(survey.photos)
    if scales is not None:
        lines.append(f"scale: {scales}")
    side = survey.settings.get("tile_side")
    if isinstance(side, int):
        tile_mm = survey.settings.get("tile_mm")
        known = tile_mm if isinstance(tile_mm, (int, float)) else None
        lines.append(f"tiles: {describe_tiles(side, survey.photos, known, auto)}")
    if found.coverage is None:
        lines.append(f"coverage: {UNKNOWN}")
    else:
        lines.append(f"coverage: {found.coverage.describe()}")
        lines += [f"fly next: {hole.describe()}" for hole in found.coverage.holes[:_LISTED_HOLES]]
    # Refuted findings have no width, and all of them would be cracks that nobody can tell about.
    cracks = cracks_of(survey.findings, found.review)
    others = len(survey.findings) - len(cracks)
    kind = "unclear or refuted" if found.review is None else "unclear, refuted or rejected"
    # First: it makes limits void.
    coarse = [warning for warning in survey.warnings if TOO_COARSE in warning]
    lines += [f"note: {warning}" for warning in coarse]
    lines += [
        tell_limit(
            limit,
            [finding.judged(limit, accepted=True) for finding in cracks],
            others,
            kind,
            [why for finding in cracks if (why := finding.untold(limit, accepted=True))],
        )
        for limit in limits_of(survey)
    ]
    lines += _conditions(found)
    if found.since is not None:
        lines.append(f"since last time: {found.since.describe()}; {MEANS_ONLY}")
    if found.certificate is not None:
        lines.append(f"certificate: {found.certificate.describe()}")
    research = research_of(survey)
    notes = (
        *(warning for warning in survey.warnings if warning not in coarse),
        *((found.not_carried,) if found.not_carried else ()),
        *((research,) if research else ()),
        *(() if found.since is None else found.since.warnings),
    )
    lines += [f"note: {warning}" for warning in notes]
    if found.speed.megapixels:
        lines.append(_speed(found))
    results = "report.html, findings.csv, photos.csv, findings.geojson, coverage.geojson"
    if found.since is not None:
        results += f", {SINCE_FILES[1]}"
    if found.certificate is not None:
        results += f", {CERTIFICATE}"
    return [*lines, CAUTION, f"results in {found.folder}: {results}"]


def _counts(found: SurveyResult) -> str:
    """As the report's head counts: what was not rejected."""
    survey = found.survey
    standing = not_rejected(survey.findings, found.review)
    counts = {name: sum(finding.validation == name for finding in standing) for name in VALIDATIONS}
    several = sum(len(finding.seen_on) > 1 for finding in standing)
    before = counted(found.done_before, "photograph was", "photographs were")
    return (
        f"{counted(len(survey.photos), 'photograph')} searched: {counted(len(standing), 'finding')} ("
        + ", ".join(f"{count} {name}" for name, count in counts.items())
        + f"), {several} of them seen on several photographs; {counted(len(survey.gaps), 'gap')}"
        + (f"; {before} done before" if found.done_before else "")
    )


def _verdicts(found: SurveyResult) -> list[str]:
    """What the verdicts mean that there are."""
    given = {finding.validation for finding in not_rejected(found.survey.findings, found.review)}
    return ["; ".join(f"{name}: {MEANINGS[name]}" for name in VALIDATIONS if name in given)] if given else []


def _conditions(found: SurveyResult) -> list[str]:
    """How many cracks each condition state is proposed for."""
    table = table_of(found.survey.settings)
    if table is None:
        return []
    standing = not_rejected(found.survey.findings, found.review)
    sure, doubtful = (
        [f"{counts[state]} {state or 'without a proposal'}" for state in (*table.states, None) if counts[state]]
        for counts in count_states(table, standing)
    )
    told = ", ".join(sure) or ("none is sure" if doubtful else "no crack was drawn")
    told += f"; in doubt {', '.join(doubtful)}: {describe_doubts(table, standing)}" if doubtful else ""
    return [f"proposed condition ({table.name}): {told}"]


def _speed(found: SurveyResult) -> str:
    speed = found.speed
    stages = ", ".join(f"{name} {stage.share:.0%}" for name, stage in speed.stages.items())
    return (
        f"{rate(speed.photos_per_minute)} photographs a minute, {rate(speed.megapixels_per_second)} megapixels a second on "
        f"{counted(speed.jobs, 'thread')} ({stages}); merging {speed.merge_seconds:.1f} s; {speed.peak_memory_mb} MB at most"
    )
