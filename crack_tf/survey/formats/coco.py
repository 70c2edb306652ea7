"""A survey's drawn cracks as COCO instance segmentation, to be corrected in an annotation program and trained on.

    {"info": ..., "images": [...], "annotations": [...], "categories": [{"id": 1, "name": "crack"}, {"id": 2, "name": "unclear"}]}

Every photograph that was read is an image, those without cracks too. Its cracks are those of its own record, not of the merged findings:
a crack that three photographs show is annotated on all three. Refuted findings are left out. What nobody has settled has the category
"unclear", and the attribute "drawn" says whether its outline is that of a drawn crack, which may become one, or of tiles: to be replaced
by a crack, or deleted. So who takes the category "crack" takes no doubted mask for one.

What a person decided goes before that: rejected findings are left out, accepted ones are cracks, and those without a drawn crack, whatever
the second opinion says of them, have the category "crack to draw" (3, in a file that has any). Their outline is that of tiles: as a mask
to train on it would teach that all of a tile is crack, so `crack-tf data convert` asks which classes are cracks as long as there is one.

`crack-tf data convert` reads the file back, as every export of CVAT or Label Studio in this format.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from crack_tf.common.version import __version__
from crack_tf.survey.findings import CONFIRMED, REFUTED, Finding, PhotoRecord, Survey, title_of
from crack_tf.survey.outlines import annotation_rings, paint_outline
from crack_tf.survey.reviews.review import ACCEPTED, REJECTED, UNDECIDED, Review
from tflite.files import read_json, write_json
from tflite.outputs import Output

MADE_BY = "crack-tf survey-export"
CRACK, UNCLEAR, TO_DRAW = 1, 2, 3
CATEGORIES = ({"id": CRACK, "name": "crack"}, {"id": UNCLEAR, "name": "unclear"})
TO_DRAW_NAME = "crack to draw"
POLYGONS, RLE = "polygons", "rle"
MASKS = (POLYGONS, RLE)


@dataclass(frozen=True)
class CocoFile:
    """What was written.

    Attributes:
        images: photographs.
        cracks, unclear, to_draw: annotations of each category.
        rejected: findings on single photographs that a person rejected, left out.
    """

    images: int
    cracks: int
    unclear: int
    to_draw: int = 0
    rejected: int = 0


def _is_ours(path: Path) -> bool:
    """Programs that correct a file write another `info`: what a person has worked on is never overwritten."""
    record = read_json(path)
    return record.get("info", {}).get("contributor") == MADE_BY and {"images", "annotations"} <= set(record)


OUTPUT = Output(MADE_BY, _is_ours)


def write_coco(
    path: Path,
    survey: Survey,
    records: Sequence[tuple[PhotoRecord, Sequence[Finding]]],
    masks: str = POLYGONS,
    review: Review | None = None,
) -> CocoFile:
    """Write the file.

    Args:
        path: of the JSON file.
        survey: that it is of.
        records: photographs, each with its own findings.
        masks: "polygons", which people can move, or "rle", run lengths that are the same to the pixel.
        review: of the survey's findings, or None. A finding of a single photograph has the decision on the one that speaks for it.
    """
    decided: dict[str, str] = {}
    for finding in survey.findings:
        if review is not None:
            decided |= dict.fromkeys((finding.id, *finding.merged), review.verdict(finding))
    rejected = 0
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for photo, findings in records:
        number = len(images) + 1
        images.append(
            {
                "id": number,
                "file_name": photo.name,
                "width": photo.width,
                "height": photo.height,
                **({} if photo.time is None else {"date_captured": photo.time}),
            }
        )
        for finding in findings:
            decision = decided.get(finding.id, UNDECIDED)
            rejected += decision == REJECTED
            if decision != REJECTED and (finding.validation != REFUTED or decision == ACCEPTED):
                annotations.append(
                    {"id": len(annotations) + 1, "image_id": number, **_annotation(finding, photo, masks, decision)}
                )
    info = {
        "description": f"cracks of the survey {title_of(survey)}: opinions of neural networks, to be corrected",
        "contributor": MADE_BY,
        "version": __version__,
        "date_created": survey.created,
    }
    licences: list[dict[str, Any]] = []
    counts = Counter(entry["category_id"] for entry in annotations)
    categories = [*CATEGORIES, *([{"id": TO_DRAW, "name": TO_DRAW_NAME}] if counts[TO_DRAW] else [])]
    write_json(
        path,
        {"info": info, "licenses": licences, "images": images, "annotations": annotations, "categories": categories},
    )
    return CocoFile(len(images), counts[CRACK], counts[UNCLEAR], counts[TO_DRAW], rejected)


def _annotation(finding: Finding, photo: PhotoRecord, masks: str, decision: str) -> dict[str, Any]:
    mask, left, top = paint_outline(finding.outline, finding.holes)
    # An outline may reach half a pixel beyond the photograph.
    mask = mask[max(0, -top) : photo.height - top, max(0, -left) : photo.width - left]
    left, top = max(0, left), max(0, top)
    columns, rows = np.flatnonzero(mask.any(axis=0)), np.flatnonzero(mask.any(axis=1))
    box = [0, 0, 0, 0]
    if len(columns):
        box = [left + columns[0], top + rows[0], columns[-1] - columns[0] + 1, rows[-1] - rows[0] + 1]
    segmentation: Any
    if masks == RLE:
        segmentation = {"size": [photo.height, photo.width], "counts": _counts(mask, left, top, photo)}
    else:
        rings = annotation_rings(finding.outline, finding.holes)
        size = photo.width, photo.height
        segmentation = [[round(float(value), 2) for value in ring.clip(0, size).ravel()] for ring in rings]
    drawn, accepted = finding.length_px is not None, decision == ACCEPTED
    settled = accepted or finding.validation == CONFIRMED
    return {
        "category_id": CRACK if drawn and settled else TO_DRAW if accepted else UNCLEAR,
        "segmentation": segmentation,
        "area": int(mask.sum()),
        "bbox": [int(value) for value in box],
        "iscrowd": int(masks == RLE),  # how readers of COCO tell run lengths from polygons
        "score": finding.probability,
        "attributes": {
            "finding": finding.id,
            "validation": finding.validation,
            "drawn": drawn,
            **({"decision": decision} if decision else {}),
        },
    }


def _counts(mask: np.ndarray, left: int, top: int, photo: PhotoRecord) -> list[int]:
    """Run lengths of outside and inside in turn, down the columns of the whole photograph."""
    edges = np.diff(np.pad(mask, ((1, 1), (0, 0))).astype(np.int8), axis=0)
    columns, begins = np.nonzero(edges.T == 1)
    _, ends = np.nonzero(edges.T == -1)
    first = (columns + left) * photo.height + top + begins
    bounds = np.stack([first, first + ends - begins], axis=1).ravel()
    counts = np.diff(np.r_[0, bounds, photo.height * photo.width])
    return [int(count) for count in counts]
