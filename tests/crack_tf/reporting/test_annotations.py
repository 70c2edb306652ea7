"""Answers become supervision's Detections and COCO without losing a pixel, a place or a probability.

Where supervision is not installed, a stand-in takes its place that checks what its Detections check.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass, field, replace
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw

import crack_tf
from crack_tf.inference.photographs import ClassifiedPhoto, DrawnPhoto
from crack_tf.inference.tiles import Tile
from crack_tf.reporting.annotations import CRACK, NAMES, TILE, crack_masks
from crack_tf.survey.findings import REFUTED, Survey
from crack_tf.survey.reviews.review import ACCEPTED, REJECTED, Decision, Review
from crack_tf.survey.searching.search import Stopwatch
from crack_tf.survey.surveying import SurveyResult
from tests.crack_tf.survey.drawn_surveys import drawn_survey
from tflite.device.tiles import Box
from tflite.errors import CrackError

SHAPE = (120, 200)


@dataclass
class StandIn:
    xyxy: np.ndarray
    mask: np.ndarray | None = None
    confidence: np.ndarray | None = None
    class_id: np.ndarray | None = None
    data: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        count = len(self.xyxy)
        assert self.xyxy.ndim == 2
        assert self.xyxy.shape[1] == 4
        for value in (self.confidence, self.class_id, *self.data.values()):
            assert value is None or value.shape == (count,)
        assert self.mask is None or (self.mask.ndim == 3 and len(self.mask) == count and self.mask.dtype == bool)

    def __len__(self) -> int:
        return len(self.xyxy)

    @classmethod
    def empty(cls) -> StandIn:
        return cls(np.empty((0, 4), np.float32), None, np.array([], np.float32), np.array([], int))


@pytest.fixture(autouse=True)
def supervision(monkeypatch: pytest.MonkeyPatch) -> None:
    if find_spec("supervision") is None:
        module: Any = ModuleType("supervision")
        module.__spec__, module.Detections = ModuleSpec("supervision", None), StandIn
        monkeypatch.setitem(sys.modules, "supervision", module)


@pytest.fixture
def classified() -> ClassifiedPhoto:
    tiles = (Tile(Box(0, 0, 60, 60), 3.0, 0.95, True), Tile(Box(60, 100, 60, 100), -3.0, 0.05, False))
    return ClassifiedPhoto("pier.jpg", np.zeros((*SHAPE, 3), np.uint8), tiles, 0.5, "dark-int8-ptq")


@pytest.fixture
def drawn() -> DrawnPhoto:
    """Two lines that are joined to one crack, a ring with a hole, and a line in the bend: boxes overlap, pixels do not."""
    picture = Image.new("1", SHAPE[::-1])
    pen = ImageDraw.Draw(picture)
    pen.line((10, 10, 190, 14), fill=1, width=3)
    pen.ellipse((20, 40, 80, 100), outline=1, width=4)
    pen.line(((110, 30), (110, 110), (190, 110)), fill=1, width=3)
    pen.line(((130, 40), (180, 90)), fill=1, width=3)
    mask = np.array(picture)
    probability = np.where(mask, np.float32(0.75), np.float32(0.1))
    return DrawnPhoto("wall.jpg", np.zeros((*SHAPE, 3), np.uint8), probability, mask, 0.5, None, "lines-int8-ptq")


def test_masks_of_cracks_are_the_mask_taken_apart(drawn: DrawnPhoto) -> None:
    masks = crack_masks(drawn)
    assert [crack.parts for crack in drawn.cracks] == [2, 1, 1]
    assert len(masks) == 3
    assert (np.sum(masks, axis=0) == drawn.mask).all()
    assert [int(mask.sum()) for mask in masks] == [crack.area_px for crack in drawn.cracks]


def test_cracked_tiles_are_detections(classified: ClassifiedPhoto) -> None:
    found = crack_tf.to_detections(classified)
    assert found.xyxy.tolist() == [[0, 0, 60, 60]]
    assert found.confidence.tolist() == pytest.approx([0.95])
    assert (found.class_id.tolist(), list(found.data["class_name"]), found.mask) == ([1], [TILE], None)


def test_drawn_cracks_are_detections_with_masks(drawn: DrawnPhoto) -> None:
    found = crack_tf.to_detections(drawn)
    assert (found.mask.any(axis=0) == drawn.mask).all()
    for mask, (left, top, right, lower) in zip(found.mask, found.xyxy.astype(int).tolist(), strict=True):
        rows, columns = np.nonzero(mask)
        assert (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1) == (left, top, right, lower)
    assert found.confidence.tolist() == pytest.approx([0.75] * 3)
    assert set(found.data["class_name"]) == {CRACK}
    assert crack_tf.to_detections(drawn, masks=False).mask is None


def test_nothing_found_is_empty_not_none(drawn: DrawnPhoto) -> None:
    nothing = DrawnPhoto(drawn.name, drawn.image, drawn.probability, np.zeros(SHAPE, bool), 0.5, None, drawn.model)
    assert len(crack_tf.to_detections(nothing)) == 0
    assert crack_tf.to_coco([nothing])["annotations"] == []
    assert len(crack_tf.to_coco([nothing])["images"]) == 1


def test_coco_covers_the_same_pixels(drawn: DrawnPhoto, classified: ClassifiedPhoto) -> None:
    content = json.loads(json.dumps(crack_tf.to_coco([classified, drawn])))
    assert [(image["file_name"], image["width"], image["height"]) for image in content["images"]] == [
        ("pier.jpg", 200, 120),
        ("wall.jpg", 200, 120),
    ]
    assert [category["name"] for category in content["categories"]] == list(NAMES)
    tile, *cracks = content["annotations"]
    assert (tile["image_id"], tile["category_id"], tile["bbox"]) == (1, 2, [0, 0, 60, 60])
    assert {(crack["image_id"], crack["category_id"]) for crack in cracks} == {(2, 1)}
    assert [crack["id"] for crack in cracks] == [2, 3, 4]
    for annotation, crack, mask in zip(cracks, drawn.cracks, crack_masks(drawn), strict=True):
        assert annotation["area"] == crack.area_px
        picture = Image.new("L", (8 * SHAPE[1], 8 * SHAPE[0]))  # finer than the polygons' steps of half a pixel
        for ring in annotation["segmentation"]:
            ImageDraw.Draw(picture).polygon([8 * value for value in ring], fill=1)
        covered = np.array(picture).reshape(SHAPE[0], 8, SHAPE[1], 8).mean(axis=(1, 3)) > 0.5
        assert (covered & mask).sum() / (covered | mask).sum() > 0.9


def test_two_answers_about_one_photograph_are_one_image(drawn: DrawnPhoto, classified: ClassifiedPhoto) -> None:
    same = replace(classified, name=drawn.name)
    elsewhere = replace(same, image=np.ones((*SHAPE, 3), np.uint8))  # in another folder, of the same name
    content = crack_tf.to_coco([drawn, same, elsewhere, drawn])
    assert [image["id"] for image in content["images"]] == [1, 2]
    cracks = [1] * len(drawn.cracks)  # once, though their answer is given twice
    assert [annotation["image_id"] for annotation in content["annotations"]] == [*cracks, 1, 2]
    assert [annotation["id"] for annotation in content["annotations"]] == [*range(1, len(cracks) + 3)]


def test_a_tile_that_two_classifiers_call_cracked_has_the_higher_score(classified: ClassifiedPhoto) -> None:
    surer = replace(classified, tiles=tuple(replace(tile, probability=1.0) for tile in classified.tiles))
    for answers in ([classified, surer], [surer, classified]):
        scores = [annotation["score"] for annotation in crack_tf.to_coco(answers)["annotations"]]
        assert scores == [1.0] * len(classified.cracked) != []


def test_a_single_answer_is_a_list_of_one(drawn: DrawnPhoto, classified: ClassifiedPhoto) -> None:
    for answer in (drawn, classified):
        assert crack_tf.to_coco(answer) == crack_tf.to_coco([answer])


def test_a_survey_gives_detections_by_photograph_and_coco(tmp_path: Path) -> None:
    survey = drawn_survey(tmp_path, 6, photos=4, seed=3)
    result = SurveyResult(tmp_path, survey, Stopwatch().performance(0, 0, 1, 0), len(survey.photos), 0, None)
    found = crack_tf.to_detections(result, masks=False)
    assert set(found) == {photo.name for photo in survey.photos}
    kept = [finding for finding in survey.findings if finding.validation != REFUTED]
    assert sum(map(len, found.values())) == len(kept) > 0
    for name, some in found.items():
        mine = [finding for finding in kept if finding.photo == name]
        assert some.xyxy.tolist() == [[f.box.x, f.box.y, f.box.x + f.box.w, f.box.y + f.box.h] for f in mine]
    masked = crack_tf.to_detections(result)
    assert all(some.mask is None or some.mask.shape[0] == len(some) for some in masked.values())
    content = crack_tf.to_coco(result)
    assert len(content["annotations"]) == len(kept)
    first, second, *others = survey.findings
    refuted = replace(first, validation=REFUTED)
    decisions = {refuted.id: Decision(ACCEPTED), second.id: Decision(REJECTED)}
    decided = replace(
        result,
        survey=replace(survey, findings=(refuted, second, *others)),
        review=Review("", "", "", "", decisions),
    )
    shown = [box for some in crack_tf.to_detections(decided, masks=False).values() for box in some.xyxy.tolist()]
    expected = [[f.box.x, f.box.y, f.box.x + f.box.w, f.box.y + f.box.h] for f in (first, *others)]
    assert sorted(shown) == sorted(expected)


def test_what_is_no_answer_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(CrackError, match="answer is Survey: give what a model predicted"):
        crack_tf.to_detections(Survey("DCIM", "2024-01-01T00:00:00Z", {}, {}, (), (), ()))  # type: ignore[call-overload]
    with pytest.raises(CrackError, match="answers hold str"):
        crack_tf.to_coco(["pier.jpg"])  # type: ignore[list-item]
    for value, name in ((None, "NoneType"), (5, "int")):
        with pytest.raises(CrackError, match=f"answers is {name}: give what a model predicted, or a survey"):
            crack_tf.to_coco(value)  # type: ignore[arg-type]
    with pytest.raises(CrackError, match=r"which could not be read \(damaged\)"):
        crack_tf.to_coco(crack_tf.UnreadPhoto("a.jpg", None, "damaged"))  # type: ignore[arg-type]
    monkeypatch.setitem(sys.modules, "supervision", None)
    with pytest.raises(CrackError, match="supervision is not installed, it comes with the extra supervision"):
        crack_tf.to_detections("pier.jpg")  # type: ignore[call-overload]
