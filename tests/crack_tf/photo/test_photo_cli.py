"""The command line: masks and measurements are written whole, mistakes end with code 2 and one line."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from crack_tf.photo.__main__ import main
from crack_tf.photo.masks import read_mask


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A photograph of 200x100 with a crack of 120x4 pixels, and its mask."""
    rng = np.random.default_rng(0)
    photo = rng.normal(150, 8, (100, 200, 3)).clip(0, 255).astype(np.uint8)
    mask = np.zeros((100, 200), np.uint8)
    mask[50:54, 30:150] = 255
    photo[mask > 0] = 30
    exif = Image.Exif()
    exif.get_ifd(0x8769).update({0xA405: 24})
    Image.fromarray(photo).save(tmp_path / "photo.jpg", exif=exif, quality=95)
    Image.fromarray(mask).save(tmp_path / "mask.png")
    return tmp_path


def run(*arguments: object) -> int:
    return main([str(argument) for argument in arguments])


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as stream:
        return list(csv.DictReader(stream))


def test_measure_writes_a_table_shapes_and_an_overlay(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = folder / "out"
    code = run("measure", folder / "mask.png", "--photo", folder / "photo.jpg", "--mm-per-pixel", 0.1, "--out", out)
    assert code == 0
    assert sorted(path.name for path in out.iterdir()) == ["cracks.csv", "cracks.json", "overlay.png", "widths.csv"]
    (row,) = rows(out / "cracks.csv")
    assert row["pattern"] in ("single", "along a joint or edge")
    assert float(row["density_px"]) > 0
    assert float(row["length_mm"]) == pytest.approx(12, abs=0.3)
    assert float(row["mean_width_mm"]) == pytest.approx(0.4, abs=0.02)
    written = json.loads((out / "cracks.json").read_text())
    assert len(written["cracks"][0]["centreline"]) == 1
    assert (written["width"], written["height"]) == (200, 100)
    with Image.open(out / "overlay.png") as image:
        assert image.size == (200, 100)
    told = capsys.readouterr().out
    assert "0.1 mm per pixel (given)" in told
    assert "1: 12 mm, 0.40 / 0.40 mm" in told


def test_measure_without_a_scale_is_in_pixels_and_says_so(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("measure", folder / "mask.png", "--out", folder / "out") == 0
    assert "results in pixels" in capsys.readouterr().out
    assert rows(folder / "out" / "cracks.csv")[0]["length_mm"] == ""


def test_the_scale_comes_from_exif_or_from_camera_numbers(folder: Path) -> None:
    base = ("measure", folder / "mask.png", "--photo", folder / "photo.jpg", "--out", folder / "out", "--overwrite")
    assert run(*base, "--distance-m", 1) == 0
    (row,) = rows(folder / "out" / "cracks.csv")
    assert float(row["mm_per_pixel"]) == pytest.approx(1000 * 43.267 / np.hypot(200, 100) / 24, rel=1e-3)
    assert run(*base, "--distance-m", 1, "--focal-mm", 10, "--sensor-width-mm", 12) == 0
    (row,) = rows(folder / "out" / "cracks.csv")
    assert float(row["mm_per_pixel"]) == pytest.approx(12 / 200 * 99)


def test_widths_are_those_of_the_photograph_where_one_is_given(folder: Path) -> None:
    y = np.arange(100)[:, None] + np.zeros((1, 200))
    Image.fromarray(np.where(abs(y - 50.2) < 2, 40, 160).astype(np.uint8)).save(folder / "dark.png")
    Image.fromarray((abs(y - 50.2) < 6).astype(np.uint8) * 255).save(folder / "wide.png")
    for more, width, source in (((), 12, "mask"), (("--photo", folder / "dark.png"), 4, "photograph")):
        assert run("measure", folder / "wide.png", *more, "--out", folder / "out", "--overwrite") == 0
        (row,) = rows(folder / "out" / "cracks.csv")
        assert float(row["mean_width_px"]) == pytest.approx(width, abs=0.5)
        assert row["width_from"] == source


def test_cracks_outside_the_foreground_are_left_out(folder: Path) -> None:
    Image.fromarray(np.zeros((100, 200), np.uint8)).save(folder / "nothing.png")
    out = folder / "out"
    assert run("measure", folder / "mask.png", "--foreground", folder / "nothing.png", "--out", out) == 0
    assert rows(out / "cracks.csv") == []
    assert (out / "cracks.csv").read_text().startswith("number,length_px")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--mm-per-pixel", "0.1", "--distance-m", "2"), "--mm-per-pixel says everything"),
        (("--focal-mm", "8"), "--focal-mm needs"),
        (("--distance-m", "2"), "give --photo with EXIF data"),
        (("--exif", "--photo", "photo.jpg"), "no subject distance"),
        (("--invert",), "looks inverted"),
        (("--photo", "wide.png"), "its photograph 300x100"),
        (("--foreground", "wide.png"), "wide.png"),
        (("--photo", "missing.jpg"), "missing.jpg"),
    ],
)
def test_measure_names_what_is_wrong(
    folder: Path,
    arguments: tuple[str, ...],
    message: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(folder)
    Image.new("L", (300, 100)).save("wide.png")
    assert run("measure", "mask.png", *arguments, "--out", "out") == 2
    assert message in capsys.readouterr().err
    assert not Path("out").exists()


def test_results_are_not_overwritten_unless_asked(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ("measure", folder / "mask.png", "--out", folder / "out")
    assert run(*command) == 0
    assert run(*command) == 2
    assert "exists already" in capsys.readouterr().err
    assert run(*command, "--overwrite") == 0
    assert run("measure", folder / "mask.png", "--out", folder / "mask.png") == 2


def test_foreground_writes_the_mask_twice(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = folder / "concrete.png"
    assert run("foreground", folder / "photo.jpg", "--fg", "100,20", "--out", out) == 0
    assert "grabcut: 100.0%" in capsys.readouterr().out
    for path in (out, out.with_suffix(".npy")):
        assert read_mask(path, (100, 200)).all()
    assert run("foreground", folder / "photo.jpg", "--out", out) == 2
    code = run(
        "foreground",
        folder / "photo.jpg",
        "--backend",
        "none",
        "--mask",
        folder / "mask.png",
        "--out",
        out,
        "--overwrite",
    )
    assert code == 0
    assert read_mask(out).sum() == 480


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--fg", "500,5"), "lies outside the photograph"),
        (("--fg", "5,5", "--bg", "5,5"), "given as fg and as bg"),
        (("--box", "0,0,500,500"), "does not lie inside"),
        (("--preset", "x"), "--preset x is for --backend sam"),
        (("--mask", "x.png"), "is for --backend none"),
        (("--backend", "none", "--mask", "missing.png"), "missing.png"),
        (("--backend", "none", "--fg", "5,5"), "do nothing"),
    ],
)
def test_foreground_names_what_is_wrong(
    folder: Path, arguments: tuple[str, ...], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("foreground", folder / "photo.jpg", *arguments, "--out", folder / "f.png") == 2
    assert message in capsys.readouterr().err
    assert not (folder / "f.png").exists()


@pytest.mark.parametrize("arguments", [("--fg", "5"), ("--fg", "a,b"), ("--box", "1,2,3"), ("--backend", "magic")])
def test_malformed_options_end_with_code_two(folder: Path, arguments: tuple[str, str]) -> None:
    with pytest.raises(SystemExit) as stop:
        run("foreground", folder / "photo.jpg", *arguments, "--out", folder / "f.png")
    assert stop.value.code == 2


def test_limits_are_answered_and_without_a_scale_nobody_can_tell(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    call = ("measure", folder / "mask.png", "--photo", folder / "photo.jpg", "--limit-mm", "0.1,ec2")
    assert run(*call, "--mm-per-pixel", 0.1, "--out", folder / "scaled") == 0
    (row,) = rows(folder / "scaled" / "cracks.csv")
    assert row["limit_0.1_mm"] == "exceeds"
    assert json.loads((folder / "scaled" / "cracks.json").read_text())["cracks"][0]["limit_0.1_mm"] == "exceeds"
    assert "limit 0.1 mm: of 1 crack 1 exceeds it, 0 are below, 0 cannot be told" in capsys.readouterr().out
    assert float(row["max_width_low_mm"]) <= float(row["max_width_mm"]) <= float(row["max_width_high_mm"])
    profile = rows(folder / "scaled" / "widths.csv")
    assert {place["crack"] for place in profile} == {"1"}
    assert all(float(place["width_mm"]) > 0 for place in profile)
    assert run(*call, "--out", folder / "unscaled") == 0
    (row,) = rows(folder / "unscaled" / "cracks.csv")
    assert {row[f"limit_{limit}_mm"] for limit in ("0.1", "0.2", "0.3", "0.4")} == {"cannot tell"}
    assert (
        "limit 0.4 mm: of 1 crack 0 exceed it, 0 are below, 1 cannot be told (1 without a scale)"
        in capsys.readouterr().out
    )


def test_a_limit_that_is_none_is_named(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("measure", folder / "mask.png", "--limit-mm", "0,3", "--out", folder / "out") == 2
    assert "--limit-mm 0,3: widths lie above 0" in capsys.readouterr().err
    assert not (folder / "out").exists()
