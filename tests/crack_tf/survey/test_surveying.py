"""A survey as a function: what its configuration refuses, and that its result is what lies in the folder."""

from __future__ import annotations

import importlib
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

import crack_tf
from crack_tf.survey.config import _RANGES, SurveyConfig
from crack_tf.survey.findings import read_survey
from crack_tf.survey.geometry.views import Asked
from tests.crack_tf.survey.small_flight import write_flight, write_models
from tflite.checked import checked
from tflite.errors import CrackError


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"overlap": 1.0}, "--overlap 1: choose a share"),
        ({"jobs": 0}, "--jobs 0: give a number from 1"),
        ({"jobs": -5}, "--jobs -5: give a number from 1"),
        ({"tile": 3}, "--tile 3: give a number from"),
        ({"clock_offset": float("nan")}, "--clock-offset nan: give a number from"),
        ({"foreground": "mask.png"}, "--foreground 'mask.png': choose one of auto, none"),
        ({"distance_m": 0}, "--distance-m 0: give metres from 0.01 to 5000."),
        ({"every_s": float("nan")}, "--every-s nan: give a number above 0"),
        ({"title": " "}, "--title ' ': give one line of at most 200 characters"),
        ({"title": "two\nlines"}, r"--title 'two\nlines': give one line"),
        ({"title": "x" * 3000}, "--title 'xxxxxxxxxxxx...xxxxxxxxxxxxx': give one line"),
        ({"video_start": datetime.now(UTC)}, "--video-start is of a video, and "),
        ({"every_s": 2.0}, "--every-s is of a video, and "),
        ({"needs_mm": 1e300}, "--needs-mm 1e+300: give a number from 0.001 to 1000"),
        ({"needs_mm": 1e-9}, "--needs-mm 1e-09: give a number from 0.001 to 1000"),
        ({"position_error_m": 1e300}, "--position-error-m 1e+300: give a number from"),
        ({"mm_per_pixel": 1e300}, "--mm-per-pixel 1e+300: give millimetres from 0.0001 to 1000."),
        ({"distance_m": float("inf")}, "--distance-m inf: give metres from 0.01 to 5000."),
        ({"limit_mm": "1e-300"}, "--limit-mm 1e-300: widths lie above 0"),
        ({"distance": 2}, "survey() takes no 'distance'"),
    ],
)
def test_an_impossible_setting_is_named_and_nothing_is_made(
    settings: dict[str, Any], message: str, tmp_path: Path
) -> None:
    with pytest.raises(CrackError) as caught:
        crack_tf.survey(tmp_path, tmp_path / "out", **settings)
    assert message in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_what_is_asked_of_photographs_is_within_what_a_surveys_file_may_say() -> None:
    for name in ("needs_mm", "position_error_m"):
        for value in _RANGES[name]:
            checked(Asked, {name: value})


def test_a_configuration_and_settings_beside_it_are_refused(tmp_path: Path) -> None:
    with pytest.raises(CrackError, match="a configuration and 'overlap' beside it"):
        crack_tf.survey(tmp_path, tmp_path / "out", SurveyConfig(), overlap=0.5)


def test_the_result_is_what_the_folder_holds_and_the_same_call_goes_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    models = write_models(tmp_path / "models")
    photos = write_flight(tmp_path / "DCIM")
    settings: dict[str, Any] = {"model": str(models.classifier), "segmenter": "none", "foreground": "none"}
    found = crack_tf.survey(photos, tmp_path / "out", **settings)
    kept = read_survey(tmp_path / "out")
    assert found.findings == kept.findings
    assert found.gaps == kept.gaps == ()
    assert found.report.is_file()
    assert (found.handled, found.done_before, found.comparison) == (6, 0, None)
    assert "findings (" not in capsys.readouterr().out  # the verb sums up
    again = crack_tf.survey(photos, tmp_path / "out", SurveyConfig(**settings))
    assert (again.handled, again.done_before, again.findings) == (0, 6, found.findings)
    assert importlib.import_module("crack_tf.survey") is crack_tf.survey
