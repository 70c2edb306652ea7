"""An engineer's verdict on a survey: read it, put it beside the findings, and turn it into training tiles.

    crack-tf survey --review review-0123456789ab.json --out found --export-tiles tiles

`report.html` exports a review as JSON:

    format "crack_tf.review/1", survey (see `crack_tf.survey.findings.survey_id`), source, reviewer, exported (time),
    decisions {id of a finding: {decision "accepted", "rejected" or "" (a comment only), comment, time, reviewer,
    commented (time), commenter}}

The survey's folder keeps it as `review.json`. Whatever writes tables or a report there later takes the decisions from it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Annotated, Any

from crack_tf.survey.findings import CONFIRMED, REFUTED, Finding, FindingId, Survey, survey_id
from tflite.checked import CheckError, OneOf, Text, checked, shown
from tflite.errors import CrackError
from tflite.files import read_json, write_json
from tflite.words import a_few, counted

FORMAT = "crack_tf.review/1"
FILE_NAME = "review.json"  # in the survey's folder
ACCEPTED, REJECTED, UNDECIDED = "accepted", "rejected", ""
DECISIONS = (ACCEPTED, REJECTED, UNDECIDED)
COLUMNS = ("decision", "comment", "reviewer", "reviewed", "commenter", "commented")
UNMEASURED = (
    "not measured: the survey's own command, with its photographs, measures what is drawn there, crack-tf photo measure a mask drawn by "
    "hand"
)
_MAX_COMMENT = 10_000  # characters; the page allows 2,000


@dataclass(frozen=True)
class Decision:
    """What was decided about one finding.

    Attributes:
        decision: one of DECISIONS.
        comment: free text, may be empty.
        time: when it was decided, ISO 8601, or "" where it is not known.
        reviewer: who decided, as they wrote it; may be empty. Without a decision, time and reviewer of the comment.
        commented, commenter: when the comment was written, and by whom; in reviews from before 2026-12 not known beside a decision that
            names somebody, since anybody may have written it later.
    """

    decision: Annotated[str, OneOf(DECISIONS)]
    comment: Annotated[str, Text(_MAX_COMMENT)] = ""
    time: Annotated[str, Text(64)] = ""
    reviewer: str = ""
    commented: Annotated[str, Text(64)] = ""
    commenter: str = ""

    def by(self, reviewer: str) -> Decision:
        """With a name where there is none: that of who made the file."""
        entry = self if self.reviewer else replace(self, reviewer=reviewer)
        if not self.comment or self.commenter:
            return entry
        if self.commented:
            return replace(entry, commenter=reviewer)
        unknown = self.decision and self.reviewer
        return entry if unknown else replace(entry, commented=self.time, commenter=entry.reviewer)


@dataclass(frozen=True)
class Review:
    """A review file.

    Attributes:
        survey: id of the survey that it belongs to.
        source: name of that survey's source.
        reviewer: who made the file; may be empty. Decisions and comments that name nobody are theirs.
        exported: when the file was made, ISO 8601, or "".
        decisions: finding id -> decision; findings that nobody looked at are missing.
    """

    survey: str
    source: str
    reviewer: str
    exported: str
    decisions: Mapping[FindingId, Decision]

    def __post_init__(self) -> None:
        named = {name: entry.by(self.reviewer) for name, entry in self.decisions.items()}
        object.__setattr__(self, "decisions", named)

    @property
    def reviewers(self) -> str:
        """Names of all who decided, "" where none is known."""
        return ", ".join(sorted({entry.reviewer for entry in self.decisions.values() if entry.decision} - {""}))

    def as_json(self) -> dict[str, Any]:
        """As in the file."""
        return {"format": FORMAT, **asdict(self)}

    def verdict(self, finding: Finding) -> str:
        """One of DECISIONS."""
        return self.decisions[finding.id].decision if finding.id in self.decisions else UNDECIDED


# A review as `carried` has it, or None where there is none; and what could not be carried over, in words, "" where all was.
Kept = tuple[Review | None, str]


def keep_review(out: Path, review: Review) -> None:
    """Put a review into the survey's folder, instead of an earlier one."""
    write_json(out / FILE_NAME, review.as_json())


def read_kept(out: Path) -> Review | None:
    """The review that a survey's folder keeps, as it was given; None where there is none.

    Raises:
        CrackError: if it is damaged.
    """
    path = out / FILE_NAME
    return read_review(path) if path.is_file() else _from_table(out)


def _from_table(out: Path) -> Review | None:
    """The review in the table of a survey that an earlier version reviewed, which kept no file of it."""
    with suppress(CrackError, CheckError, KeyError, TypeError):
        rows = [feature["properties"] for feature in read_json(out / "findings.geojson")["features"]]
        decided = {
            row["id"]: {
                "decision": row["decision"],
                "comment": row["comment"],
                "time": row["reviewed"],
                "reviewer": row["reviewer"],
                # That version had one reviewer for all.
                "commented": row["reviewed"] if row["comment"] else "",
                "commenter": row["reviewer"] if row["comment"] else "",
            }
            for row in rows
            if row["decision"] or row["comment"]
        }
        texts = dict.fromkeys(("survey", "source", "reviewer", "exported"), "")
        review: Review = checked(Review, texts | {"decisions": decided})
        return review if decided else None
    return None


def kept_review(out: Path, survey: Survey) -> Kept:
    """What the review that a survey's folder keeps says about the survey as it is now.

    Raises:
        CrackError: if the review is damaged.
    """
    given = read_kept(out)
    return (None, "") if given is None else as_kept(given, survey)


def as_kept(given: Review, survey: Survey) -> tuple[Review, str]:
    """The same of a review that the folder keeps, or is about to keep."""
    found, left = carried(given, survey)
    return found, f"of the review in {FILE_NAME}, {left}. The file keeps these." if left else ""


def carried(review: Review, survey: Survey) -> tuple[Review, str]:
    """What a review says about a survey that has changed since.

    Findings keep their ids when a survey goes on or is asked again. One that has become part of another gives its decision to that one.

    Returns:
        The review with decisions on the survey's findings only; and what could not be carried over, in words, "" where all was.
    """
    now, lost, torn = _carried(review, survey)
    notes = []
    if lost:
        notes.append(
            f"{counted(len(lost), 'decision is', 'decisions are')} on findings that the survey no longer has ({', '.join(lost[:3])}"
            f"{', ...' if len(lost) > 3 else ''})"
        )
    if torn:
        notes.append(
            f"{counted(len(torn), 'finding is', 'findings are')} open again, since what became one was decided differently "
            f"({', '.join([*torn][:3])}{', ...' if len(torn) > 3 else ''})"
        )
    return replace(review, decisions=now), " and ".join(notes)


def with_left(review: Review, kept: Review, survey: Survey) -> Review:
    """A review, and those decisions of the one that was kept before that the survey's report could not show."""
    _, lost, torn = _carried(kept, survey)
    left = {*lost, *(name for names in torn.values() if not names & set(review.decisions) for name in names)}
    before = {name: entry for name, entry in kept.decisions.items() if name in left}
    return replace(review, decisions=before | dict(review.decisions))


def _carried(
    review: Review, survey: Survey
) -> tuple[dict[FindingId, Decision], list[FindingId], dict[FindingId, set[FindingId]]]:
    """Decisions on the survey's findings; those on none, by id; and of findings that became one, but were decided differently, theirs."""
    now: dict[FindingId, Decision] = {}
    used: set[FindingId] = set()
    torn: dict[FindingId, set[FindingId]] = {}
    for finding in survey.findings:
        of_it = {name: review.decisions[name] for name in (finding.id, *finding.merged) if name in review.decisions}
        used |= set(of_it)
        if len({entry.decision for entry in of_it.values()} - {UNDECIDED}) > 1:
            torn[finding.id] = set(of_it)
        elif of_it:
            now[finding.id] = next((entry for entry in of_it.values() if entry.decision), next(iter(of_it.values())))
    return now, sorted(set(review.decisions) - used), torn


def not_rejected(findings: Iterable[Finding], review: Review | None) -> list[Finding]:
    """What a survey's totals, limits and conditions count."""
    return [finding for finding in findings if review is None or review.verdict(finding) != REJECTED]


def standing(findings: Iterable[Finding], review: Review | None) -> list[Finding]:
    """What is a crack or may be one: what was not rejected, of the refuted ones what a person accepted."""
    return [
        finding
        for finding in not_rejected(findings, review)
        if finding.validation != REFUTED or (review is not None and review.verdict(finding) == ACCEPTED)
    ]


def cracks_of(findings: Iterable[Finding], review: Review | None) -> list[Finding]:
    """Those that count as cracks before a limit."""
    return [finding for finding in findings if is_crack(finding, review)]


def is_crack(finding: Finding, review: Review | None) -> bool:
    """Whether it counts as a crack before a limit: a person accepted it, or the second opinion confirmed it and nobody rejected it."""
    decided = UNDECIDED if review is None else review.verdict(finding)
    return decided == ACCEPTED or (finding.validation == CONFIRMED and decided != REJECTED)


def has_limits(finding: Finding, review: Review | None) -> bool:
    """Whether a limit has an answer: of what is drawn, and of what counts as a crack. Of anything else there is nothing to ask."""
    return finding.mean_width_px is not None or is_crack(finding, review)


def is_unmeasured(finding: Finding, review: Review | None) -> bool:
    """Whether a person accepted what the survey drew no crack of, so that it has no length and no width."""
    return review is not None and finding.length_px is None and review.verdict(finding) == ACCEPTED


def describe_unmeasured(findings: Sequence[Finding], review: Review) -> str:
    """How many such findings there are, and what measures them; "" for none."""
    names = [finding.id for finding in findings if is_unmeasured(finding, review)]
    return f"{counted(len(names), 'accepted finding')} ({a_few(names)}): {UNMEASURED}" if names else ""


def describe_decisions(findings: Sequence[Finding], review: Review) -> str:
    """How far a review has come: "60 accepted, 30 rejected, 3 open". What has a comment only is open."""
    verdicts = Counter(review.verdict(finding) for finding in findings)
    return f"{verdicts[ACCEPTED]:,} accepted, {verdicts[REJECTED]:,} rejected, {verdicts[UNDECIDED]:,} open"


def read_review(path: str | Path, survey: Survey | None = None) -> Review:
    """Read a review that the report's page exported.

    Args:
        path: of the JSON file.
        survey: that it must belong to, as it is now or as it was before it changed in its folder; or None.

    Raises:
        CrackError: if the file is missing, is no review, holds a bad decision, or belongs to another survey.
    """
    value = read_json(path)
    if value.get("format") != FORMAT:
        raise CrackError(
            f"review {path} has format {shown(value.get('format'))}, expected {FORMAT!r}. Export it from the survey's report.html."
        )
    texts = dict.fromkeys(("survey", "source", "reviewer", "exported"), "")
    try:
        review: Review = checked(Review, texts | value, strict=False)
    except CheckError as error:
        raise CrackError(f"review {path} is damaged: {error}. Export it again from the survey's report.html.") from None
    if survey is not None:
        check_review(review, survey, path)
    return review


def check_review(review: Review, survey: Survey, path: str | Path) -> None:
    """Raise unless a review belongs to a survey.

    Raises:
        CrackError: if it is of another survey, or names findings that the survey does not have.
    """
    expected = survey_id(survey)
    if review.survey not in (expected, *survey.former):
        raise CrackError(
            f"review {path} belongs to survey {review.survey!r} of {review.source!r}, this one is {expected!r} of "
            f"{survey.source!r}. Give the folder that the reviewed report.html lies in. If it is this one, the survey has changed since: "
            "export the review again from today's report.html."
        )
    known = {name for finding in survey.findings for name in (finding.id, *finding.merged)}
    unknown = sorted(set(review.decisions) - known)
    if unknown and not survey.former:  # of a survey that has changed, it may have had them
        raise CrackError(
            f"review {path} decides on {counted(len(unknown), 'finding')} that the survey does not have ({', '.join(unknown[:3])}). "
            "Export it again from the report.html in this folder."
        )


def review_columns(review: Review, finding_id: str) -> dict[str, str]:
    """A finding's columns for tables, and properties for GeoJSON: those of COLUMNS, empty where nothing was decided."""
    entry = review.decisions.get(finding_id)
    if entry is None:
        return dict.fromkeys(COLUMNS, "")
    values = (entry.decision, entry.comment, entry.reviewer, entry.time, entry.commenter, entry.commented)
    return dict(zip(COLUMNS, values, strict=True))
