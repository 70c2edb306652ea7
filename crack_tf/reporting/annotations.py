"""Answers for other programs: `to_detections` for supervision, `to_coco` for whatever reads COCO.

    photo = crack_tf.load("unet_mobile").predict("pier.jpg")
    supervision.MaskAnnotator().annotate(photo.image.copy(), crack_tf.to_detections(photo))
    json.dump(crack_tf.to_coco([photo]), file)

A finished survey's COCO file, to be corrected and trained on, is written by `crack-tf survey-export`.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

import numpy as np

from crack_tf.inference.photographs import ClassifiedPhoto, DrawnPhoto, UnreadPhoto
from crack_tf.photo.crack import Crack
from crack_tf.survey.findings import Finding, Polygon
from crack_tf.survey.handover import COCO, HandoverConfig, hand_over
from crack_tf.survey.outlines import annotation_rings, paint_outline
from crack_tf.survey.reviews.review import standing
from crack_tf.survey.surveying import SurveyResult
from tflite.device.tiles import Box
from tflite.errors import CrackError
from tflite.extras import require
from tflite.files import read_json

if TYPE_CHECKING:
    from supervision import Detections

CRACK, TILE = "crack", "cracked tile"  # a drawn crack; a tile or finding of which only the classifier says crack
NAMES = (CRACK, TILE)


@overload
def to_detections(answer: ClassifiedPhoto | DrawnPhoto, *, masks: bool = True) -> Detections: ...


@overload
def to_detections(answer: SurveyResult, *, masks: bool = True) -> dict[str, Detections]: ...


def to_detections(answer: ClassifiedPhoto | DrawnPhoto | SurveyResult, *, masks: bool = True) -> Any:
    """What was found, as `supervision.Detections`.

    `xyxy` are pixels of the upright photograph, right and lower edge excluded; `class_id` 0 is a drawn crack, 1 a cracked tile, and
    `data["class_name"]` says so in words; `confidence` is a probability, not calibrated: of a tile the classifier's, of a drawn
    crack the mean over its pixels.

    Args:
        answer: what `load(...).predict(...)` gave, or a survey.
        masks: whether `mask`, bool (n, height, width), is made of drawn cracks; it takes a byte per pixel and crack.

    Returns:
        Of a photograph its detections; of a survey those of each photograph by its name, empty where nothing was found. What the
        second opinion refuted or a person rejected is left out, what a person accepted is in.

    Raises:
        CrackError: if supervision is not installed, or the answer is none of these.
    """
    require(("supervision",))
    if isinstance(answer, ClassifiedPhoto):
        tiles = answer.cracked
        return _detections(
            [tile.box for tile in tiles], [tile.probability for tile in tiles], [TILE] * len(tiles), None
        )
    if isinstance(answer, DrawnPhoto):
        drawn = crack_masks(answer)
        scores = [float(answer.probability[pixels].mean()) for pixels in drawn]
        stacked = np.stack(drawn) if drawn and masks else None
        return _detections([crack.box for crack in answer.cracks], scores, [CRACK] * len(drawn), stacked)
    if isinstance(answer, SurveyResult):
        by_photo: dict[str, list[Finding]] = {photo.name: [] for photo in answer.survey.photos}
        for finding in standing(answer.findings, answer.review):
            by_photo.setdefault(finding.photo, []).append(finding)
        sizes = {photo.name: (photo.height, photo.width) for photo in answer.survey.photos}
        return {name: _of_findings(some, sizes.get(name) if masks else None) for name, some in by_photo.items()}
    raise CrackError(f"answer is {type(answer).__name__}: give what a model predicted, or a survey.")


def to_coco(
    answers: Iterable[ClassifiedPhoto | DrawnPhoto] | ClassifiedPhoto | DrawnPhoto | SurveyResult,
) -> dict[str, Any]:
    """What was found, as the content of a COCO file: images, annotations, categories; ready for `json.dump`.

    Drawn cracks are polygons; a hole is reached by a cut from the outline, since COCO's polygons have none. Cracked tiles are
    rectangles.

    Args:
        answers: what `load(...).predict(...)` gave; several about one photograph, such as a segmentation model's and a classifier's, make
            one image with the annotations of all. A place that several call cracked is listed once, with the highest of their scores. Or a
            single answer, or a survey.

    Raises:
        CrackError: if an answer is none of these, or a survey's photographs are a video's frames.
    """
    if isinstance(answers, SurveyResult):
        with tempfile.TemporaryDirectory(prefix="crack_tf-") as folder:
            path = Path(folder) / "survey.json"
            hand_over(answers.folder, path, HandoverConfig(to=COCO))
            return read_json(path)
    if isinstance(answers, ClassifiedPhoto | DrawnPhoto | UnreadPhoto):
        answers = [answers]
    if not isinstance(answers, Iterable):
        raise CrackError(f"answers is {type(answers).__name__}: give what a model predicted, or a survey.")
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    numbers: dict[tuple[str, bytes], int] = {}
    listed: dict[tuple[int, int, str], dict[str, Any]] = {}
    for answer in answers:
        if isinstance(answer, UnreadPhoto):
            raise CrackError(
                f"answers hold {answer.name!r}, which could not be read ({answer.reason}). A COCO file cannot say that: leave it out "
                "and name it elsewhere."
            )
        if not isinstance(answer, ClassifiedPhoto | DrawnPhoto):
            raise CrackError(f"answers hold {type(answer).__name__}: give what a model predicted, or a survey.")
        height, width = answer.image.shape[:2]
        # Files in two folders may have one name.
        photo = answer.name, hashlib.sha256(repr(answer.image.shape).encode() + answer.image.tobytes()).digest()
        number = numbers.setdefault(photo, len(images) + 1)
        if number > len(images):
            images.append({"id": number, "file_name": answer.name, "width": width, "height": height})
        for found in _annotations(answer):
            key = number, found["category_id"], repr(found["segmentation"])
            if key in listed:
                listed[key]["score"] = max(listed[key]["score"], found["score"])
                continue
            listed[key] = {"id": len(annotations) + 1, "image_id": number, **found}
            annotations.append(listed[key])
    categories = [{"id": number, "name": name} for number, name in enumerate(NAMES, start=1)]
    info = {"description": "opinions of neural networks, to be corrected", "contributor": "crack_tf"}
    return {"info": info, "licenses": [], "images": images, "annotations": annotations, "categories": categories}


def crack_masks(photo: DrawnPhoto) -> list[np.ndarray]:
    """The pixels of each of its cracks, bool (height, width), in their order. A crack of several parts has the pixels of all."""
    from scipy import ndimage

    labels, _ = ndimage.label(photo.mask, structure=np.ones((3, 3), bool))
    areas = np.bincount(labels.ravel())
    areas[0] = labels.size  # the background is no part
    found = []
    for crack in photo.cracks:
        inside = np.zeros(labels.shape, bool)
        _lay(inside, *paint_outline(*_outline(crack)))
        # Outlines are simplified, so a part is known by most of its pixels.
        found.append((2 * np.bincount(labels[inside], minlength=len(areas)) > areas)[labels])
    return found


def _outline(crack: Crack) -> tuple[Sequence[Polygon], Sequence[Polygon]]:
    """Its parts' outer edges, and the edges of holes; not closed."""
    rings = [ring[:-1] if ring[0] == ring[-1] else ring for ring in crack.outline]
    return rings[: crack.parts], rings[crack.parts :]


def _lay(mask: np.ndarray, pixels: np.ndarray, left: int, top: int) -> None:
    """Put pixels into a photograph's mask. An outline may reach half a pixel beyond the photograph."""
    pixels = pixels[max(0, -top) : mask.shape[0] - top, max(0, -left) : mask.shape[1] - left]
    left, top = max(0, left), max(0, top)
    mask[top : top + pixels.shape[0], left : left + pixels.shape[1]] |= pixels


def _annotations(answer: ClassifiedPhoto | DrawnPhoto) -> Iterable[dict[str, Any]]:
    if isinstance(answer, ClassifiedPhoto):
        for tile in answer.cracked:
            box = tile.box
            right, lower = box.x + box.w, box.y + box.h
            ring = [float(value) for value in (box.x, box.y, right, box.y, right, lower, box.x, lower)]
            yield _annotation(TILE, [ring], box.w * box.h, box, tile.probability)
    else:
        height, width = answer.mask.shape
        for crack, pixels in zip(answer.cracks, crack_masks(answer), strict=True):
            rings = [ring.clip(0, (width, height)) for ring in annotation_rings(*_outline(crack))]
            polygons = [[round(float(value), 2) for value in ring.ravel()] for ring in rings]
            yield _annotation(CRACK, polygons, crack.area_px, crack.box, float(answer.probability[pixels].mean()))


def _annotation(name: str, polygons: list[list[float]], area: int, box: Box, score: float) -> dict[str, Any]:
    return {
        "category_id": NAMES.index(name) + 1,
        "segmentation": polygons,
        "area": area,
        "bbox": [box.x, box.y, box.w, box.h],
        "iscrowd": 0,
        "score": score,
    }


def _of_findings(findings: Sequence[Finding], size: tuple[int, int] | None) -> Detections:
    names = [TILE if finding.length_px is None else CRACK for finding in findings]
    stacked = None
    if size is not None and findings:
        stacked = np.zeros((len(findings), *size), bool)
        for mask, finding in zip(stacked, findings, strict=True):
            _lay(mask, *paint_outline(finding.outline, finding.holes))
    return _detections([one.box for one in findings], [one.probability for one in findings], names, stacked)


def _detections(
    boxes: Sequence[Box], scores: Sequence[float], names: Sequence[str], masks: np.ndarray | None
) -> Detections:
    from supervision import Detections

    if not boxes:
        return Detections.empty()
    return Detections(
        xyxy=np.array([(box.x, box.y, box.x + box.w, box.y + box.h) for box in boxes], np.float32),
        mask=masks,
        confidence=np.array(scores, np.float32),
        class_id=np.array([NAMES.index(name) for name in names], int),
        data={"class_name": np.array(names)},
    )
