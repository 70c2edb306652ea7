"""Result files are read back as written, old ones too; files that are damaged or of another kind are refused by name."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import tflite
from tests.tflite.board_results import make_record, make_row, make_series, write_record
from tflite.errors import CrackError
from tflite.files import write_json
from tflite.results import FORMAT, flat_rows, read_result, write_result

RESULTS = Path(tflite.__file__).parents[1] / "results" / "benchmark"
GOOD = make_record("Raspberry Pi 4 Model B", [make_row("opnet", 4, 20.0, **make_series(20.0, 0.1))])


def test_a_result_is_read_back_and_its_table_leaves_series_out(tmp_path: Path) -> None:
    write_result(GOOD, tmp_path / "a.json", tmp_path / "a.csv")
    assert read_result(tmp_path / "a.json") == GOOD
    with (tmp_path / "a.csv").open() as stream:
        (row,) = csv.DictReader(stream)
    assert (row["board"], row["cpu"], row["memory_mb"]) == ("Raspberry Pi 4 Model B", "Cortex-A72", "3978")
    assert (row["hardware"], row["litert"], row["model"]) == ("aarch64-raspberry-pi-4-model-b-4cores", "2.3.0", "opnet")
    assert not {"latencies_ms", "sustained"} & row.keys()


def test_a_result_without_the_newer_entries_is_still_read(tmp_path: Path) -> None:
    record = make_record("AMD EPYC", [make_row("opnet", 1, 20.0)])
    del record["environment"]["board"], record["rows"][0]["sustained"]
    write_json(tmp_path / "a.json", record)
    (row,) = flat_rows(read_result(tmp_path / "a.json"))
    assert (row["board"], row["cpu"], row["os"]) == ("AMD EPYC", None, None)


def test_the_results_in_this_repository_are_readable() -> None:
    paths = sorted(RESULTS.glob("*.json"))
    assert paths
    for path in paths:
        rows = flat_rows(read_result(path))
        assert rows
        assert all(row["p50_ms"] > 0 and row["board"] for row in rows)


def broken(change: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
    record: dict[str, Any] = json.loads(json.dumps(GOOD))
    change(record)
    return record


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda r: r.update(format="crack_tf.bundle/1"), r"format 'crack_tf\.bundle/1', expected"),
        (lambda r: r.pop("format"), "format None"),
        (lambda r: r.pop("environment"), "no 'environment'"),
        (lambda r: r["environment"].update(hardware=3), "damaged"),
        (lambda r: r["environment"]["hardware"].update(slug=["x"]), "slug is not text"),
        (lambda r: r["environment"].update(board=[1]), "board is not an object"),
        (lambda r: r.update(rows={}), "rows is not a list"),
        (lambda r: r.update(created=5), "created is not text"),
        (lambda r: r["rows"].append("row"), "damaged"),
        (lambda r: r["rows"][0].pop("p50_ms"), "no 'p50_ms'"),
        (lambda r: r["rows"][0].update(p50_ms="20"), "p50_ms of row 1 is not a number"),
        (lambda r: r["rows"][0].update(p50_ms=0), "not above 0"),
        (lambda r: r["rows"][0].update(recall=10**400), "recall of row 1"),
        (lambda r: r["rows"][0].update(threads=True), "threads of row 1"),
        (lambda r: r["rows"][0].update(model=None), "model of row 1"),
        (lambda r: r["rows"][0].update(recall="high"), "recall of row 1"),
        (lambda r: r["rows"][0].update(sustained={}), "no 'bins'"),
        (lambda r: r["rows"][0]["sustained"]["bins"]["late"].pop(), "bins.late of row 1"),
        (lambda r: r["rows"][0]["sustained"]["bins"].update(t_s=[]), "bins of row 1 is empty"),
        (lambda r: r["rows"][0]["sustained"]["samples"]["throttled"].__setitem__(0, "hot"), "damaged"),
        (lambda r: r["rows"][0]["sustained"]["samples"].update(throttled=[]), "throttled of row 1"),
    ],
)
def test_other_formats_and_missing_or_wrong_entries_are_refused(
    tmp_path: Path, change: Callable[[dict[str, Any]], object], words: str
) -> None:
    write_json(tmp_path / "a.json", broken(change))
    with pytest.raises(CrackError, match=words) as caught:
        read_result(tmp_path / "a.json")
    assert str(tmp_path / "a.json") in str(caught.value)


def test_a_cut_or_missing_file_is_refused(tmp_path: Path) -> None:
    path = write_record(tmp_path / "a.json", "Pi", [make_row("opnet", 1, 20.0)])
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(CrackError, match="not valid JSON"):
        read_result(path)
    with pytest.raises(CrackError, match="does not exist"):
        read_result(tmp_path / "b.json")


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_any_entry_may_be_anything_and_no_traceback_follows(tmp_path: Path, data: st.DataObject) -> None:
    record = json.loads(json.dumps(GOOD))
    place: Any = record
    while True:
        keys = list(place) if isinstance(place, dict) else list(range(len(place)))
        key = data.draw(st.sampled_from(keys))
        if not isinstance(place[key], dict | list) or not place[key] or data.draw(st.booleans()):
            break
        place = place[key]
    place[key] = data.draw(st.sampled_from([None, "x", -1, [], {}, [None], True, 1e308, 10**400, {"t_s": 1}]))
    (tmp_path / "a.json").write_text(json.dumps(record))
    try:
        assert flat_rows(read_result(tmp_path / "a.json")) is not None
        assert record["format"] == FORMAT
    except CrackError:
        pass
