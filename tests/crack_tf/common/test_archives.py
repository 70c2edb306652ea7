"""Zips and tar streams are bounded, and hold plain files inside their own folder or are refused."""

from __future__ import annotations

import io
import tarfile
import zipfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crack_tf.common.archives import check_zip, unpack_tar

NAMES = st.text(st.sampled_from("ab./\\\n"), min_size=1, max_size=8)


def zipped(*names: str, size: int = 1) -> zipfile.ZipFile:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        for name in names:
            archive.writestr(zipfile.ZipInfo(name), bytes(size))
    return zipfile.ZipFile(data)


def tarred(*entries: tuple[str, bytes | None]) -> io.BytesIO:
    """None for a folder's content."""
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as archive:
        for name, content in entries:
            entry = tarfile.TarInfo(name)
            entry.type = tarfile.DIRTYPE if content is None else tarfile.REGTYPE
            entry.size = len(content or b"")
            archive.addfile(entry, io.BytesIO(content or b""))
    data.seek(0)
    return data


def test_a_zip_of_plain_files_passes() -> None:
    check_zip(zipped("a", "b/c", "d/"), limit=3)


def test_a_zip_beyond_a_limit_is_refused() -> None:
    with pytest.raises(ValueError, match="unpacks to"):
        check_zip(zipped("a", "b", size=10), limit=19)
    with pytest.raises(ValueError, match="3 files"):
        check_zip(zipped("a", "b", "c"), limit=100, members=2)


@given(st.lists(NAMES, min_size=1, max_size=4, unique=True))
def test_names_in_a_zip_stay_inside_or_it_is_refused(names: list[str]) -> None:
    archive = zipped(*names)
    try:
        check_zip(archive, limit=100)
    except ValueError:
        return
    for entry in archive.infolist():
        parts = entry.filename.removesuffix("/").split("/")
        assert all(part and part not in (".", "..") for part in parts)
        assert entry.filename.isprintable()
        assert "\\" not in entry.filename


def test_a_tar_of_plain_files_is_unpacked(tmp_path: Path) -> None:
    stream = tarred(("results", None), ("results/a.csv", b"1"), ("results/sub", None), ("results/sub/b", b"2"))
    unpack_tar(stream, tmp_path / "out", limit=100)
    found = {path.relative_to(tmp_path / "out").as_posix() for path in (tmp_path / "out").rglob("*")}
    assert found == {"a.csv", "sub", "sub/b"}
    assert (tmp_path / "out/sub/b").read_bytes() == b"2"


@pytest.mark.parametrize("name", ["results/../evil", "/evil", "results//evil", "results/a\nb", "results/a\\b", "evil"])
def test_names_in_a_tar_that_lead_elsewhere_are_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"inside the folder|no whole tar"):
        unpack_tar(tarred((name, b"x")), tmp_path / "in/out", limit=100)
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_a_tar_beyond_a_limit_or_cut_short_is_refused(tmp_path: Path) -> None:
    entries = tuple((f"r/{number}", bytes(1000)) for number in range(5))
    with pytest.raises(ValueError, match="more than 0 MB"):
        unpack_tar(tarred(*entries), tmp_path / "a", limit=4000)
    with pytest.raises(ValueError, match="more than 3 files"):
        unpack_tar(tarred(*entries), tmp_path / "b", limit=10_000, members=3)
    with pytest.raises(ValueError, match="no whole tar"):
        unpack_tar(io.BytesIO(tarred(*entries).getvalue()[:1800]), tmp_path / "c", limit=10_000)
    with pytest.raises(ValueError, match="no whole tar"):
        unpack_tar(tarred(("r/a", b"1"), ("r/a", b"2")), tmp_path / "d", limit=10_000)
