"""A search's configuration: what contradicts itself is refused, and its options give it back, as every worker is started with them."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crack_tf.tune import make_parser
from tflite.errors import CrackError
from tuning import ALGORITHMS
from tuning.tune_config import TuneConfig


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"target_recall": 0}, "--target-recall 0"),
        ({"factor": 1}, "--factor 1"),
        ({"algorithm": "random", "fidelity": "data"}, "--fidelity data is for hyperband"),
        ({"final_epochs": 3}, "--final-epochs 3 is for --finalists"),
        ({"study": "all", "only": "width"}, "--study has its own experiments"),
        ({"study": "all", "left_out": ("brick",)}, "--study repeats published experiments"),
        ({"model": "unet", "teacher": "run"}, "--teacher and --left-out are for classifiers; unet draws masks"),
    ],
)
def test_what_contradicts_itself_is_named(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(CrackError) as caught:
        TuneConfig(**changes)
    assert message in str(caught.value)


_COUNTS = st.integers(1, 99)
CONFIGS = st.builds(
    TuneConfig,
    model=st.none() | st.just("opnet"),
    algorithm=st.sampled_from(ALGORITHMS),
    data=st.none() | st.sampled_from(("metu", "my walls.csv")),
    fix=st.lists(st.sampled_from(("batch=16", "image_size=32", "loss=bce+dice")), max_size=2, unique=True).map(tuple),
    vary=st.lists(st.just("width=4,8"), max_size=1).map(tuple),
    only=st.none() | st.just("width,blocks"),
    trials=_COUNTS,
    epochs=_COUNTS,
    factor=st.integers(2, 9),
    limit=st.none() | _COUNTS | st.floats(0.01, 0.99),
    target_recall=st.floats(0.01, 1),
    max_latency_ms=st.none() | st.floats(0.1, 100),
    reference=st.none() | st.just(Path("reference.tflite")),
    teacher=st.none(),
    left_out=st.lists(st.sampled_from(("brick", "my piers.csv")), max_size=2, unique=True).map(tuple),
    finalists=st.integers(0, 3),
    seed=st.integers(0, 99),
)


@given(CONFIGS)
def test_the_options_of_a_configuration_give_it_back(config: TuneConfig) -> None:
    args = make_parser().parse_args(config.options())
    given = {entry.name: getattr(args, entry.name) for entry in fields(TuneConfig)}
    assert TuneConfig(**given | {name: tuple(given[name]) for name in ("fix", "vary", "left_out")}) == config
