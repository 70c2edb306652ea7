"""The suite's tables on answers: lists of rows. Every rate has its counts and a Wilson 95 % interval."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from crack_tf.evaluation.calibration import brier_score, expected_calibration_error, prevalence_table
from crack_tf.evaluation.conformal import band, smallest_risk
from crack_tf.evaluation.suite.answers import Answers, TestSet
from crack_tf.evaluation.suite.corruptions import CORRUPTIONS, SEVERITIES
from crack_tf.evaluation.suite.rows import CalibrationRow, CorruptionRow, DomainRow, RarityRow, SplitRow, WorstRow
from tflite.metrics import confusion, rates_of, roc_auc, sigmoid

# METU is half cracked; on a bridge a tile in a hundred may be.
PREVALENCES = (1 / 2, 1 / 6, 1 / 11, 1 / 101)
RISK = 0.001  # accepted miss rate of the conformal bound: recall 99.9 %
_AUC_DRAWS = 500


def split_row(answers: Answers, name: str, model: Path, tiles: TestSet) -> SplitRow:
    """One model on one set at its own threshold: counts, rates with intervals, AUC with a bootstrap interval."""
    logits = answers.logits(model, tiles)
    sidecar = answers.predictor(model).sidecar
    low, high = auc_interval(logits, tiles.labels)
    return SplitRow(
        model=name,
        scheme=sidecar.scheme,
        model_sha256=sidecar.sha256,
        trained_on=trained_on(sidecar.training),
        set=tiles.name,
        split=tiles.split,
        manifest_sha256=tiles.sha256,
        n=len(tiles.labels),
        **vars(rates_of(confusion(logits, tiles.labels, answers.threshold(model)))),
        auc=roc_auc(logits, tiles.labels),
        auc_low=low,
        auc_high=high,
    )


def domain_rows(matrix: Sequence[SplitRow]) -> list[DomainRow]:
    """Per model: mean and worst over the left-out sets of both classes, at the model's own threshold. Sets count alike.

    Args:
        matrix: rows of `split_row` with the column "left_out".
    """
    rows = []
    for model in dict.fromkeys(row.model for row in matrix):
        sets = [row for row in matrix if row.model == model and row.left_out and row.auc is not None]
        if not sets:
            continue
        worst = min(sets, key=lambda row: _known(row.auc))
        means = {
            f"mean_{name}": sum(getattr(row, name) for row in sets) / len(sets)
            for name in ("auc", "recall", "specificity")
        }
        names = ", ".join(row.set for row in sets)
        rows.append(
            DomainRow(
                model=model,
                sets=len(sets),
                **means,
                worst_auc=_known(worst.auc),
                worst_set=worst.set,
                names=names,
            )
        )
    return rows


def corruption_rows(answers: Answers, name: str, model: Path, tiles: TestSet) -> list[CorruptionRow]:
    """Recall and specificity under every corruption and severity, and their difference from the clean tiles in points."""
    threshold = answers.threshold(model)
    clean = confusion(answers.logits(model, tiles), tiles.labels, threshold)
    rows = []
    for kind in CORRUPTIONS:
        for severity in SEVERITIES:
            logits = answers.logits(model, tiles, kind, severity)
            counts = confusion(logits, tiles.labels, threshold)
            rows.append(
                CorruptionRow(
                    model=name,
                    set=tiles.name,
                    manifest_sha256=tiles.sha256,
                    n=len(tiles.labels),
                    corruption=kind,
                    severity=severity,
                    **vars(rates_of(counts)),
                    auc=roc_auc(logits, tiles.labels),
                    recall_change_points=100 * (counts.recall - clean.recall),
                    specificity_change_points=100 * (counts.specificity - clean.specificity),
                )
            )
    return rows


def prevalence_rows(answers: Answers, name: str, model: Path, tiles: TestSet) -> list[RarityRow]:
    """What precision becomes where cracks are rarer than in the test set, at the shipped threshold."""
    counts = confusion(answers.logits(model, tiles), tiles.labels, answers.threshold(model))
    return [
        RarityRow(model=name, set=tiles.name, manifest_sha256=tiles.sha256, **asdict(row))
        for row in prevalence_table(counts, PREVALENCES)
    ]


def calibration_row(answers: Answers, name: str, model: Path, held_out: TestSet, val: TestSet) -> CalibrationRow:
    """Calibration error, the conformal bound on missed cracks, and the share of tiles it leaves uncertain.

    The bound is calibrated on validation and every second test tile, and counted on the other test tiles: validation alone has
    too few cracks to promise a miss rate of 0.1 %.
    """
    logits, labels = answers.logits(model, held_out), held_out.labels
    tuning, rest = held_out.half(0), held_out.half(1)
    scores = np.concatenate([answers.logits(model, val), logits[tuning]])
    truth = np.concatenate([val.labels, labels[tuning]])
    found = band(scores, truth, RISK)
    uncertain = found.uncertain(logits[rest])
    cracks, clean = labels[rest] == 1, labels[rest] == 0
    missed = int(np.sum(logits[rest][cracks] < found.low))
    calibration_cracks = int(np.sum(truth == 1))
    return CalibrationRow(
        model=name,
        set=held_out.name,
        manifest_sha256=held_out.sha256,
        ece=expected_calibration_error(logits, labels),
        brier=brier_score(logits, labels),
        risk=RISK,
        calibration_cracks=calibration_cracks,
        calibration_clean=int(np.sum(truth == 0)),
        smallest_risk_provable=smallest_risk(calibration_cracks),
        low_probability=_probability(found.low),
        high_probability=_probability(found.high),
        tested_cracks=int(cracks.sum()),
        missed_below_low=missed,
        tested_clean=int(clean.sum()),
        uncertain_cracks=int(np.sum(uncertain & cracks)),
        uncertain_clean=int(np.sum(uncertain & clean)),
        uncertain_share=float(np.mean(uncertain)),
    )


def auc_interval(logits: np.ndarray, labels: np.ndarray, seed: int = 0) -> tuple[float | None, float | None]:
    """95 % percentile bootstrap interval of the AUC over tiles, each class drawn apart; (None, None) without both classes."""
    positives, negatives = logits[labels == 1], logits[labels == 0]
    if not positives.size or not negatives.size:
        return None, None
    rng = np.random.default_rng(seed)
    truth = np.concatenate([np.ones(positives.size), np.zeros(negatives.size)])
    values = []
    for _ in range(_AUC_DRAWS):
        drawn = np.concatenate([rng.choice(positives, positives.size), rng.choice(negatives, negatives.size)])
        value = roc_auc(drawn, truth)
        assert value is not None
        values.append(value)
    low, high = np.quantile(values, [0.025, 0.975])
    return float(low), float(high)


def trained_on(training: dict[str, Any]) -> str:
    """Data set and split policy that made a model, such as "metu-joint"."""
    parts = [str(training[key]) for key in ("dataset", "policy") if training.get(key)]
    return "-".join(parts) or "unknown"


def worst_corruptions(rows: Sequence[CorruptionRow], severity: int = 3) -> list[WorstRow]:
    """Per model the corruption that costs most recall and the one that costs most specificity, at one severity."""
    worst = []
    for name in dict.fromkeys(row.model for row in rows):
        mine = [row for row in rows if row.model == name and row.severity == severity]
        by_recall = min(mine, key=lambda row: _known(row.recall))
        by_specificity = min(mine, key=lambda row: _known(row.specificity))
        worst.append(
            WorstRow(
                model=name,
                severity=severity,
                worst_for_recall=by_recall.corruption,
                recall=by_recall.recall,
                worst_for_specificity=by_specificity.corruption,
                specificity=by_specificity.specificity,
                mean_recall=float(np.mean([_known(row.recall) for row in mine])),
                mean_specificity=float(np.mean([_known(row.specificity) for row in mine])),
            )
        )
    return worst


def _probability(logit: float) -> float | None:
    return float(sigmoid(logit)) if math.isfinite(logit) else None


def _known(value: float | None) -> float:
    """A rate of a set that holds both classes."""
    assert value is not None
    return value
