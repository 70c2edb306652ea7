"""An argument of a wrong kind is named, with its value and what to give; nothing fails inside."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import crack_tf
from crack_tf.deploy.bundle import BundleConfig
from crack_tf.evaluation.config import EvaluateConfig
from crack_tf.inference import photographs
from crack_tf.survey import surveying
from crack_tf.survey.config import SurveyConfig
from crack_tf.survey.handover import HandoverConfig
from crack_tf.zoo.adoption import AdoptConfig
from tflite.arguments import check_types
from tflite.errors import CrackError
from tflite.scaling import Scaling
from tflite.timing import BenchmarkConfig

# What follows calls them with what their types forbid.
load: Any = photographs.load
survey: Any = surveying.survey


@dataclass(frozen=True)
class Sample:
    count: int = 1
    share: float = 0.5
    name: str | None = None
    place: Path | None = None
    flag: bool = False
    names: tuple[str, ...] = ()
    other: Any = None


ANYTHING = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(),
    st.binary(),
    st.lists(st.integers()),
    st.just(object()),
)


@given(ANYTHING, st.sampled_from(["count", "share", "name", "place", "flag", "names", "other"]))
def test_a_value_is_taken_or_refused_by_its_option(value: Any, name: str) -> None:
    right: dict[str, tuple[type, ...]] = {
        "count": (int,), "share": (int, float), "name": (str, type(None)), "place": (str, type(None)), "flag": (bool,),
        "names": (list,), "other": (object,),
    }  # fmt: skip
    fits = isinstance(value, right[name]) and (name in ("flag", "other") or not isinstance(value, bool))
    if fits:
        check_types(Sample(**{name: value}))
        return
    with pytest.raises(CrackError) as caught:
        check_types(Sample(**{name: value}))
    assert str(caught.value).startswith(f"--{name} ")


@pytest.mark.parametrize(
    ("make", "named"),
    [
        (lambda: SurveyConfig(overlap="a quarter"), "--overlap 'a quarter': give a number"),  # type: ignore[arg-type]
        (lambda: SurveyConfig(distance_m="2"), "--distance-m '2': give a number or None"),  # type: ignore[arg-type]
        (lambda: SurveyConfig(jobs=1.5), "--jobs 1.5: give a whole number or None"),  # type: ignore[arg-type]
        (lambda: SurveyConfig(flight_log=3), "--flight-log 3: give a path or None"),  # type: ignore[arg-type]
        (lambda: EvaluateConfig("synthetic", threshold="0.5"), "--threshold '0.5'"),  # type: ignore[arg-type]
        (lambda: crack_tf.TrainConfig(hyperparameters=["dropout"]), "--hyperparameters"),  # type: ignore[arg-type]
        (lambda: crack_tf.TrainConfig(init_from=3), "--init-from 3"),  # type: ignore[arg-type]
        (lambda: crack_tf.ExportConfig(data=3), "--data 3"),  # type: ignore[arg-type]
        (lambda: BundleConfig("opnet"), "--models 'opnet': give a list"),  # type: ignore[arg-type]
        (lambda: BundleConfig((), split="tests"), "--split 'tests': choose one of train, val, test, all"),
        (lambda: BundleConfig((), seed=-1), "--seed -1: give a whole number from 0"),
        (lambda: AdoptConfig(Scaling(), ("a", "b"), "0.5"), "--threshold '0.5': give a number"),  # type: ignore[arg-type]
        (lambda: AdoptConfig(Scaling(), ("a", "b"), 1), "--threshold 1: choose a probability strictly between 0 and 1"),
        (lambda: AdoptConfig(Scaling(), ("a",), 0.5), "--classes a: give two names"),  # type: ignore[arg-type]
        (lambda: AdoptConfig("unit", ("a", "b"), 0.5), "scaling is 'unit'"),  # type: ignore[arg-type]
        (lambda: AdoptConfig(Scaling(), ("a", "b"), 0.5, head="sigmoid"), "--head 'sigmoid': choose one of logit"),
        (lambda: crack_tf.TrainConfig(teacher=5), "--teacher 5: give "),  # type: ignore[arg-type]
        (lambda: HandoverConfig(masks=1), "--masks 1: give a text"),  # type: ignore[arg-type]
        (lambda: BenchmarkConfig("a.tflite"), "--models 'a.tflite': give a list"),  # type: ignore[arg-type]
        (lambda: BenchmarkConfig([], limit=0), "--limit 0: give a whole number from 1"),
        (lambda: BenchmarkConfig([], warmup=-1), "--warmup -1: give a whole number from 0"),
        (lambda: BenchmarkConfig([], fps="5"), "--fps '5': give a number or None"),  # type: ignore[arg-type]
    ],
)
def test_a_configuration_names_the_field(make: Any, named: str) -> None:
    with pytest.raises(CrackError) as caught:
        make()
    assert str(caught.value).startswith(named)


@pytest.mark.parametrize(
    ("call", "named"),
    [
        (lambda: load(3), "model is 3: give"),
        (lambda: load("opnet_lite_nano", jobs="2"), "jobs is '2': give a whole number"),
        (lambda: load("opnet_lite_nano").predict(3.5), "photo is float"),
        (lambda: survey(None, "found"), "source is None: give a folder of photographs"),
        (lambda: survey("DCIM", 3), "out is 3: give a folder"),
        (
            lambda: survey("DCIM", "found", {"distance_m": 2}),
            "config is {'distance_m': 2}: give the result of crack_tf.SurveyConfig",
        ),
        (lambda: survey("DCIM", "found", distance_m="2"), "--distance-m '2'"),
    ],
)
def test_a_function_names_the_argument(call: Any, named: str) -> None:
    pytest.importorskip("cv2")
    with pytest.raises(CrackError) as caught:
        call()
    assert str(caught.value).startswith(named)


def test_training_and_export_name_the_argument() -> None:
    pytest.importorskip("keras")
    with pytest.raises(CrackError, match=r"^config is 'opnet': give the result of crack_tf\.TrainConfig"):
        crack_tf.train("opnet")  # type: ignore[arg-type]
    with pytest.raises(CrackError, match=r"^out is 3: give a run folder"):
        crack_tf.train(crack_tf.TrainConfig(), out=3)  # type: ignore[arg-type]
    with pytest.raises(CrackError, match=r"^config is 'int8': give the result of crack_tf\.ExportConfig"):
        crack_tf.export("runs/opnet", "int8")  # type: ignore[arg-type]
    with pytest.raises(CrackError, match=r"^run is 3: give a run folder"):
        crack_tf.export(3)  # type: ignore[arg-type]
