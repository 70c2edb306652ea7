"""What became of each crack since an earlier survey: grown, not shown to have grown, cannot tell, new, or no longer seen.

    earlier = open_earlier(Path("found-2025"), Path("found-2026"))
    survey, since, pictures = compare_surveys(earlier, survey, folder, 3.0)  # crack_tf.survey.comparison.comparing
    print(since.describe())

The rule, of a crack that both surveys drew (`crack_tf.survey.comparison.epochs` says which are the same,
`crack_tf.survey.comparison.growth` how much wider and longer one is):

* *grown*: the whole range of 95 % of its growth, in width or in length, lies above 0.
* *cannot tell*: its widths could not be compared, or so poorly that it may have grown by the width that the survey asks for (`--needs-mm`)
  unnoticed.
* *not shown to have grown*: anything else. It may have grown by as much as the upper end of the range.

A confirmed crack that only the later survey drew is *new*, and one that only the earlier survey drew is *no longer seen*, where a
photograph of the other survey shows its place well enough for a crack of its width to be found, and nothing was called over it there, as
another shape; else nobody can tell. A finding that a person accepted is as good as a confirmed one; refuted and rejected ones are no
cracks, and of a crack that one survey drew and the other's review rejected nobody can tell.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any

from crack_tf.survey.findings import (
    CANNOT_TELL,
    VERDICTS,
    Amount,
    Difference,
    FindingId,
    PhotoName,
    Polygon,
    Survey,
    read_survey,
    survey_id,
)
from crack_tf.survey.reviews.review import REJECTED, Review, kept_review
from tflite.checked import CheckError, Count, OneOf, RelativeName, Text, checked
from tflite.errors import CrackError
from tflite.files import read_json
from tflite.words import counted

FORMAT = "crack_tf.since/1"
FILE_NAME = "since.json"
MEANS_ONLY = "mean widths and lengths are compared, maximum widths, by which limits and conditions go, are not"
SAME_PLACES, TWO_RANGES = "same places", "two ranges"
NAMES = "the earlier survey", "this survey"
UNSHOWN = tuple(f"no photograph of {name} is known to show its place" for name in NAMES)
LATER = "-now.jpg"  # after the id: the later picture, where it is not the finding's own


@dataclass(frozen=True)
class Change:
    """What became of one crack.

    Attributes:
        verdict: one of VERDICTS.
        old, new: ids of its findings in the earlier and the later survey; either may be none.
        old_photo, new_photo: that were compared; of a crack of one survey, its own photograph and the other's that shows its place.
        width_verdict, length_verdict: of each alone; None for cracks of one survey.
        old_width_mm, new_width_mm: mean widths as each survey states them.
        width_growth_mm, width_growth_low_mm, width_growth_high_mm: of the mean width, and the range of 95 %.
        width_by: SAME_PLACES where both photographs were compared place by place, TWO_RANGES where two measurements were.
        places: that were compared, two pixels apart.
        old_length_mm, new_length_mm: of the part that both photographs show.
        length_growth_mm, length_growth_low_mm, length_growth_high_mm: likewise.
        note: why nobody can tell, why a crack is new or gone, or what else is to be known.
        picture: the earlier photograph of the place, laid onto the later one's picture where there is one; relative to the folder.
        new_picture: of a crack that only the earlier survey drew, the later photograph of its place, laid onto the earlier picture; of
            other cracks the part of the finding's picture that `picture` shows, where that is less.
    """

    verdict: Annotated[str, OneOf(VERDICTS)]
    old: tuple[FindingId, ...] = ()
    new: tuple[FindingId, ...] = ()
    old_photo: PhotoName | None = None
    new_photo: PhotoName | None = None
    width_verdict: Annotated[str, OneOf(VERDICTS)] | None = None
    length_verdict: Annotated[str, OneOf(VERDICTS)] | None = None
    old_width_mm: Amount | None = None
    new_width_mm: Amount | None = None
    width_growth_mm: Difference | None = None
    width_growth_low_mm: Difference | None = None
    width_growth_high_mm: Difference | None = None
    width_by: Annotated[str, OneOf((SAME_PLACES, TWO_RANGES))] | None = None
    places: Count = 0
    old_length_mm: Amount | None = None
    new_length_mm: Amount | None = None
    length_growth_mm: Difference | None = None
    length_growth_low_mm: Difference | None = None
    length_growth_high_mm: Difference | None = None
    note: Annotated[str, Text(1000)] | None = None
    picture: Annotated[str, RelativeName()] | None = None
    new_picture: Annotated[str, RelativeName()] | None = None


@dataclass(frozen=True)
class Since:
    """Two surveys compared.

    Attributes:
        survey: id of the later one, see `crack_tf.survey.findings.survey_id`.
        old_survey, old_source, old_created: of the earlier one.
        old_title: of it, where it was given one.
        old_flown: when its photographs were taken, where they say so.
        photos, paired: photographs of the later survey, and those that show what an earlier one shows.
        changes: a row per crack, in order of VERDICTS.
        warnings: for a person.
        outlines: by file of a picture, polygons of the crack in it, in shares of the picture's width and height; none in surveys from
            before 2026-12.
    """

    survey: FindingId
    old_survey: FindingId
    old_source: str
    old_created: str
    photos: Count
    paired: Count
    changes: tuple[Change, ...]
    warnings: tuple[str, ...] = ()
    outlines: Mapping[str, tuple[Polygon, ...]] = field(default_factory=dict)
    old_title: Annotated[str, Text(1000)] | None = None
    old_flown: Annotated[str, Text(100)] | None = None

    @property
    def counts(self) -> Mapping[str, int]:
        """How many cracks have each of VERDICTS."""
        found = Counter(change.verdict for change in self.changes)
        return {verdict: found[verdict] for verdict in VERDICTS}

    def describe(self) -> str:
        """One sentence, such as "4 of 6 photographs show what the survey of DCIM (taken 2025-06-01) shows; cracks: 2 grown, 1 new"."""
        unshown = sum(change.note in UNSHOWN for change in self.changes if change.verdict == CANNOT_TELL)
        more = {CANNOT_TELL: f" ({unshown} of them since no photograph is known to show the place)" if unshown else ""}
        told = ", ".join(f"{count} {verdict}{more.get(verdict, '')}" for verdict, count in self.counts.items() if count)
        named = f"of {self.old_source}" if self.old_title is None else self.old_title
        when = f"made {self.old_created[:10]}" if self.old_flown is None else f"taken {self.old_flown}"
        return (
            f"{self.paired} of {counted(self.photos, 'photograph')} {'shows' if self.paired == 1 else 'show'} what the survey "
            f"{named} ({when}) shows; cracks: {told or 'none in either'}"
        )


@dataclass(frozen=True)
class Earlier:
    """An earlier survey, its folder, and what a person decided on its findings."""

    folder: Path
    survey: Survey
    review: Review | None

    def as_json(self) -> dict[str, Any]:
        """What a later survey's settings say of it."""
        return {
            "survey": survey_id(self.survey),
            "source": self.survey.source,
            "created": self.survey.created,
        }


def open_earlier(folder: Path, out: Path) -> Earlier:
    """Read the survey that `--since` names.

    Args:
        folder: of it.
        out: of the survey that is made.

    Raises:
        CrackError: if there is no finished survey, or it is the one that is made.
    """
    if folder.resolve() == out.resolve():
        raise CrackError(f"--since {folder} is the folder of this survey itself: name that of an earlier one.")
    try:
        survey = read_survey(folder)
        return Earlier(folder, survey, kept_review(folder, survey)[0])
    except CrackError as error:
        raise CrackError(f"--since {folder}: {error}") from None


def read_since(folder: Path, survey: Survey) -> Since | None:
    """What a survey's folder says of changes; None where it says nothing, or of another survey.

    Raises:
        CrackError: if the file is damaged.
    """
    path = folder / FILE_NAME
    if "since" not in survey.settings or not path.is_file():
        return None
    value = read_json(path)
    if value.pop("format", None) != FORMAT:
        return None
    try:
        since: Since = checked(Since, value)
    except CheckError as error:
        raise CrackError(f"{path} is damaged: {error}. Make the survey again.") from None
    return since if since.survey == survey_id(survey) else None


def without_rejected(since: Since, review: Review | None, side: int) -> Since:
    """What is left of a comparison without the findings that a person rejected.

    Args:
        since: the comparison.
        review: of the earlier survey or of the later one; or None.
        side: 0 for the earlier survey, 1 for the later one.
    """
    if review is None:
        return since
    which, survey = ("old", "new")[side], NAMES[side]
    rejected = {number for number, entry in review.decisions.items() if entry.decision == REJECTED}
    changes = []
    for change in since.changes:
        drawn = getattr(change, which)
        ids = {"old": change.old, "new": change.new, which: tuple(number for number in drawn if number not in rejected)}
        if ids[which] == drawn:
            changes.append(change)
        elif ids["old"] or ids["new"]:
            part = "part of what" if ids[which] else "what"
            changes.append(
                Change(
                    CANNOT_TELL,
                    old=ids["old"],
                    new=ids["new"],
                    old_photo=change.old_photo,
                    new_photo=change.new_photo,
                    note=f"the review of {survey} rejected {part} it drew there",
                    picture=change.picture if ids["old"] else None,
                    new_picture=change.new_picture,
                )
            )
    return replace(since, changes=tuple(sorted(changes, key=lambda change: VERDICTS.index(change.verdict))))
