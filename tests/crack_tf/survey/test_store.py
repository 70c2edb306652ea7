"""A survey's folder serves one process, forgets nothing that is whole, and keeps no half-written file."""

from __future__ import annotations

import numpy as np
import pytest

from crack_tf.survey.findings import Gap, PhotoRecord
from crack_tf.survey.store import Store
from tflite.errors import CrackError


def photo(name: str) -> PhotoRecord:
    return PhotoRecord(name, "0" * 64, 10, 10, None, None, None, None, None, None, 4, 0, 0)


def test_a_recorded_photograph_is_done_until_its_file_changes(tmp_path):
    with Store(tmp_path / "s", {"tile": 1}) as store:
        store.add_photo(5, photo("a"), [], np.zeros((3, 136), np.uint8))
        store.add_gap(7, Gap("b", "unreadable", "damaged"))
        assert [store.is_done("a", size) for size in (5, 6, -1)] == [True, False, True]
        assert not store.is_done("b", 7)
        assert not store.is_done("c", 1)
        assert store.points("a") is not None
        assert store.points("b") is None
        assert [(one and one.name, gap and gap.photo) for one, _, gap in store.records()] == [("a", None), (None, "b")]


def test_two_processes_do_not_write_to_one_survey(tmp_path):
    with Store(tmp_path / "s", {}), pytest.raises(CrackError, match="another process is writing to"):
        Store(tmp_path / "s", {})
    Store(tmp_path / "s", {}).__exit__(None, None, None)


def test_what_a_killed_process_left_is_removed(tmp_path):
    with Store(tmp_path / "s", {}) as store:
        store.add_photo(5, photo("a"), [], None)
    left = tmp_path / "s/records/.x.partial.json"
    left.write_text("{")
    with Store(tmp_path / "s", {}) as store:
        assert store.resumed
    assert not left.exists()


def test_the_time_of_the_start_stays(tmp_path, monkeypatch):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1748770200")
    with Store(tmp_path / "s", {}) as store:
        assert store.created == "2025-06-01T09:30:00Z"
    monkeypatch.delenv("SOURCE_DATE_EPOCH")
    with Store(tmp_path / "s", {}) as store:
        assert store.created == "2025-06-01T09:30:00Z"


def test_another_versions_survey_is_refused(tmp_path):
    Store(tmp_path / "s", {}).__exit__(None, None, None)
    path = tmp_path / "s/settings.json"
    path.write_text(path.read_text().replace("survey/1", "survey/9"))
    with pytest.raises(CrackError, match="this version"):
        Store(tmp_path / "s", {})


def test_a_file_is_no_folder(tmp_path):
    (tmp_path / "s").write_text("x")
    with pytest.raises(CrackError, match="is a file"):
        Store(tmp_path / "s", {})


def test_a_survey_goes_on_with_the_model_of_its_hash_and_no_other(tmp_path):
    def models(name: str, digest: str) -> dict:
        return {"models": {"classifier": {"name": name, "sha256": digest, "threshold": 0.5}}}

    Store(tmp_path / "s", models("mobilenet_v2-int8-qat", "aa")).__exit__(None, None, None)
    with Store(tmp_path / "s", models("mobilenet_v2_real-int8-qat", "aa")) as store:
        assert store.resumed
    with pytest.raises(CrackError, match="was mobilenet_v2-int8-qat, now mobilenet_v2_mixed-int8-qat"):
        Store(tmp_path / "s", models("mobilenet_v2_mixed-int8-qat", "bb"))


def test_other_models_are_told_by_name_and_by_hash_where_that_is_the_same(tmp_path):
    def settings(name, sha256, threshold=0.4, **more):
        return {"models": {"classifier": {"name": name, "sha256": sha256, "threshold": threshold}, **more}}

    one = settings("mobilenet_v2_real-int8-qat", "a" * 64)
    with Store(tmp_path, one, overwrite=False):
        pass
    drawing = {"segmenter": {"name": "unet_mobile-int8-ptq", "sha256": "c" * 64}}
    for other, told in (
        (
            settings("mobilenet_v2-adapted-int8-ptq", "b" * 64),
            "(the classifier was mobilenet_v2_real-int8-qat, now mobilenet_v2-adapted-int8-ptq)",
        ),
        (
            settings("mobilenet_v2_real-int8-qat", "b" * 64),
            "(sha256 aaaaaaaa), now mobilenet_v2_real-int8-qat (sha256 bb",
        ),
        (
            settings("mobilenet_v2_real-int8-qat", "a" * 64, 0.5),
            "(threshold 0.4), now mobilenet_v2_real-int8-qat (thresh",
        ),
        (
            settings("mobilenet_v2_real-int8-qat", "a" * 64, **drawing),
            "(the segmenter was none, now unet_mobile-int8-ptq)",
        ),
    ):
        with pytest.raises(CrackError) as refused, Store(tmp_path, other, overwrite=False):
            pass
        assert told in str(refused.value)
        assert "{" not in str(refused.value)
