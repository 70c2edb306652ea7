from __future__ import annotations

import numpy as np

from crack_tf.adaptation.head import Head
from studies.adapt_features import BLOCKS, CANDIDATES, LATE, LATE_MAX, MAP, Known, last_blocks, measure, table


def known(count: int, seed: int, photos: list[str]) -> Known:
    """Cracks differ in block 6 a lot, and in what the shipped layer sees a little."""
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % 2
    names = (LATE, LATE_MAX, *(f"{block} {pool}" for block in BLOCKS for pool in ("mean", "max")))
    features = {name: rng.normal(0, 1, (count, 4)).astype(np.float32) for name in names}
    features[LATE][:, 0] += labels
    features["6 max"][:, 1] += 4 * labels
    features[MAP] = features[LATE][:, :1]
    images = np.zeros((count, 8, 8, 3), np.uint8)
    return Known(
        labels, images, np.array(photos), np.arange(count) % 4 < 2, features, Head(np.eye(4, dtype=np.float32)[0], 0)
    )


def test_every_candidate_answers_and_one_that_sees_the_block_that_tells_cracks_calls_fewer_clean_tiles() -> None:
    here = known(160, 0, [f"IMG_{place // 4}" for place in range(160)])
    others = known(80, 1, ["walls"] * 40 + ["decks"] * 40)
    candidates = {name: candidate for name, candidate in CANDIDATES.items() if candidate is not last_blocks}
    rows = measure("pier", here, others, 2, candidates)
    found = {row["candidate"]: row for row in rows if row["labels"] == 40}
    assert set(found) == set(candidates)
    assert all(np.isfinite(row["auc"]) and row["draws"] == 2 for row in rows)
    before = found["shipped"]["false_alarms_at_98"]
    assert found["shipped"]["auc_change_elsewhere"] == 0
    for name in ("block 6, 1", "all blocks, 1", "block 6, averaged", "block 6, whitened"):
        assert found[name]["auc"] > found["shipped"]["auc"] + 0.1
        assert found[name]["auc"] > found["block 3, 1"]["auc"] + 0.1
    assert found["highest of the map"]["false_alarms_at_98"] == before  # drawn so
    text = table(rows, 40)
    assert text.startswith("| 40 labels | pier | mean |")
    assert f"| shipped | {before:.2f} | {before:.3f} |" in text


def test_more_labels_than_a_site_has_are_not_drawn() -> None:
    here = known(48, 0, [f"IMG_{place // 4}" for place in range(48)])
    rows = measure("pier", here, known(40, 1, ["walls"] * 40), 1, {"shipped": CANDIDATES["shipped"]})
    assert {row["labels"] for row in rows} == {20}
