"""The whole survey on small photographs: what it finds, what it does not know, and that it goes on after a stop."""

from __future__ import annotations

import csv
import errno
import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from crack_tf.inference.tiles import photo_boxes
from crack_tf.photo.__main__ import main as photo
from crack_tf.survey import store as store_module
from crack_tf.survey.__main__ import main
from crack_tf.survey.accepted import SINCE_ACCEPTED, TOO_LITTLE
from crack_tf.survey.findings import read_survey, title_of, write_survey
from crack_tf.survey.severity import in_order, ranked
from tests.crack_tf.survey.drawn_surveys import drawn_survey
from tests.crack_tf.survey.small_flight import Models, exif, wall, write_flight, write_models
from tflite.files import read_json, write_json
from tflite.sidecar import read_sidecar, write_sidecar


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Models:
    return write_models(tmp_path_factory.mktemp("models"))


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    return write_flight(tmp_path / "DCIM")


def survey(photos: Path, out: Path, models: Models, *more: str) -> int:
    return main([str(photos), "--out", str(out), *models.options, *more])


def test_cracks_are_found_confirmed_and_measured(photos, tmp_path, models, capsys):
    assert survey(photos, tmp_path / "out", models, "--mm-per-pixel", "0.1") == 0
    found = read_survey(tmp_path / "out")
    assert [photo.name for photo in found.photos] == [f"{number:03d}.png" for number in range(6)]
    assert sorted(finding.photo for finding in found.findings) == [
        "001.png",
        "002.png",
        "002.png",
        "004.png",
        "005.png",
        "005.png",
    ]
    assert {finding.validation for finding in found.findings} == {"confirmed"}
    longest = max(finding.length_mm or 0 for finding in found.findings)
    assert longest == pytest.approx(18.2, rel=0.04)  # from (20, 30) to (200, 60)
    assert all(finding.mean_width_px == pytest.approx(5, abs=1.2) for finding in found.findings)
    assert list(found.findings) == in_order(found.findings)
    for finding in found.findings:
        with (
            Image.open(tmp_path / "out" / finding.picture) as before,
            Image.open(tmp_path / "out" / finding.overlay) as after,
        ):
            assert before.width == after.width
            assert before.height < after.height  # by the key
    said = capsys.readouterr().out
    assert "6 confirmed, 0 unclear, 0 refuted" in said
    lines = {line.split()[-1]: line for line in said.splitlines() if " tiles  " in line}
    assert "  1 confirmed  " in lines["001.png"]
    assert "  2 confirmed  " in lines["002.png"]
    assert lines["000.png"].startswith(f"1 of {len(lines)}  nothing found  ")
    assert "not a safety assessment" in said


def test_tables_and_report_are_written(photos, tmp_path, models):
    survey(photos, tmp_path / "out", models)
    out = tmp_path / "out"
    rows = list(csv.DictReader((out / "findings.csv").open(encoding="utf-8")))
    places = json.loads((out / "findings.geojson").read_text(encoding="utf-8"))["features"]
    assert [row["id"] for row in rows] == [feature["id"] for feature in places]
    assert all(feature["geometry"]["coordinates"][:2] == pytest.approx([16.4, 48.2], abs=1e-4) for feature in places)
    assert "<html" in (out / "report.html").read_text(encoding="utf-8")
    speed = json.loads((out / "performance.json").read_text(encoding="utf-8"))
    assert sum(stage["share"] for stage in speed["stages"].values()) == pytest.approx(1, abs=0.01)


def test_where_nothing_was_searched_no_speed_is_told_and_that_of_the_search_stays(photos, tmp_path, models, capsys):
    survey(photos, tmp_path / "out", models)
    assert "photographs a minute" in capsys.readouterr().out
    speed = (tmp_path / "out/performance.json").read_bytes()
    (photos / "torn.jpg").write_bytes(b"no picture")
    for _ in range(2):  # it is tried again each time
        assert survey(photos, tmp_path / "out", models) == 1
        assert "photographs a minute" not in capsys.readouterr().out
        assert (tmp_path / "out/performance.json").read_bytes() == speed


def test_photographs_that_show_little_are_counted_without_positions(photos, tmp_path, models, capsys):
    for number, gain in ((0, 0.01), (3, 9)):
        dark_or_burnt = (np.asarray(wall(number), np.float32) * gain).clip(0, 255).astype(np.uint8)
        Image.fromarray(dark_or_burnt).save(photos / f"{number:03d}.png")
    survey(photos, tmp_path / "out", models)
    told = "2 photographs are blurred, too dark or burnt out in more than a third: a crack there may be missed. The first is 000.png"
    said = capsys.readouterr().out
    assert f"note: {told}" in said
    # A lens cap's photograph is not one without cracks.
    listed = {line.split()[-1]: " ".join(line.split()[3:-3]) for line in said.splitlines() if " tiles  " in line}
    assert listed["003.png"] == "nothing could be seen"
    assert "nothing found" not in listed["000.png"]
    page = (tmp_path / "out/report.html").read_text(encoding="utf-8")
    assert told in page
    assert "nothing found" not in page
    assert "nothing could be seen" in page
    assert page.count(">100 %</td>") == 2
    with (tmp_path / "out/photos.csv").open(encoding="utf-8") as stream:
        unseen = {row["photo"]: float(row["unseen"]) for row in csv.DictReader(stream)}
    assert unseen == {f"{number:03d}.png": float(number in (0, 3)) for number in range(6)}


def test_a_survey_and_drawn_photographs_say_the_same_threshold(photos, tmp_path, models):
    survey(photos, tmp_path / "out", models)
    drawn = ["segment", str(photos / "001.png"), "--model", str(models.segmenter), "--out", str(tmp_path / "drawn")]
    assert photo(drawn) == 0
    cut = read_json(tmp_path / "drawn/segment.json")["threshold"]
    made = read_survey(tmp_path / "out")
    assert made.models["segmenter"]["threshold"] == made.settings["models"]["segmenter"]["threshold"] == cut
    # By the sidecar's, which lies elsewhere between two steps of the output, surveys from before go on.
    sidecar = read_sidecar(models.segmenter).threshold.probability
    assert cut != sidecar
    assert read_json(tmp_path / "out/settings.json")["settings"]["models"]["segmenter"]["threshold"] == sidecar
    assert survey(photos, tmp_path / "out", models) == 0


def test_a_model_for_research_only_is_recorded_beside_its_hash(photos, tmp_path, models, capsys):
    survey(photos, tmp_path / "out", models)
    assert "use" not in read_survey(tmp_path / "out").models["segmenter"]
    capsys.readouterr()
    sidecar = read_sidecar(models.segmenter)
    write_sidecar(models.segmenter, replace(sidecar, licence="a: research only (academic research)"))
    try:
        assert survey(photos, tmp_path / "out", models) == 0  # of a version that did not state it; it goes on
    finally:
        write_sidecar(models.segmenter, sidecar)
    used = read_survey(tmp_path / "out").models
    assert [role for role, model in used.items() if model.get("use") == "research only"] == ["segmenter"]
    assert "is research only: licences of its training data allow no other use" in capsys.readouterr().out


def test_without_a_segmentation_model_findings_are_unclear_tiles(photos, tmp_path, models, capsys):
    command = [str(photos), "--out", str(tmp_path / "out"), "--model", str(models.classifier), "--segmenter", "none"]
    assert main([*command, "--foreground", "none"]) == 0
    found = read_survey(tmp_path / "out").findings
    assert {finding.photo for finding in found} == {"001.png", "002.png", "004.png", "005.png"}
    assert {(finding.validation, finding.length_px, finding.validation_score) for finding in found} == {
        ("unclear", None, None)
    }
    assert "no segmentation model" in capsys.readouterr().out


def test_unreadable_photographs_are_gaps_and_never_clean(photos, tmp_path, models, capsys):
    (photos / "000.png").write_bytes(b"not a picture")
    wall(9).save(photos / "009.png", exif=exif(9, latitude=None))
    (photos / "010.jpg").write_bytes(b"")
    assert survey(photos, tmp_path / "out", models) == 1
    found = read_survey(tmp_path / "out")
    assert [(gap.photo, gap.reason) for gap in found.gaps] == [("000.png", "unreadable"), ("010.jpg", "unreadable")]
    names = [photo.name for photo in found.photos] + [gap.photo for gap in found.gaps]
    assert sorted(names) == sorted(path.name for path in photos.iterdir())
    out = capsys.readouterr().out
    # Its name once a line.
    assert "NOT READ  000.png: not an image" in out
    assert "GAP  000.png: unreadable, not an image" in out
    assert "000.png is" not in out
    assert "5 of 6 photographs have a position" in out
    kinds = [
        feature["properties"]["kind"]
        for feature in json.loads((tmp_path / "out/coverage.geojson").read_text())["features"]
    ]
    assert kinds.count("gap") == 2


def test_places_are_optional_and_told_in_one_line(tmp_path, models, capsys):
    folder = tmp_path / "phone"
    folder.mkdir()
    for number in range(12):
        crack = [[(20, 30), (200, 60)]] if number < 2 else []
        wall(number, crack).save(folder / f"{number}.png", exif=exif(number, latitude=None))
    assert survey(folder, tmp_path / "out", models) == 0
    out = capsys.readouterr().out
    assert "GAP" not in out
    (line,) = (text for text in out.splitlines() if "have a position" in text)
    assert line.startswith(
        "note: 0 of 12 photographs have a position (12: their own data hold no position, and there is no"
    )
    assert line.endswith(
        "no flight log). A crack on two without one counts twice. For places give --flight-log, in another --out."
    )
    found = read_survey(tmp_path / "out")
    assert (len(found.photos), found.gaps) == (12, ())
    # Where others have one, something is missing on the map.
    wall(12).save(folder / "12.png", exif=exif(12))
    assert survey(folder, tmp_path / "out", models) == 1
    out = capsys.readouterr().out
    assert "1 of 13 photographs has a position" in out
    assert "2 of 2 findings have no place. A crack on two without one counts twice." in out


def test_a_photograph_that_vanishes_is_a_gap(photos, tmp_path, models, monkeypatch):
    real = Path.read_bytes

    def gone(path: Path) -> bytes:
        if path.name == "002.png":
            raise FileNotFoundError(errno.ENOENT, "gone", str(path))
        return real(path)

    monkeypatch.setattr(Path, "read_bytes", gone)
    assert survey(photos, tmp_path / "out", models) == 1
    assert [(gap.photo, gap.reason) for gap in read_survey(tmp_path / "out").gaps] == [("002.png", "missing")]


def test_findings_of_a_photograph_that_is_gone_stay(photos, tmp_path, models, capsys):
    survey(photos, tmp_path / "out", models)
    before = read_survey(tmp_path / "out")
    (photos / "001.png").unlink()
    assert survey(photos, tmp_path / "out", models) == 0
    after = read_survey(tmp_path / "out")
    assert after.findings == before.findings
    assert any("gone from the source" in warning for warning in after.warnings)


def test_a_photograph_that_was_renamed_counts_once_and_keeps_its_review(tmp_path, models, capsys):
    photos, out, path = tmp_path / "phone", tmp_path / "out", tmp_path / "review.json"
    photos.mkdir()
    for number in range(3):  # without a position they are never taken for the same place
        wall(number, [[(20, 30), (200, 60)]]).save(photos / f"{number}.png", exif=exif(number, latitude=None))
    survey(photos, out, models)
    before = read_survey(out)
    rejected = next(finding.id for finding in before.findings if finding.photo == "1.png")
    write_review(path, before, {rejected: {"decision": "rejected", "comment": "a cable"}})
    assert main(["--review", str(path), "--out", str(out)]) == 0
    (photos / "1.png").rename(photos / "pier.png")
    (photos / "2.png").unlink()  # which is gone, not renamed
    capsys.readouterr()
    survey(photos, out, models)
    after, said = read_survey(out), capsys.readouterr().out
    assert [photo.name for photo in after.photos] == ["0.png", "2.png", "pier.png"]
    assert sorted(finding.photo for finding in after.findings) == ["0.png", "2.png", "pier.png"]
    assert "note: 1 photograph that was searched is there under another name now and counts once" in said
    assert "1.png, now pier.png" in said
    assert "1 photograph was searched and is gone from the source since, the first 2.png" in said
    assert "1 rejected" in said
    assert "the survey no longer has" not in said
    (photos / "pier.png").rename(photos / "1.png")
    survey(photos, out, models)
    assert {finding.id for finding in read_survey(out).findings} == {finding.id for finding in before.findings}


def test_a_bad_file_that_was_deleted_is_no_gap_any_more_and_that_is_said(photos, tmp_path, models, capsys):
    (photos / "001.png").write_bytes(b"no picture")
    assert survey(photos, tmp_path / "out", models) == 1
    (photos / "001.png").unlink()
    assert survey(photos, tmp_path / "out", models) == 0
    after = read_survey(tmp_path / "out")
    assert ({photo.name for photo in after.photos}, after.gaps) == ({path.name for path in photos.iterdir()}, ())
    told = "1 file that could not be read is gone from the source since, the first 001.png"
    assert [warning for warning in after.warnings if warning.startswith(told)]
    assert f"note: {told}" in capsys.readouterr().out


def test_what_could_not_be_read_is_tried_again(photos, tmp_path, models):
    whole = (photos / "001.png").read_bytes()
    (photos / "001.png").write_bytes(whole[:3000])
    assert survey(photos, tmp_path / "out", models) == 1
    (photos / "001.png").write_bytes(whole)
    assert survey(photos, tmp_path / "out", models) == 0
    assert not read_survey(tmp_path / "out").gaps


def test_a_second_run_searches_only_what_is_new(photos, tmp_path, models, capsys):
    survey(photos, tmp_path / "out", models)
    wall(7, [[(20, 30), (200, 60)]]).save(photos / "007.png", exif=exif(7))
    capsys.readouterr()
    survey(photos, tmp_path / "out", models)
    said = capsys.readouterr().out
    assert "6 of 7 photographs known already\n7 of 7  1 confirmed" in said
    assert "6 photographs were done before" in said
    assert said.count(".png\n") == 1
    assert len(read_survey(tmp_path / "out").photos) == 7


def test_a_damaged_record_is_made_again(photos, tmp_path, models):
    survey(photos, tmp_path / "out", models)
    before = read_survey(tmp_path / "out")
    for record in sorted((tmp_path / "out/records").glob("*.json"))[:3]:
        record.write_bytes(record.read_bytes()[:-40])
    survey(photos, tmp_path / "out", models)
    assert read_survey(tmp_path / "out") == before


def test_a_title_stays_until_another_is_given_or_the_survey_starts_again(
    photos: Path, models: Models, tmp_path: Path
) -> None:
    for more, title in (
        (("--title", "Pier 3"), "Pier 3"),
        ((), "Pier 3"),
        (("--title", "Pier 4"), "Pier 4"),
        (("--overwrite",), photos.name),
    ):
        survey(photos, tmp_path / "out", models, *more)
        assert title_of(read_survey(tmp_path / "out")) == title


def test_changed_settings_are_refused_with_what_changed(photos, tmp_path, models, capsys):
    survey(photos, tmp_path / "out", models)
    assert survey(photos, tmp_path / "out", models, "--mm-per-pixel", "0.2") == 2
    said = capsys.readouterr().err
    assert "mm_per_pixel was None, now 0.2" in said
    assert "--overwrite" in said
    assert survey(photos, tmp_path / "out", models, "--mm-per-pixel", "0.2", "--overwrite") == 0


def test_overwriting_leaves_other_files_alone(photos, tmp_path, models):
    survey(photos, tmp_path / "out", models)
    (tmp_path / "out/notes.txt").write_text("mine")
    survey(photos, tmp_path / "out", models, "--overwrite")
    assert (tmp_path / "out/notes.txt").read_text() == "mine"


def test_a_folder_with_other_things_is_left_alone(photos, tmp_path, models, capsys):
    (tmp_path / "out").mkdir()
    (tmp_path / "out/thesis.txt").write_text("mine")
    assert survey(photos, tmp_path / "out", models) == 2
    assert "holds no survey" in capsys.readouterr().err


def test_a_full_disk_stops_the_survey_and_it_goes_on_later(photos, tmp_path, models, monkeypatch, capsys):
    survey(photos, tmp_path / "reference", models)
    written: list[Path] = []

    def full(path: Path, value: object) -> None:
        written.append(path)
        if len(written) == 4:
            raise OSError(errno.ENOSPC, "No space left on device", str(path))
        write_json(path, value)

    monkeypatch.setattr(store_module, "write_json", full)
    assert survey(photos, tmp_path / "out", models) == 2
    assert "No space left" in capsys.readouterr().err
    assert not (tmp_path / "out/survey.json").exists()
    monkeypatch.setattr(store_module, "write_json", write_json)
    assert survey(photos, tmp_path / "out", models) == 0
    assert read_survey(tmp_path / "out").findings == read_survey(tmp_path / "reference").findings


def test_names_may_hold_anything(tmp_path, models):
    folder = tmp_path / "DCIM"
    folder.mkdir()
    names = [
        "Brücke 1.png",
        "橋.png",
        "a'b\"&<i>.png",
        "emoji 🌉.png",
        b"broken \xff.png".decode("utf-8", "surrogateescape"),
    ]
    for number, name in enumerate(names):
        wall(number, [[(20, 30), (200, 60)]]).save(folder / name, exif=exif(number, model="<script>alert(1)</script>"))
    assert survey(folder, tmp_path / "out", models) == 0
    found = read_survey(tmp_path / "out")
    assert {photo.name for photo in found.photos} == {*names[:4], "broken \\udcff.png"}
    assert len(found.findings) == 5
    assert "<script>alert(1)" not in (tmp_path / "out/report.html").read_text(encoding="utf-8")


def test_a_flight_log_fills_missing_positions(tmp_path, models):
    folder = tmp_path / "DCIM"
    folder.mkdir()
    wall(0, [[(20, 30), (200, 60)]]).save(folder / "a.png", exif=exif(5, latitude=None))
    log = tmp_path / "log.csv"
    log.write_text("time,lat,lon\n2025-06-01T09:30:00Z,-33.5,179.9999\n2025-06-01T09:30:10Z,-33.5,-179.9999\n")
    assert survey(folder, tmp_path / "out", models, "--flight-log", str(log)) == 0
    photo = read_survey(tmp_path / "out").photos[0]
    assert photo.latitude == pytest.approx(-33.5)
    assert abs(photo.longitude or 0) == pytest.approx(180, abs=1e-6)


def test_a_video_is_surveyed_frame_by_frame(tmp_path, models):
    cv2 = pytest.importorskip("cv2")
    path = tmp_path / "flight.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 10, (224, 160))
    for number in range(31):
        writer.write(np.asarray(wall(1, [[(20, 30), (200, 60)]] if number >= 10 else []))[..., ::-1])
    writer.release()
    start = ["--video-start", "2025-06-01T11:30:00+02:00"]
    assert survey(path, tmp_path / "out", models, *start) == 0  # positions are optional
    found = read_survey(tmp_path / "out")
    assert [photo.name for photo in found.photos] == [f"flight.avi#{number:06d}" for number in (0, 10, 20, 30)]
    assert found.photos[1].time == "2025-06-01T09:30:01.000Z"
    assert [photo.findings for photo in found.photos] == [0, 1, 1, 1]


def test_a_review_is_read_back_and_its_tiles_become_training_data(photos, tmp_path, models, capsys):
    out = tmp_path / "out"
    survey(photos, out, models)
    found = read_survey(out)
    decided = {found.findings[0].id: {"decision": "rejected", "comment": "a cable", "time": ""}}
    write_review(tmp_path / "review.json", found, decided)
    command = ["--review", str(tmp_path / "review.json"), "--out", str(out), "--export-tiles", str(tmp_path / "tiles")]
    assert main(command) == 0
    assert "1 rejected" in capsys.readouterr().out
    assert len(list((tmp_path / "tiles/no_crack").iterdir())) >= 1
    assert main([str(photos), *command, "--overwrite"]) == 2
    assert "--overwrite starts the survey" in capsys.readouterr().err
    assert main(["--out", str(out)]) == 2
    assert main([str(photos), "--out", str(out), "--export-tiles", "tiles"]) == 2


def test_a_review_stays_when_the_survey_is_asked_again(photos, tmp_path, models, capsys):
    out, path = tmp_path / "out", tmp_path / "review.json"
    survey(photos, out, models)
    found = read_survey(out)
    number = found.findings[0].id
    write_review(path, found, {number: {"decision": "rejected", "comment": "a cable", "time": "2026-01-02T08:00:00Z"}})
    assert main(["--review", str(path), "--out", str(out)]) == 0

    def decided() -> dict[str, str]:
        with (out / "findings.csv").open(encoding="utf-8", newline="") as stream:
            row = next(row for row in csv.DictReader(stream) if row["id"] == number)
        return {name: row[name] for name in ("decision", "comment", "reviewer", "reviewed")}

    before = decided()
    assert list(before.values()) == ["rejected", "a cable", "me", "2026-01-02T08:00:00Z"]
    for again in (
        lambda: survey(photos, out, models, "--limit-mm", "0.2"),
        lambda: main(["--out", str(out), "--one-file"]),
        lambda: survey(photos, out, models, "--one-file"),
    ):
        again()
        assert decided() == before
        assert '"comment":"a cable"' in (out / "report.html").read_text(encoding="utf-8")
    # A finding that is gone takes its decision with it, and that is said. Its photograph is another one now.
    photo = photos / found.findings[0].photo
    Image.new("RGB", Image.open(photo).size, (160, 160, 160)).save(photo)
    capsys.readouterr()
    survey(photos, out, models)
    note = f"1 decision is on findings that the survey no longer has ({number})"
    assert note in capsys.readouterr().out
    assert note in (out / "report.html").read_text(encoding="utf-8")
    # Both are still reviews of this survey.
    for earlier in (path, out / "review.json"):
        assert main(["--review", str(earlier), "--out", str(out)]) == 0
        assert note in capsys.readouterr().out
    survey(photos, out, models, "--overwrite")
    assert "note: the review in this folder is gone" in capsys.readouterr().out
    assert main(["--review", str(path), "--out", str(out)]) == 2
    assert "export the review again from today's report.html" in capsys.readouterr().err
    assert "decision" not in (out / "findings.csv").read_text(encoding="utf-8")


def test_what_was_accepted_without_being_confirmed_is_measured_on_its_photograph(tmp_path, models, capsys):
    (tmp_path / "DCIM").mkdir()
    blot = wall(0)
    ImageDraw.Draw(blot).ellipse([60, 40, 130, 100], fill=(10, 10, 10))
    short, stained, crack = wall(1, [[(26, 40), (52, 44)]]), wall(2), wall(3, [[(20, 40), (152, 44)]])
    ImageDraw.Draw(stained).rectangle([70, 60, 130, 110], fill=(150, 150, 150))
    for name, picture in (("blot", blot), ("short", short), ("stained", stained), ("crack", crack)):
        picture.save(tmp_path / "DCIM" / f"{name}.png", exif=exif())
    out, path = tmp_path / "out", tmp_path / "review.json"
    asked = ("--mm-per-pixel", "0.1", "--limit-mm", "0.2")
    assert survey(tmp_path / "DCIM", out, models, *asked) == 0
    before = {finding.photo: finding for finding in read_survey(out).findings}
    assert {name[:-4] for name, one in before.items() if one.length_px is None} == {"blot", "short", "stained"}
    write_review(path, read_survey(out), {one.id: {"decision": "accepted"} for one in before.values()})
    capsys.readouterr()
    assert survey(tmp_path / "DCIM", out, models, *asked, "--review", str(path)) == 0
    told = capsys.readouterr().out
    assert "measuring 3 accepted findings on 3 photographs" in told
    assert f"1 accepted finding ({before['stained.png'].id}): {TOO_LITTLE}" in told
    assert "limit 0.2 mm: of 4 cracks 1 exceeds it, 0 are below, 3 cannot be told (2 short or wide for a crack" in told

    def rows() -> dict[str, dict[str, str]]:
        with (out / "findings.csv").open(encoding="utf-8", newline="") as stream:
            return {row["photo"]: row for row in csv.DictReader(stream)}

    measured = rows()
    assert {row["id"] for row in measured.values()} == {one.id for one in before.values()}
    assert float(measured["blot.png"]["length_mm"]) == pytest.approx(7.1, rel=0.1)
    assert float(measured["short.png"]["length_mm"]) == pytest.approx(2.6, rel=0.1)
    assert measured["short.png"]["length_high_mm"] == ""  # nobody knows how far it goes on
    assert measured["stained.png"]["length_mm"] == ""
    assert TOO_LITTLE in measured["stained.png"]["note"]
    assert {name[:-4] for name, row in measured.items() if SINCE_ACCEPTED in row["note"]} == {"blot", "short"}
    assert {row["validation"] for name, row in measured.items() if name != "crack.png"} == {"unclear"}
    for finding in read_survey(out).findings:
        assert (finding.profile is None) == (finding.length_px is None)
        assert finding.profile is None or (out / finding.profile).is_file()
    # Once is enough, and what the folder keeps is what the next call tells.
    assert survey(tmp_path / "DCIM", out, models, *asked) == 0
    assert "measuring" not in capsys.readouterr().out
    assert rows() == measured
    # A damaged file is made again.
    (out / "measured.json").write_text("{")
    assert survey(tmp_path / "DCIM", out, models, *asked) == 0
    assert "measuring 3 accepted findings" in capsys.readouterr().out
    assert rows() == measured


def write_review(path, found, decided):
    from crack_tf.survey.findings import survey_id
    from crack_tf.survey.reviews.review import FORMAT

    value = {"format": FORMAT, "survey": survey_id(found), "source": found.source, "reviewer": "me"}
    path.write_text(json.dumps(value | {"decisions": decided}))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--overlap", "0.95"], "--overlap 0.95"),
        (["--mm-per-pixel", "0.1", "--distance-m", "2"], "--mm-per-pixel says everything"),
        (["--focal-mm", "8"], "--focal-mm 8 needs"),
        (["--flight-log", "nowhere.gpx"], "nowhere.gpx"),
        (["--timezone", "Mars/Base"], "Mars/Base"),
        (["--segmenter", "opnet"], "is a classifier"),
        (["--truth", "nowhere.json"], "nowhere.json"),
    ],
)
def test_bad_options_are_explained(photos, tmp_path, models, capsys, options, message):
    assert main([str(photos), "--out", str(tmp_path / "out"), "--model", str(models.classifier), *options]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_nothing_to_survey_is_explained(tmp_path, models, capsys):
    (tmp_path / "empty").mkdir()
    for source, message in ((tmp_path / "empty", "no photograph in"), (tmp_path / "nowhere", "does not exist")):
        assert survey(source, tmp_path / "out", models) == 2
        assert message in capsys.readouterr().err
    shutil.copy(__file__, tmp_path / "film.mp4")
    assert survey(tmp_path / "film.mp4", tmp_path / "out", models) == 2
    assert "is no video" in capsys.readouterr().err


def test_results_are_not_surveyed_again(photos, tmp_path, models, capsys):
    out = tmp_path / "site/found"
    assert survey(photos, out, models) == 0
    capsys.readouterr()
    for source, message in (
        (out / "pictures", f"is part of what crack-tf survey found, in {out}"),
        (tmp_path / "site", "Results of an earlier run lie there, in 1 folder, the first found"),
    ):
        assert survey(source, tmp_path / "again", models) == 2
        assert message in capsys.readouterr().err
        assert not (tmp_path / "again").exists()


def test_out_around_the_photographs_is_refused(photos, models, capsys):
    assert survey(photos, photos / "out", models) == 2
    assert (
        "its pictures would lie among the photographs, and other programs would take them for some"
        in capsys.readouterr().err
    )


def test_a_finished_surveys_report_is_made_into_one_file(photos, tmp_path, models, capsys):
    out = tmp_path / "out"
    assert main(["--out", str(out), "--one-file"]) == 2
    assert "holds no finished survey" in capsys.readouterr().err
    survey(photos, out, models)
    assert "data:image/jpeg" not in (out / "report.html").read_text(encoding="utf-8")
    assert main(["--out", str(out), "--one-file"]) == 0
    one_file = (out / "report.html").read_bytes()
    assert one_file.count(b"data:image/jpeg") == 3 * len(read_survey(out).findings)
    survey(photos, out, models)
    assert b"data:image/jpeg" not in (out / "report.html").read_bytes()
    survey(photos, out, models, "--one-file")
    assert (out / "report.html").read_bytes() == one_file


def test_the_report_of_an_earlier_versions_survey_has_the_rule_that_it_states(tmp_path, capsys):
    survey = drawn_survey(tmp_path, 6)
    old = replace(survey, findings=tuple(replace(finding, severity=7.25) for finding in reversed(survey.findings)))
    stored = write_survey(tmp_path, old).read_bytes()
    assert main(["--out", str(tmp_path), "--one-file"]) == 0
    assert "note: severities and their order are by today's rule" in capsys.readouterr().out
    assert '"severity":7.25' not in (tmp_path / "report.html").read_text(encoding="utf-8")
    assert (tmp_path / "survey.json").read_bytes() == stored
    write_survey(tmp_path, ranked(survey))
    assert main(["--out", str(tmp_path), "--one-file"]) == 0
    assert "note: " not in capsys.readouterr().out


def test_tiles_follow_the_scale_where_the_model_says_how_much_its_training_tiles_showed(tmp_path, capsys):
    models = write_models(tmp_path)
    sidecar = read_sidecar(models.classifier)
    own = {"dataset": "own", "tile_side": 32, "training_mm": 24.0}
    write_sidecar(models.classifier, replace(sidecar, training=own))
    photos = write_flight(tmp_path / "DCIM")
    first = sorted(photos.glob("*.png"))[0]
    for path in photos.glob("*.png"):
        if path != first:
            path.unlink()
    with Image.open(first) as image:
        width, height = image.size
    for tile, side in (((), 48), (("--tile", "32"), 32)):
        out = tmp_path / f"out{side}"
        assert survey(photos, out, models, "--mm-per-pixel", "0.5", *tile) == 0
        found = read_survey(out)
        assert [photo.tiles for photo in found.photos] == [len(photo_boxes(width, height, side, 0.25))]
        assert found.settings.get("tile_mm") == (None if tile else 24.0)
    told = capsys.readouterr().out
    assert "tiles: 24 mm of the surface, as in the model's training: 48 pixels" in told
    assert "tiles: 32 pixels, 16 mm of the surface\n" in told
