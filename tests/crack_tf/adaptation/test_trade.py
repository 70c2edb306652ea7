from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from crack_tf.adapt import START, tell
from crack_tf.adaptation.adapting import _line
from crack_tf.adaptation.guard import SiteRow, trade
from crack_tf.adaptation.result import Adapted
from crack_tf.models.shipped import read_zoo

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


def test_labels_that_brought_no_better_model_are_offered_another_start(capsys: pytest.CaptureFixture[str]) -> None:
    none = Adapted(Path("out"), None, (ROW,), (), ("none",), (), None, labelled=True)
    assert START in read_zoo()[1]
    for result, start, offered in ((none, "", 1), (none, "run", 0), (replace(none, labelled=False), "", 0)):
        assert tell(result, start) == 1
        told = capsys.readouterr().out
        assert told.startswith(f"no better model found: {start or 'the shipped one'} stays.\n")
        assert told.count(f"--model {START}") == offered
