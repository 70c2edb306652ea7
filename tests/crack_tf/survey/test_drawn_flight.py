"""The shipped classifier surveys a drawn flight: its cracks are found, and the sky, leaves and water around are left out."""

from __future__ import annotations

from crack_tf.survey.__main__ import main
from crack_tf.survey.findings import read_survey
from crack_tf.survey.truth import compare, read_truth
from crack_tf.synthetic.flight import write_flight
from crack_tf.synthetic.flight_plan import Plan


def test_the_cracks_of_a_drawn_flight_are_found(tmp_path, capsys):
    folder, out = tmp_path / "flight", tmp_path / "out"
    write_flight(folder, Plan(seed=1, piers=1, rows=1, columns=2, width=800, height=600, cracks=2))
    command = [str(folder / "photos"), "--out", str(out), "--segmenter", "none", "--truth", str(folder / "truth.json")]
    assert main([*command, "--flight-log", str(folder / "flight.csv")]) == 0
    survey = read_survey(out)
    assert compare(survey, read_truth(folder / "truth.json")).recall == 1
    assert "2 of 2 cracks found" in capsys.readouterr().out
    assert all(photo.latitude is not None and photo.mm_per_pixel is not None for photo in survey.photos)
