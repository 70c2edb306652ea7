"""The loop as a whole: what it finds, what it writes, and that killing it anywhere changes nothing."""

from __future__ import annotations

import io
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import tflite
from tests.options import instead
from tflite.device.journal import FILE_NAME, JournalContent, encode_line, read_journal
from tflite.device.run import main
from tflite.device.tiles import tile_boxes
from tflite.images import load_rgb, resize_rgb
from tflite.runtime import Classifier
from tflite.sidecar import Sidecar, Threshold, read_sidecar, sidecar_path

ROOT = Path(tflite.__file__).parents[1]
SIDE = 32
Run = Callable[..., int]


def make_frame(path: Path, seed: int, width: int = 80, height: int = 64) -> None:
    """Blocks of random colours: some tiles score high, some low."""
    rng = np.random.default_rng(seed)
    blocks = rng.integers(0, 256, (-(-height // 16), -(-width // 16), 3)).repeat(16, axis=0).repeat(16, axis=1)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(blocks[:height, :width].astype(np.uint8)).save(path)
    os.utime(path, (1748779200 + seed, 1748779200 + seed))


@pytest.fixture(scope="session")
def model(models: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny uint8 model with a threshold that about a third of the tiles reach."""
    folder = tmp_path_factory.mktemp("run")
    path = Path(shutil.copy(models["uint8"], folder))
    shutil.copy(sidecar_path(models["uint8"]), folder)
    make_frame(folder / "x.png", 0, 320, 320)
    image, classifier = load_rgb(folder / "x.png"), Classifier(path)
    logits = [classifier.logit(image[b.y : b.y + b.h, b.x : b.x + b.w].copy()) for b in tile_boxes(320, 320, SIDE)]
    set_threshold(path, float(np.quantile(logits, 0.67)))
    return path


def set_threshold(path: Path, logit: float) -> None:
    from dataclasses import replace

    from tflite.metrics import sigmoid
    from tflite.sidecar import raw_threshold, write_sidecar

    sidecar: Sidecar = read_sidecar(path)
    raw = raw_threshold(logit, sidecar.output.scale, sidecar.output.zero_point, sidecar.output.dtype)
    write_sidecar(path, replace(sidecar, threshold=Threshold(float(sigmoid(logit)), logit, raw, None, None)))


@pytest.fixture
def frames(tmp_path: Path) -> Path:
    for number in range(6):
        make_frame(tmp_path / "frames" / f"{number}.png", number)
    return tmp_path / "frames"


@pytest.fixture
def run(model: Path, frames: Path, tmp_path: Path) -> Run:
    """Run the loop over `frames` into `out`, in this process."""

    def call(*more: str, source: Path | str = frames, out: Path = tmp_path / "out") -> int:
        words = ["--source", str(source), "--model", str(model), "--out", str(out), "--threads", "1"]
        return main(instead(words, more))

    return call


def outcome(
    content: JournalContent,
) -> tuple[list[dict[str, Any]], dict[str, dict[str, Any]], dict[str, dict[str, Any]]]:
    """What must be the same however often a run was interrupted."""

    def bare(record: Mapping[str, Any]) -> dict[str, Any]:
        return {name: value for name, value in record.items() if name not in ("n", "session")}

    return (
        [bare(positive) for positive in content.positives],
        {name: bare(record) for name, record in content.frames.items()},
        {name: bare(record) for name, record in content.gaps.items()},
    )


def test_every_tile_above_the_threshold_is_journalled_with_its_score_and_its_picture(
    run: Run, model: Path, frames: Path, tmp_path: Path
) -> None:
    assert run("--overlap", "0.2") == 0
    classifier = Classifier(model)
    expected = {}
    for path in sorted(frames.iterdir()):
        image = load_rgb(path)
        for box in tile_boxes(80, 64, SIDE, 0.2):
            raw = classifier.raw(np.ascontiguousarray(image[box.y : box.y + box.h, box.x : box.x + box.w]))
            if classifier.decide(raw):
                expected[path.name, box.x, box.y] = raw
    content: Any = read_journal(tmp_path / "out")
    found = {(p["frame"], p["tile"]["x"], p["tile"]["y"]): p["score"]["raw"] for p in content.positives}
    assert found == expected
    assert 5 < len(found) < 6 * 9
    for positive in content.positives:
        tile = load_rgb(tmp_path / "out" / positive["image"])
        assert classifier.raw(tile) == positive["score"]["raw"]
        assert classifier.logit(tile) == positive["score"]["logit"]
        assert positive["score"]["raw"] >= positive["threshold"]["raw"]
        assert positive["model_sha256"] == classifier.sidecar.sha256
    assert content.positives[0]["time"].startswith("2025-06-01T12:00:0")
    assert len(list((tmp_path / "out" / "tiles").iterdir())) == len(found)
    assert {name: record["tiles"] for name, record in content.frames.items()} == {f"{n}.png": 9 for n in range(6)}
    assert sum(record["positives"] for record in content.frames.values()) == len(found)
    assert content.finished


def test_the_summary_is_printed_and_kept(run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run()
    out = capsys.readouterr().out
    assert "6 seen, 6 classified, 0 unreadable, 0 dropped" in out
    assert "frames/s" in out
    assert "memory" in out
    end = json.loads((tmp_path / "out" / FILE_NAME).read_text().splitlines()[-1])
    assert (end["kind"], end["reason"]) == ("end", "finished")
    summary = end["summary"]
    assert (summary["seen"], summary["tiles"], summary["dropped"]) == (6, 36, 0)
    assert summary["peak_memory_mb"] > 1
    for stage in ("read", "resize", "inference", "record", "frame"):
        assert 0 <= summary["stages_ms"][stage]["p50"] <= summary["stages_ms"][stage]["p95"]


def test_tiles_of_another_size_are_resized_for_the_model_and_saved_as_they_were(
    run: Run, model: Path, frames: Path, tmp_path: Path
) -> None:
    assert run("--tile-scale", "1.5") == 0
    assert run("--tile-size", "48", out=tmp_path / "same") == 0
    content = read_journal(tmp_path / "out")
    assert outcome(content) == outcome(read_journal(tmp_path / "same"))
    positive = content.positives[0]
    tile = load_rgb(tmp_path / "out" / positive["image"])
    assert tile.shape == (48, 48, 3)
    assert Classifier(model).raw(resize_rgb(tile, SIDE)) == positive["score"]["raw"]


def test_unreadable_frames_are_gaps_and_never_clean(run: Run, frames: Path, tmp_path: Path) -> None:
    (frames / "1.png").write_bytes(b"")
    (frames / "3.png").write_bytes((frames / "3.png").read_bytes()[:100])
    make_frame(frames / "4.png", 4, 80, 8)
    assert run() == 1
    content = read_journal(tmp_path / "out")
    assert sorted(content.frames) == ["0.png", "2.png", "5.png"]
    reasons = {name: record["reason"] for name, record in content.gaps.items()}
    assert sorted(reasons) == ["1.png", "3.png", "4.png"]
    assert "is empty" in reasons["1.png"]
    assert "80x8 pixels: too small" in reasons["4.png"]
    # Copied again, a frame is read; the others stay gaps and are not told twice.
    make_frame(frames / "3.png", 3)
    lines = (tmp_path / "out" / FILE_NAME).read_text().count("\n")
    assert run() == 1
    content = read_journal(tmp_path / "out")
    assert sorted(content.frames) == ["0.png", "2.png", "3.png", "5.png"]
    assert sorted(content.gaps) == ["1.png", "4.png"]
    assert (tmp_path / "out" / FILE_NAME).read_text().count("\n") - lines == 3 + content.frames["3.png"]["positives"]


def test_a_second_run_finds_nothing_new(run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run()
    before = outcome(read_journal(tmp_path / "out"))
    assert run() == 0
    assert "6 done before" in capsys.readouterr().out
    content = read_journal(tmp_path / "out")
    assert outcome(content) == before
    assert content.sessions == 2


def test_new_photographs_are_added_by_the_next_run(run: Run, frames: Path, tmp_path: Path) -> None:
    run()
    make_frame(frames / "9.png", 9)
    assert run() == 0
    assert len(read_journal(tmp_path / "out").frames) == 7


def test_other_settings_models_and_sources_are_refused(
    run: Run, models: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run()
    before = (tmp_path / "out" / FILE_NAME).read_bytes()
    make_frame(tmp_path / "other" / "0.png", 0)
    for more, name in (
        (["--overlap", "0.3"], "overlap was 0.0, now 0.3"),
        (["--tile-size", "48"], "tile_side was 32, now 48"),
        (["--every", "2"], "every was 1, now 2"),
        (["--gps", "exif"], "gps was None, now 'exif'"),
        (["--source", str(tmp_path / "other")], "source was"),
        (["--model", str(models["int8"])], "model_sha256 was"),
    ):
        assert run(*more) == 2
        assert name in capsys.readouterr().err
    assert (tmp_path / "out" / FILE_NAME).read_bytes() == before


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--overlap", "0.95"], "--overlap 0.95"),
        (["--tile-size", "8"], "tiles of 8 pixels"),
        (["--utc-offset", "99"], "--utc-offset 99"),
        (["--hook", "no-such-command"], "no such command"),
        (["--gps", "nowhere"], "--gps nowhere"),
        (["--delegate", "gpu"], "'gpu'"),
        (["--fps", "2"], "--every"),
        (["--source", "nowhere"], "--source nowhere"),
        (["--model", "nowhere.tflite"], "nowhere.tflite"),
    ],
)
def test_bad_arguments_are_one_line_exit_2_and_leave_no_folder(
    run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str], more: list[str], message: str
) -> None:
    assert run(*more) == 2
    err = capsys.readouterr().err
    assert message in err
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_an_empty_folder_is_refused_before_a_journal_is_made(
    run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "empty").mkdir()
    assert run(source=tmp_path / "empty") == 2
    told = capsys.readouterr()
    assert (told.out, told.err) == ("", f"error: --source {tmp_path / 'empty'} holds no images.\n")
    assert not (tmp_path / "out").exists()


def test_a_frame_that_cannot_be_read_makes_the_exit_code_1_until_it_is(run: Run, frames: Path) -> None:
    (frames / "3.png").write_bytes(b"no picture")
    assert [run(), run()] == [1, 1]
    make_frame(frames / "3.png", 3)
    assert run() == 0


@pytest.mark.parametrize("text", ["x", "99", "17,0", "17,x", "-1"])
def test_pins_that_make_no_sense_are_refused_by_the_parser(run: Run, text: str) -> None:
    with pytest.raises(SystemExit) as caught:
        run(f"--gpio={text}")
    assert caught.value.code == 2


def test_an_output_folder_within_the_source_is_refused(
    run: Run, frames: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for out in (frames, frames / "out"):
        assert run(out=out) == 2
        assert "its tiles would lie among the photographs" in capsys.readouterr().err
    assert not (frames / "out").exists()


def test_positions_come_from_the_track_at_the_frames_time(run: Run, frames: Path, tmp_path: Path) -> None:
    track = tmp_path / "flight.nmea"
    lines = []
    for second in range(6):
        body = f"GPRMC,1200{second:02d},A,4730.{second}000,S,00815.0000,W,0,0,010625,,"
        check = 0
        for character in body:
            check ^= ord(character)
        lines.append(f"${body}*{check:02X}\r\n")
    track.write_text("".join(lines))
    assert run("--gps", str(track), "--gps-max-age", "0.5") == 0
    content: Any = read_journal(tmp_path / "out")
    for positive in content.positives:
        second = int(positive["frame"][0])
        assert positive["gps"]["lat"] == pytest.approx(-(47 + (30 + second / 10) / 60))
        assert positive["gps"]["lon"] == -8.25
        assert (positive["gps"]["age_s"], positive["gps"]["source"]) == (0.0, "nmea file")


def test_a_hook_is_called_once_per_positive_and_its_failures_stop_nothing(
    run: Run, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "hook.py").write_text(
        f"import sys\nline = sys.stdin.read()\nopen({str(tmp_path / 'heard')!r}, 'a').write(line)\nsys.exit('/2-' in line)\n"
    )
    assert run("--every", "2", "--hook", f"{sys.executable} {tmp_path / 'hook.py'}", "--hook-timeout", "60") == 0
    positives = read_journal(tmp_path / "out").positives
    heard = [json.loads(line) for line in (tmp_path / "heard").read_text().splitlines()]
    assert [(h["frame"], h["tile"], h["score"]) for h in heard] == [
        (p["frame"], p["tile"], p["score"]) for p in positives
    ]
    assert all((Path(h["folder"]) / h["image"]).is_file() for h in heard)
    failed = sum(positive["frame"] == "2.png" for positive in positives)
    assert f"{failed} failed" in capfd.readouterr().out
    # A rerun sprays nothing twice.
    assert run("--every", "2", "--hook", f"{sys.executable} {tmp_path / 'hook.py'}") == 0
    assert len((tmp_path / "heard").read_text().splitlines()) == len(positives)


def test_a_full_disk_is_one_message_exit_2_and_the_run_can_be_continued(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run(out=tmp_path / "whole")
    write, written = os.write, [0]

    def full(file: int, data: bytes) -> int:
        room = 3000 - written[0]
        written[0] += len(data)
        return write(file, data[: max(room, 0)])

    monkeypatch.setattr(os, "write", full)
    assert run() == 2
    monkeypatch.undo()
    assert "the disk is full: stopped" in capsys.readouterr().err
    content = read_journal(tmp_path / "out")
    assert not content.finished
    assert content.torn_bytes == 0
    assert run() == 0
    assert outcome(read_journal(tmp_path / "out")) == outcome(read_journal(tmp_path / "whole"))


# In processes of their own


def command(model: Path, source: Path | str, out: Path, *more: str) -> list[str]:
    arguments = ["--source", str(source), "--model", str(model), "--out", str(out), "--threads", "1", *more]
    return [sys.executable, "-m", "tflite.device", "run", *arguments]


def start(words: list[str], **options: Any) -> subprocess.Popen[str]:
    return subprocess.Popen(words, cwd=ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options)


def grown_to(path: Path, size: int, process: subprocess.Popen[str]) -> None:
    """Wait until a file has that many bytes or the process has ended."""
    until = time.monotonic() + 60
    while process.poll() is None and time.monotonic() < until and (not path.exists() or path.stat().st_size < size):
        time.sleep(0.001)


def test_killed_ten_times_a_run_ends_with_the_result_of_one_that_was_not(model: Path, tmp_path: Path) -> None:
    seed = random.randrange(1 << 30)
    print("seed", seed)  # shown when the test fails
    choice = random.Random(seed)
    frames, out, path = tmp_path / "frames", tmp_path / "out", tmp_path / "out" / FILE_NAME
    for number in range(150):
        make_frame(frames / f"flug über {number:03d}.png", number)
    (frames / "broken.png").write_bytes(b"\x89PNG")
    assert main(command(model, frames, tmp_path / "whole")[4:]) == 1
    total = (tmp_path / "whole" / FILE_NAME).stat().st_size
    for _ in range(10):
        size = path.stat().st_size if path.exists() else 0
        process = start(command(model, frames, out))
        grown_to(path, size + choice.randrange(total // 10), process)
        process.kill()
        process.communicate()
        if path.exists() and path.read_bytes().count(b"\n"):
            content = read_journal(path)  # readable at every moment, and nothing in it twice
            assert len({(p["frame"], *p["tile"].values()) for p in content.positives}) == len(content.positives)
            for positive in content.positives:
                assert load_rgb(out / positive["image"]).shape == (SIDE, SIDE, 3)
    done = subprocess.run(command(model, frames, out), cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stderr
    content, whole = read_journal(out), read_journal(tmp_path / "whole")
    assert outcome(content) == outcome(whole)
    assert content.sessions >= 5
    for positive in whole.positives:
        assert (out / positive["image"]).read_bytes() == (tmp_path / "whole" / positive["image"]).read_bytes()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_and_sigterm_stop_in_order_with_a_summary(
    model: Path, tmp_path: Path, hears_ctrl_c: Callable[[], object], number: signal.Signals
) -> None:
    make_frame(tmp_path / "frames" / "0.png", 0)
    process = start(command(model, tmp_path / "frames", tmp_path / "out", "--follow"), preexec_fn=hears_ctrl_c)
    path, until = tmp_path / "out" / FILE_NAME, time.monotonic() + 60
    while time.monotonic() < until and not (path.exists() and b'"kind":"frame"' in path.read_bytes()):
        time.sleep(0.05)
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert "1 seen, 1 classified" in out
    assert "Traceback" not in err
    assert read_journal(path).finished
    assert '"reason":"interrupted"' in path.read_text().splitlines()[-1]


def jpeg(seed: int) -> bytes:
    out = io.BytesIO()
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (64, 96, 3), dtype=np.uint8)).save(out, "JPEG")
    return out.getvalue()


def test_a_pipe_that_is_too_fast_loses_frames_and_says_how_many(model: Path, tmp_path: Path) -> None:
    process = subprocess.Popen(
        # Small tiles: some hundred inferences a frame.
        command(model, "-", tmp_path / "out", "--tile-size", "16", "--overlap", "0.5"),
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    out, err = process.communicate(b"".join(jpeg(seed) for seed in range(200)) + jpeg(0)[:700])
    assert process.returncode == 1, err.decode()
    content = read_journal(tmp_path / "out")
    assert content.dropped > 0
    assert len(content.frames) + len(content.gaps) + content.dropped == 201
    assert "session001-0000200" in content.gaps  # the last one waits until its turn; it was cut off
    assert f"201 seen, {len(content.frames)} classified, 1 unreadable, {content.dropped} dropped" in out.decode()


def test_a_redirected_stream_is_continued_where_it_stopped(model: Path, tmp_path: Path) -> None:
    (tmp_path / "x.mjpeg").write_bytes(b"".join(jpeg(seed) for seed in range(8)))

    def once() -> str:
        with (tmp_path / "x.mjpeg").open("rb") as stream:
            done = subprocess.run(
                command(model, "-", tmp_path / "out"),
                cwd=ROOT,
                stdin=stream,
                capture_output=True,
                text=True,
                check=False,
            )
        assert done.returncode == 0, done.stderr
        return done.stdout

    once()
    whole = outcome(read_journal(tmp_path / "out"))
    path = tmp_path / "out" / FILE_NAME
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[: len(lines) // 2]))
    assert "done before" in once()
    assert outcome(read_journal(path)) == whole


def test_help_is_quick_and_needs_no_heavy_package() -> None:
    program = "import sys; from tflite.device.run import make_parser; make_parser().format_help(); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert not {"numpy", "PIL", "ai_edge_litert", "cv2"} & set(done.stdout.split())


def test_a_journal_from_the_future_is_left_alone(run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    record = {
        "n": 1,
        "kind": "start",
        "format": "crack_tf.journal/2",
        "session": 1,
        "time": "",
        "settings": {},
        "environment": {},
    }
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / FILE_NAME).write_bytes(encode_line(record))
    assert run() == 2
    assert "use that version" in capsys.readouterr().err
