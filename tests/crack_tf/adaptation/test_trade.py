from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from crack_tf.adapt import tell
from crack_tf.adaptation.adapting import _line
from crack_tf.adaptation.guard import SiteRow, trade
from crack_tf.adaptation.result import Adapted

ROW = SiteRow("head", True, "", 125, 93, 28, 112, 108, 39, 24, 0.129, 0.02, 0.83, 0.11, 0.143, -0.374, 322.0)


@pytest.mark.parametrize(
    ("found", "alarms", "paid"),
    [
        (108, 24, "4 fewer cracks found, for 15 fewer false alarms"),
        (111, 38, "1 fewer crack found, for 1 fewer false alarm"),
        (111, 39, "1 fewer crack found"),
        (120, 49, "8 more cracks found, for 10 more false alarms"),
        (112, 24, ""),
        (120, 39, ""),
    ],
)
def test_a_gain_is_told_with_what_it_costs(found: int, alarms: int, paid: str) -> None:
    assert trade(replace(ROW, found_after=found, alarms_after=alarms)) == paid


def test_a_model_that_loses_cracks_is_not_just_called_better(capsys: pytest.CaptureFixture[str]) -> None:
    assert _line(ROW, told=True).endswith("322 s: 4 fewer cracks found, for 15 fewer false alarms")
    assert _line(replace(ROW, found_after=112), told=True).endswith("322 s: better")
    tell(Adapted(Path("out"), "head", (ROW,), (), (), (), Path("out/export/a.tflite"), labelled=True))
    told = capsys.readouterr().out
    assert (
        "So: 4 fewer cracks found, for 15 fewer false alarms. Where no crack may be lost, keep the shipped model."
        in told
    )


@pytest.mark.parametrize(("kept", "told"), [("", "the shipped one stays."), ("runs/mine", "runs/mine stays.")])
def test_where_none_is_better_the_model_that_stays_is_named(
    capsys: pytest.CaptureFixture[str], kept: str, told: str
) -> None:
    assert tell(Adapted(Path("out"), None, (ROW,), (), ("none",), (), None, labelled=True), kept) == 1
    assert capsys.readouterr().out.startswith(f"no better model found: {told}\n")
