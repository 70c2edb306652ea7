"""A file is the same when its content is, and is read again only where that could come out differently."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tflite import sameness
from tflite.errors import CrackError
from tflite.files import sha256_bytes
from tflite.sameness import FileState, changed, is_other, is_same, read_file, refuse_changed, sampled_state


def written(path: Path, data: bytes = b"one") -> FileState:
    path.write_bytes(data)
    return read_file(path)[1]


def test_a_file_is_read_with_its_size_hash_and_times(tmp_path: Path) -> None:
    state = written(tmp_path / "a")
    assert read_file(tmp_path / "a") == (b"one", state)
    assert (state.bytes, state.sha256) == (3, sha256_bytes(b"one"))
    assert state.modified_us == (tmp_path / "a").stat().st_mtime_ns // 1000
    assert FileState.from_json(state.as_json()) == state


def test_an_untouched_file_is_not_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    state = written(tmp_path / "a")
    monkeypatch.setattr(sameness, "sha256_file", lambda path: pytest.fail("it was read"))
    assert is_same(tmp_path / "a", state)
    (tmp_path / "a").write_bytes(b"more")
    assert not is_same(tmp_path / "a", state)


def test_content_decides_where_a_time_is_another(tmp_path: Path) -> None:
    path = tmp_path / "a"
    state = written(path)
    shutil.copy(path, tmp_path / "copy")
    (tmp_path / "copy").replace(path)
    assert is_same(path, state)
    times = path.stat()
    path.write_bytes(b"two")
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert not is_same(path, state)
    assert is_other(path, state)
    path.unlink()
    assert not is_same(path, state)


def test_nothing_recorded_is_neither_the_same_nor_another(tmp_path: Path) -> None:
    written(tmp_path / "a")
    assert not is_same(tmp_path / "a", None)
    assert not is_other(tmp_path / "a", None)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(("bytes", "sha256", "modified_us", "a")), inner)
    ),
    max_leaves=6,
)


@given(value=json_values)
def test_a_record_of_anybodys_raises_nothing(value: object) -> None:
    state = FileState.from_json(value)
    assert state is None or isinstance(state.sha256, str)


def test_a_recording_is_known_by_samples_over_all_of_it(tmp_path: Path) -> None:
    data = bytes(range(256)) * 100_000
    state = written(tmp_path / "a.mp4", data)
    sampled = sampled_state(tmp_path / "a.mp4")
    assert sampled.bytes == state.bytes
    assert sampled_state(tmp_path / "a.mp4") == sampled
    for place in (0, 12_000_000, len(data) - 1):
        changed = bytearray(data)
        changed[place] ^= 1
        written(tmp_path / "b.mp4", bytes(changed))
        assert sampled_state(tmp_path / "b.mp4").sha256 != sampled.sha256
    os.mkfifo(tmp_path / "pipe.mjpeg")
    assert sampled_state(tmp_path / "pipe.mjpeg") == FileState(0, "")


def test_settings_are_the_same_where_a_models_hash_is_whatever_its_name() -> None:
    before = {
        "model": "mobilenet_v2-int8-qat",
        "model_sha256": "aa",
        "models": {"classifier": {"name": "one", "sha256": "bb"}},
    }
    renamed = {
        **before,
        "model": "mobilenet_v2_real-int8-qat",
        "models": {"classifier": {"name": "two", "sha256": "bb"}},
    }
    assert changed(before, renamed) == []
    other = {"classifier": {"name": "one", "sha256": "cc"}}
    assert changed(before, {**before, "models": other}) == [("models", before["models"], other)]
    assert changed(before, {**before, "model_sha256": "dd"}) == [("model_sha256", "aa", "dd")]
    # Where there is no hash, the name is all that is known.
    assert changed({"model": "opnet"}, {"model": "unet"}) == [("model", "opnet", "unet")]
    assert changed({"source": {"name": "a"}}, {"source": {"name": "b"}}) != []
    refuse_changed(Path("out"), before, renamed)
    with pytest.raises(CrackError, match=r"^--resume: out was started with overlap = 0\.25, now it is 0\.5\. Use"):
        refuse_changed(Path("out"), {**before, "overlap": 0.25}, {**renamed, "overlap": 0.5})


@given(
    st.dictionaries(st.text(max_size=4), st.none() | st.integers() | st.lists(st.integers(), max_size=2), max_size=4)
)
def test_settings_equal_themselves_and_every_other_value_shows(settings: dict[str, object]) -> None:
    assert changed(settings, settings) == []
    for name in settings:
        assert [row[0] for row in changed(settings, {**settings, name: "other"})] == [name]
