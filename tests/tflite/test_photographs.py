"""A folder's photographs are told by name and content, and what hides some is listed with the reason."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from PIL import Image

from crack_tf.photo.masks import write_mask
from tests.cases import case
from tests.tflite.drawn import encode, rough
from tflite.drawn import marked
from tflite.errors import CrackError
from tflite.formats import recognise
from tflite.images import list_images
from tflite.photographs import list_photographs, list_pictures

PICTURE = Image.fromarray(rough(20, 30))
JPEG = encode(PICTURE, "JPEG")
HEIC = b"\0\0\0\x18ftypmif1\0\0\0\0mif1heic"


def names(paths: tuple[Path, ...], root: Path) -> list[str]:
    return [path.relative_to(root).as_posix() for path in paths]


def test_photographs_are_told_by_name_or_by_content(tmp_path: Path) -> None:
    files = {
        "a.JFIF": JPEG,
        "b.heic": b"",
        "c.nef": b"anything",
        "d": JPEG,
        "sub/e.dat": HEIC,
        "sub/f.gif": encode(PICTURE, "GIF"),
        "sub/g.bin": encode(PICTURE, "BMP"),
        "log.txt": b"BM is no bitmap",
        "video.thm": JPEG,
        "flight.srt": b"1\n",
        ".hidden.jpg": JPEG,
        ".trash/h.jpg": JPEG,
    }
    for name, data in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(data)
    found = list_photographs(tmp_path)
    assert names(found.photographs, tmp_path) == [
        "a.JFIF",
        "b.heic",
        "c.nef",
        "d",
        "sub/e.dat",
        "sub/f.gif",
        "sub/g.bin",
    ]
    assert names(found.others, tmp_path) == ["flight.srt", "log.txt", "video.thm"]
    assert found.troubles == ()


def test_links_that_hide_photographs_are_named(tmp_path: Path) -> None:
    folder, elsewhere = tmp_path / "DCIM", tmp_path / "elsewhere"
    folder.mkdir()
    elsewhere.mkdir()
    (elsewhere / "x.jpg").write_bytes(JPEG)
    (folder / "a.jpg").symlink_to(elsewhere / "x.jpg")
    (folder / "gone.jpg").symlink_to(tmp_path / "nothing.jpg")
    (folder / "round.jpg").symlink_to(folder / "round.jpg")
    (folder / "linked").symlink_to(elsewhere)
    (folder / "up").symlink_to(tmp_path)
    os.mkfifo(folder / "pipe.jpg")
    os.mkfifo(folder / "pipe")
    found = list_photographs(folder)
    assert names(found.photographs, folder) == ["a.jpg"]
    reasons = {trouble.path.name: trouble.reason for trouble in found.troubles}
    assert set(reasons) == {"gone.jpg", "round.jpg", "linked", "up", "pipe.jpg"}
    assert "not there" in reasons["gone.jpg"]
    assert "link to a folder" in reasons["linked"]
    assert names(found.others, folder) == ["pipe"]


def test_the_folder_itself_may_be_a_link_or_hidden(tmp_path: Path) -> None:
    (tmp_path / ".cache").mkdir()
    (tmp_path / ".cache" / "a.jpg").write_bytes(JPEG)
    (tmp_path / "link").symlink_to(tmp_path / ".cache")
    assert [path.name for path in list_photographs(tmp_path / "link").photographs] == ["a.jpg"]


@pytest.mark.parametrize(
    ("record", "content", "verb"),
    [
        ("settings.json", '{\n  "format": "crack_tf.survey/1",\n  "created": "2026-01-01"\n}', "survey"),
        ("segment.json", '{"format": "crack_tf.photo_segment/1"}', "photo segment"),
        ("predictions.jsonl", '{"format":"crack_tf.predictions/1","model":"x"}\n', "predict"),
    ],
)
def test_pictures_that_an_earlier_run_wrote_are_no_photographs(
    tmp_path: Path, record: str, content: str, verb: str
) -> None:
    for folder in ("DCIM", "DCIM/found/pictures", "DCIM/mine"):
        (tmp_path / folder).mkdir(parents=True, exist_ok=True)
        (tmp_path / folder / "a.jpg").write_bytes(JPEG)
    (tmp_path / "DCIM/found" / record).write_text(content)
    (tmp_path / "DCIM/mine/settings.json").write_text('{"format": "of another program"}')
    found = list_photographs(tmp_path / "DCIM")
    assert names(found.photographs, tmp_path) == ["DCIM/a.jpg", "DCIM/mine/a.jpg"]
    assert names(found.results, tmp_path) == ["DCIM/found"]
    with pytest.raises(
        CrackError, match=f"DCIM/found holds what crack-tf {verb} found.*Give the folder of the photographs"
    ):
        list_photographs(tmp_path / "DCIM/found")
    (tmp_path / "link").symlink_to(tmp_path / "DCIM/found/pictures")
    for part in ("DCIM/found/pictures", "link"):
        with pytest.raises(CrackError, match=f"{part} is part of what crack-tf {verb} found, in .*DCIM/found: "):
            list_photographs(tmp_path / part)
    assert names(list_photographs(tmp_path / "DCIM/mine").photographs, tmp_path) == ["DCIM/mine/a.jpg"]
    assert names(list_pictures(tmp_path / "DCIM/found").photographs, tmp_path) == ["DCIM/found/pictures/a.jpg"]


def test_where_nothing_but_results_lie_it_says_so_and_what_to_give(tmp_path: Path) -> None:
    (tmp_path / "site/found/pictures").mkdir(parents=True)
    (tmp_path / "site/found/pictures/a.jpg").write_bytes(JPEG)
    (tmp_path / "site/found/settings.json").write_text('{"format": "crack_tf.survey/1"}')
    told = list_photographs(tmp_path / "site").results_note(tmp_path / "site")
    assert "in 1 folder, the first found: their pictures are no photographs. Give the folder of the photographs" in told
    (tmp_path / "site/found/photographs").mkdir()  # somebody put them there
    (tmp_path / "site/found/photographs/b.jpg").write_bytes(JPEG)
    own = list_photographs(tmp_path / "site/found/photographs")
    assert names(own.photographs, tmp_path) == ["site/found/photographs/b.jpg"]
    assert own.results_note(tmp_path) == ""


def test_the_pictures_of_a_segmented_photograph_are_no_photographs_by_their_folders_name(tmp_path: Path) -> None:
    folder = tmp_path / "drawn/pier.jpg"
    folder.mkdir(parents=True)
    (tmp_path / "drawn/segment.json").write_text('{"format": "crack_tf.photo_segment/1"}')
    for name in ("cracks.json", "probability.png"):
        (folder / name).write_bytes(JPEG)
    with pytest.raises(CrackError, match=r"pier\.jpg is part of what crack-tf photo segment found"):
        list_photographs(folder)


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp", "tif"])
def test_pictures_that_were_drawn_here_are_no_photographs_under_any_name(tmp_path: Path, suffix: str) -> None:
    large = Image.fromarray(rough(200, 300))
    large.save(tmp_path / f"photo.{suffix}")
    marked(large).save(tmp_path / f"pier.{suffix}")
    found = list_photographs(tmp_path)
    assert names(found.photographs, tmp_path) == [f"photo.{suffix}"]
    assert names(found.drawn, tmp_path) == [f"pier.{suffix}"]
    assert (
        found.drawn_note(tmp_path)
        == f"1 picture that crack_tf drew passed over, the first pier.{suffix}: no photograph"
    )
    # A data set may hold masks that were drawn here.
    assert names(tuple(list_images(tmp_path)), tmp_path) == [f"photo.{suffix}", f"pier.{suffix}"]
    with Image.open(tmp_path / f"pier.{suffix}") as again:
        again.copy().save(tmp_path / f"pier.{suffix}")
    assert list_photographs(tmp_path).drawn == ()


def test_masks_from_photo_foreground_are_no_photographs(tmp_path: Path) -> None:
    write_mask(tmp_path / "pier-concrete.png", rough(20, 30)[..., 0] > 100)
    assert names(list_photographs(tmp_path).drawn, tmp_path) == ["pier-concrete.png"]


def test_a_folder_that_cannot_be_entered_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The tests may run as root, whom nothing is forbidden."""
    (tmp_path / "closed").mkdir()
    (tmp_path / "a.jpg").write_bytes(JPEG)
    enter = os.scandir

    def refuse(path: Path) -> object:
        if Path(path).name == "closed":
            raise PermissionError(13, "Permission denied")
        return enter(path)

    monkeypatch.setattr(os, "scandir", refuse)
    found = list_photographs(tmp_path)
    assert [path.name for path in found.photographs] == ["a.jpg"]
    assert [(trouble.path.name, "Permission denied" in trouble.reason) for trouble in found.troubles] == [
        ("closed", True)
    ]


@pytest.mark.parametrize(
    ("head", "kind"),
    [
        (JPEG, "JPEG"),
        (encode(PICTURE, "PNG"), "PNG"),
        (encode(PICTURE, "WEBP"), "WEBP"),
        (encode(PICTURE, "TIFF"), "TIFF"),
        (encode(PICTURE, "BMP"), "BMP"),
        (encode(PICTURE, "JPEG2000"), "JPEG 2000"),
        (HEIC, "HEIC"),
        (b"\0\0\0\x1cftypavif\0\0\0\0avifmif1miaf", "AVIF"),
        (b"\0\0\0\x18ftypmif1\0\0\0\0mif1avif", "HEIC"),
        (b"\0\0\0\x18ftypcrx \0\0\0\1crx isom", "camera raw"),
        (b"FUJIFILMCCD-RAW 0201", "camera raw"),
        (b"\0\0\0\x20ftypisom\0\0\2\0isomiso2mp41", None),
        (b"", None),
        (b"BM, said the baker to the boy", None),
        (b"time,lat,lon\n", None),
    ],
)
def test_formats_are_recognised_by_their_first_bytes(head: bytes, kind: str | None) -> None:
    assert recognise(head[:512]) == kind


def test_a_folder_of_odd_suffixes_hides_no_photograph() -> None:
    found = list_photographs(case("06-unlisted-suffixes"))
    assert [path.name for path in found.photographs] == ["IMG_0007.HEIC", "a.jpg", "b.JFIF", "d.MPO", "e.jfif"]
    assert [path.name for path in found.others] == ["README"]
