"""What a survey says about real photographs: cracks found and false findings, photograph by photograph.

Photographs are searched as `crack-tf survey` searches them, both models and all rules. On crack-free ones every confirmed finding is
false. On ones with a mask a finding is right when half of what it outlines lies within 8 pixels of a true crack; a crack is found
when a right finding touches it. Parts of a mask within 16 pixels of each other are one crack, and what is shorter than 40 pixels is
none, as in the survey itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from functools import partial
from pathlib import Path

import numpy as np

from crack_tf.data.registry import prepare
from crack_tf.evaluation.suite.rows import FrocRow, PhotographRow, SceneRow
from crack_tf.photo.doubt import MIN_LENGTH_PX
from crack_tf.survey.findings import CONFIRMED, Finding
from crack_tf.survey.geometry.camera import Shot
from crack_tf.survey.searching.search import Plan, Searcher
from crack_tf.survey.searching.validate import LINK_PX
from crack_tf.survey.source import Frame, Item
from tflite.errors import CrackError
from tflite.images import decode_rgb
from tflite.manifest import Item as ManifestItem
from tflite.manifest import Manifest
from tflite.masks import load_mask

# Data set and split; of a set that no shipped model trains on, all of it.
SCENES = (("scenes_whole", "all"), ("uav_concrete", "test"), ("deepcrack", "test"), ("conglomerate", "test"))
NEAR_PX = 8
_RESAMPLES = 2000


@dataclass(frozen=True)
class PhotoScore(PhotographRow):
    """What a survey found on one photograph.

    Attributes:
        scores: of the false findings and of the best right one of each found crack; for the curve.
    """

    scores: tuple[tuple[float, ...], tuple[float, ...]]


def true_cracks(mask: np.ndarray) -> np.ndarray:
    """Numbers of the cracks of a mask.

    Args:
        mask: bool (h, w).

    Returns:
        int32 (h, w): 1, 2 ... within 8 pixels of each crack, 0 elsewhere.
    """
    import cv2

    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * NEAR_PX + 1, 2 * NEAR_PX + 1))
    _, labels, stats, _ = cv2.connectedComponentsWithStats(cv2.dilate(mask.astype(np.uint8), kernel), connectivity=8)
    assert 2 * NEAR_PX == LINK_PX
    # The dilation made each of them longer by its reach at both ends.
    long_enough = np.hypot(stats[:, 2] - 2 * NEAR_PX, stats[:, 3] - 2 * NEAR_PX) >= MIN_LENGTH_PX
    long_enough[0] = False
    numbers = np.where(long_enough, np.cumsum(long_enough), 0)
    return np.asarray(numbers[labels], np.int32)


def judge(findings: Sequence[Finding], cracks: np.ndarray) -> tuple[dict[int, float], int, list[float]]:
    """Compare the confirmed findings of a photograph with its cracks.

    Args:
        findings: of the photograph.
        cracks: from `true_cracks`.

    Returns:
        The best score of each crack that was found, how many findings are right, and the scores of the false ones.
    """
    found: dict[int, float] = {}
    right, false = 0, []
    for finding in findings:
        if finding.validation != CONFIRMED:
            continue
        score = float(finding.validation_score or 0.0)
        under = cracks[_filled(finding, cracks.shape)]
        if under.size and (under > 0).mean() >= 0.5:
            right += 1
            for number in np.unique(under[under > 0]).tolist():
                found[number] = max(score, found.get(number, 0.0))
        elif under.size:
            false.append(score)
    return found, right, false


def score_photos(
    name: str, classifier: Path, segmenter: Path, side: int | None, jobs: int, limit: int | None
) -> list[PhotoScore]:
    """Search the photographs of `SCENES` that are on this machine.

    Args:
        name: of the classifier.
        classifier, segmenter: .tflite files.
        side: of a tile in pixels; None for that of the model's training tiles.
        jobs: threads.
        limit: at most so many photographs of each set.
    """
    scores = []
    plan = Plan(classifier=classifier, side=side, overlap=0.25, segmenter=segmenter, foreground=True)
    with Searcher(plan, jobs) as searcher:
        for data, split in SCENES:
            for item, image, mask in _photographs(data, split, limit):
                frame = Frame(item.sha256, image, Shot())
                searched = searcher.search(Item(item.path, 0, image.shape[0] * image.shape[1], partial(_give, frame)))
                if searched.gap is not None:
                    raise CrackError(f"{item.path} of {data} cannot be searched: {searched.gap.detail}")
                cracks = true_cracks(mask)
                found, right, false = judge(searched.findings, cracks)
                other = sum(finding.validation != CONFIRMED for finding in searched.findings)
                scores.append(
                    PhotoScore(
                        name, data, split, item.path, int(cracks.max()), len(found), right, len(false), other,
                        (tuple(found.values()), tuple(false)),
                    )
                )  # fmt: skip
    return scores


def photo_rows(scores: Sequence[PhotoScore]) -> list[PhotographRow]:
    """One row per photograph."""
    names = [field.name for field in fields(PhotographRow)]
    return [PhotographRow(**{name: getattr(score, name) for name in names}) for score in scores]


def scene_rows(scores: Sequence[PhotoScore]) -> list[SceneRow]:
    """Per model and set: shares and rates, with 95 % percentile bootstrap intervals over photographs."""
    rows = []
    for model, data, split in dict.fromkeys((score.model, score.set, score.split) for score in scores):
        some = [score for score in scores if (score.model, score.set) == (model, data)]
        counts = np.array([[s.cracks, s.found, s.right, s.false] for s in some], np.int64)
        draws = np.random.default_rng(0).integers(0, len(some), (_RESAMPLES, len(some)))
        drawn = counts[draws].sum(axis=1)
        cracks, found, right, false = counts.sum(axis=0).tolist()
        with np.errstate(invalid="ignore", divide="ignore"):
            recall = _interval(found / cracks if cracks else None, drawn[:, 1] / drawn[:, 0])
            wrong = _interval(false / len(some), drawn[:, 3] / len(some))
        rows.append(
            SceneRow(
                model, data, split, len(some), cracks, found, right, false, int((counts[:, 3] > 0).sum()),
                *recall, right / found if found else None, *wrong,
            )
        )  # fmt: skip
    return rows


def froc(scores: Sequence[PhotoScore]) -> list[FrocRow]:
    """False findings per photograph against the share of cracks found, as the least score of a finding rises (Bunch et al., 1977)."""
    rows = []
    for model in dict.fromkeys(score.model for score in scores):
        some = [score for score in scores if score.model == model]
        hits = np.array([value for score in some for value in score.scores[0]])
        false = np.array([value for score in some for value in score.scores[1]])
        cracks = sum(score.cracks for score in some)
        for cut in np.unique(np.round(np.concatenate([hits, false]), 2)).tolist():
            rows.append(
                FrocRow(
                    model=model,
                    least_score=cut,
                    recall=float((hits >= cut).sum() / cracks) if cracks else None,
                    false_per_photograph=float((false >= cut).sum() / len(some)),
                )
            )
    return rows


def _photographs(data: str, split: str, limit: int | None) -> Iterator[tuple[ManifestItem, np.ndarray, np.ndarray]]:
    manifest: Manifest = prepare(data)
    for item in manifest.split(split)[:limit]:
        image = decode_rgb(manifest.read(item), item.path)
        yield item, image, load_mask(manifest, item, image.shape[:2])


def _give(frame: Frame) -> Frame:
    return frame


def _filled(finding: Finding, shape: tuple[int, ...]) -> np.ndarray:
    """bool (h, w): what a finding outlines."""
    import cv2

    drawn = np.zeros(shape, np.uint8)
    for ring in finding.outline:
        cv2.fillPoly(drawn, [np.rint(np.array(ring)).astype(np.int32)], 1)
    return drawn.astype(bool)


def _interval(value: float | None, drawn: np.ndarray) -> tuple[float | None, float | None, float | None]:
    """A rate with the bounds of its 95 % interval."""
    defined = drawn[np.isfinite(drawn)]
    low, high = np.quantile(defined, (0.025, 0.975)).tolist() if defined.size and value is not None else (None, None)
    return value, low, high
