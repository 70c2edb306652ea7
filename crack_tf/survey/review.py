"""An engineer's verdict on a survey: read it, put it beside the findings, and turn it into training tiles.

    crack-tf survey --review review-0123456789ab.json --out found --export-tiles tiles

`report.html` exports a review as JSON:

    format "crack_tf.review/1", survey (see `survey_id`), source, reviewer, exported (time),
    decisions {id of a finding: {decision "accepted", "rejected" or "" (a comment only), comment, time}}
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

from crack_tf.survey.findings import FindingId, Survey
from tflite.checked import CheckError, OneOf, Text, checked, shown
from tflite.errors import CrackError
from tflite.files import read_json, sha256_bytes
from tflite.words import counted

FORMAT = "crack_tf.review/1"
ACCEPTED, REJECTED, UNDECIDED = "accepted", "rejected", ""
DECISIONS = (ACCEPTED, REJECTED, UNDECIDED)
COLUMNS = ("decision", "comment", "reviewer", "reviewed")
_MAX_COMMENT = 10_000  # characters; the page allows 2,000


@dataclass(frozen=True)
class Decision:
    """What was decided about one finding.

    Attributes:
        decision: one of DECISIONS.
        comment: free text, may be empty.
        time: when, ISO 8601, or "" where it is not known.
    """

    decision: Annotated[str, OneOf(DECISIONS)]
    comment: Annotated[str, Text(_MAX_COMMENT)] = ""
    time: Annotated[str, Text(64)] = ""


@dataclass(frozen=True)
class Review:
    """A review file.

    Attributes:
        survey: id of the survey that it belongs to.
        source: name of that survey's source.
        reviewer: who decided, as they wrote it; may be empty.
        exported: when the file was made, ISO 8601, or "".
        decisions: finding id -> decision; findings that nobody looked at are missing.
    """

    survey: str
    source: str
    reviewer: str
    exported: str
    decisions: Mapping[FindingId, Decision]

    def as_json(self) -> dict[str, Any]:
        """As in the file."""
        return {"format": FORMAT, **asdict(self)}

    def counts(self) -> dict[str, int]:
        """How many findings were accepted, rejected, and only commented on."""
        names = [entry.decision for entry in self.decisions.values()]
        return {"accepted": names.count(ACCEPTED), "rejected": names.count(REJECTED), "comment only": names.count("")}


def survey_id(survey: Survey) -> str:
    """First 12 hex digits of a hash of the photographs and findings: the same when the same survey is made again."""
    parts = [f"{photo.name}\t{photo.sha256}" for photo in survey.photos]
    parts += sorted(finding.id for finding in survey.findings)
    return sha256_bytes("\n".join(parts).encode("utf-8", "surrogatepass"))[:12]


def read_review(path: str | Path, survey: Survey | None = None) -> Review:
    """Read a review that the report's page exported.

    Args:
        path: of the JSON file.
        survey: that it must belong to, or None.

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
    if review.survey != expected:
        raise CrackError(
            f"review {path} belongs to survey {review.survey!r} of {review.source!r}, this one is {expected!r} of "
            f"{survey.source!r}. Give the folder that the reviewed report.html lies in."
        )
    unknown = sorted(set(review.decisions) - {finding.id for finding in survey.findings})
    if unknown:
        raise CrackError(
            f"review {path} decides on {counted(len(unknown), 'finding')} that the survey does not have ({', '.join(unknown[:3])}). "
            "Export it again from the report.html in this folder."
        )


def review_columns(review: Review, finding_id: str) -> dict[str, str]:
    """A finding's columns for tables, and properties for GeoJSON: those of COLUMNS, empty where nothing was decided."""
    entry = review.decisions.get(finding_id)
    if entry is None:
        return dict.fromkeys(COLUMNS, "")
    values = (entry.decision, entry.comment, review.reviewer, entry.time)
    return dict(zip(COLUMNS, values, strict=True))
