"""A row for each file that a survey was given: a photograph with what was found on it, or a gap. What can be shown as looked at."""

from __future__ import annotations

from collections import Counter
from typing import Any

from crack_tf.survey.findings import VALIDATIONS, Survey
from crack_tf.survey.reviews.review import ACCEPTED, REJECTED, Review
from crack_tf.survey.searching.quality import share_without_sight

FILE_NAME = "photos.csv"
COLUMNS = ("photo", *VALIDATIONS, "tiles", "unseen", "gap", "detail")
REVIEW_COLUMNS = (ACCEPTED, REJECTED)


def photo_columns(review: Review | None) -> tuple[str, ...]:
    """Columns of the table: those of a review where there is one."""
    return COLUMNS if review is None else (*COLUMNS, *REVIEW_COLUMNS)


def photo_rows(survey: Survey, review: Review | None) -> list[dict[str, Any]]:
    """The rows, by `photo_columns`, in order of the files' names.

    A finding on several photographs is counted on each. What was not searched has empty counts, never 0.
    """
    counts: dict[str, Counter[str]] = {photo.name: Counter() for photo in survey.photos}
    for finding in survey.findings:
        for name in finding.seen_on:
            if name in counts:
                counts[name].update([finding.validation, *([review.verdict(finding)] if review is not None else [])])
    verdicts = VALIDATIONS if review is None else (*VALIDATIONS, *REVIEW_COLUMNS)
    empty = dict.fromkeys(photo_columns(review))
    rows = {
        photo.name: {
            **empty,
            "photo": photo.name,
            "tiles": photo.tiles,
            "unseen": _rounded(share_without_sight(photo)),
        }
        | {name: counts[photo.name][name] for name in verdicts}
        for photo in survey.photos
    }
    for gap in survey.gaps:
        row = rows.setdefault(gap.photo, {**empty, "photo": gap.photo})
        row |= {"gap": gap.reason, "detail": gap.detail}
    return [rows[name] for name in sorted(rows)]


def _rounded(share: float | None) -> float | None:
    return None if share is None else round(share, 3)
