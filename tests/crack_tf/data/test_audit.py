"""The audit: one record per file, unreadable files listed and not fatal, numbers of the real tiles."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from crack_tf.data.audit import Audit, audit, copy_rows, summary
from crack_tf.data.notes import audit_notes, contradiction_notes
from crack_tf.data.registry import locate
from tflite.errors import CrackError
from tflite.files import sha256_file


def noise(seed: int, size: tuple[int, int] = (96, 96)) -> Image.Image:
    small = np.random.default_rng(seed).integers(0, 256, (24, 24, 3), dtype=np.uint8)
    return Image.fromarray(small).resize(size, Image.Resampling.BICUBIC)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Six distinct clean and cracked tiles each; then a copy of every kind, one of them across classes, and broken files."""
    root = tmp_path / "tiles"
    for label, name in enumerate(("no_crack", "crack")):
        (root / name).mkdir(parents=True)
        for k in range(6):
            noise(10 * label + k).save(root / name / f"{k}.png")
    shutil.copy(root / "crack/0.png", root / "crack/6-identical.png")
    noise(11).save(root / "crack/7-jpeg.jpg", quality=70)
    noise(12).transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(root / "crack/8-mirrored.png")
    noise(3).transpose(Image.Transpose.ROTATE_180).save(root / "crack/9-across.png")
    (root / "no_crack/empty.jpg").write_bytes(b"")
    (root / "no_crack/truncated.png").write_bytes((root / "no_crack/0.png").read_bytes()[:400])
    (root / "no_crack/text.jpg").write_text("not an image")
    return root


@pytest.fixture
def result(folder: Path) -> Audit:
    return audit(locate(str(folder)), progress=False)


def test_every_kind_of_copy_is_reported_with_its_files(result: Audit) -> None:
    rows = {
        (row["first"], row["second"], row["kind"], row["transform"], row["across_classes"]) for row in copy_rows(result)
    }
    assert rows == {
        ("crack/0.png", "crack/6-identical.png", "identical", "none", 0),
        ("crack/1.png", "crack/7-jpeg.jpg", "re-encoded", "none", 0),
        ("crack/2.png", "crack/8-mirrored.png", "transformed", "mirrored", 0),
        ("crack/9-across.png", "no_crack/3.png", "transformed", "turned-180", 1),
    }


def test_a_picture_in_both_classes_is_warned_of_by_name(result: Audit, folder: Path) -> None:
    (note,) = (note for note in audit_notes(result) if "both" in note or "same" in note)
    assert note.startswith("warning: crack/9-across.png (crack) and no_crack/3.png (no_crack) are the same picture")
    for k in range(12):
        shutil.copy(folder / f"no_crack/{k % 6}.png", folder / f"crack/again-{k}.png")
    notes = contradiction_notes(audit(locate(str(folder)), progress=False), shown=3)
    assert len(notes) == 4
    assert "crack/again-0.png (crack) and no_crack/0.png (no_crack) are the same file" in "".join(notes)
    assert notes[-1].endswith("more pictures lie in both classes")


def test_unreadable_files_are_listed_with_a_reason_and_do_not_stop_the_audit(result: Audit) -> None:
    reasons = {record.path: record.error for record in result.unreadable}
    assert set(reasons) == {"no_crack/empty.jpg", "no_crack/truncated.png", "no_crack/text.jpg"}
    assert "0 bytes" in reasons["no_crack/empty.jpg"]
    assert "truncated" in reasons["no_crack/truncated.png"]
    assert "not an image" in reasons["no_crack/text.jpg"]


def test_record_holds_what_the_file_is(folder: Path) -> None:
    Image.new("L", (30, 20), 77).save(folder / "crack/grey.png")
    record = next(r for r in audit(locate(str(folder)), progress=False).records if r.path == "crack/grey.png")
    assert (record.label, record.width, record.height, record.mode, record.format) == (1, 30, 20, "L", "PNG")
    assert record.brightness == 77
    assert record.size == (folder / "crack/grey.png").stat().st_size
    assert record.sha256 == sha256_file(folder / "crack/grey.png")


def test_summary_counts_add_up_and_are_json(result: Audit) -> None:
    numbers = json.loads(json.dumps(summary(result), allow_nan=False))
    crack, clean = numbers["classes"]["crack"], numbers["classes"]["no_crack"]
    assert (numbers["files"], numbers["unreadable"]) == (19, 3)
    assert (crack["files"], crack["byte_identical_copies"], crack["distinct_pictures"]) == (10, 1, 7)
    assert (clean["files"], clean["unreadable"], clean["distinct_pictures"]) == (9, 3, 6)
    assert numbers["distinct_pictures"] == 12  # the picture in both classes counts once
    assert numbers["files_with_a_copy"] == 8
    assert sum(entry["across"] for entry in numbers["copies"]) == 1


def test_number_of_threads_does_not_change_the_result(folder: Path) -> None:
    one, four = (audit(locate(str(folder)), threads=count, progress=False) for count in (1, 4))
    assert (one.records, one.copies) == (four.records, four.copies)


def test_class_without_a_readable_image_is_refused(tmp_path: Path) -> None:
    for name in ("crack", "no_crack"):
        (tmp_path / name).mkdir()
    noise(1).save(tmp_path / "crack/1.png")
    (tmp_path / "no_crack/1.png").write_bytes(b"")
    with pytest.raises(CrackError, match=r"no no_crack image in .* can be read .*0 bytes"):
        audit(locate(str(tmp_path)), progress=False)


def test_interrupt_stops_the_reading(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read = []

    def interrupted(root: Path, path: str, label: int) -> None:
        read.append(path)
        raise KeyboardInterrupt

    monkeypatch.setattr("crack_tf.data.folders.read_record", interrupted)
    with pytest.raises(KeyboardInterrupt):
        audit(locate(str(folder)), threads=1, progress=False)
    assert len(read) < 19


def test_known_copies_of_the_metu_tiles_are_found(data_root: Path, tmp_path: Path) -> None:
    """Pairs confirmed by eye on the contact sheets, among 300 tiles that have no copy with them."""
    known = [
        ("00057.jpg", "05574.jpg", "re-encoded", "none"),
        ("10641_1.jpg", "15221_1.jpg", "transformed", "mirrored"),
        ("09174.jpg", "17320_1.jpg", "transformed", "flipped"),
        ("14450_1.jpg", "17830_1.jpg", "transformed", "turned-180"),
    ]
    (tmp_path / "Positive").mkdir()
    (tmp_path / "Negative").mkdir()
    for name in {name for pair in known for name in pair[:2]}:
        shutil.copy(data_root / "metu/Positive" / name, tmp_path / "Positive")
    for path in sorted((data_root / "metu/Negative").glob("*.jpg"))[:300]:
        shutil.copy(path, tmp_path / "Negative")
    result = audit(locate("metu", str(tmp_path)), progress=False)
    found = {tuple(row[key].removeprefix("Positive/") for key in ("first", "second", "kind", "transform"))
             for row in copy_rows(result) if row["first"].startswith("Positive")}  # fmt: skip
    assert found == set(known)
    assert summary(result)["image_sizes"] == {"227x227": 308}
