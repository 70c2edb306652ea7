"""A process that is killed while it writes a candidate's files leaves nothing that looks like a model, and is gone on with."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("tensorflow")

from crack_tf.adapt import main
from crack_tf.models.shipped import find_model
from tests import warm
from tests.crack_tf.adaptation.test_adapting import files, options
from tflite.errors import CrackError
from tflite.files import read_json
from tflite.sidecar import made_from, read_sidecar, verify_file


@pytest.mark.parametrize(
    "end",
    [
        pytest.param("built/model.keras.json", id="the weights have no sidecar yet"),
        pytest.param("out/export/opnet-adapted-int8-ptq.tflite", id="all files but the int8 file are in place"),
    ],
)
def test_killed_while_it_exports_no_model_is_there_and_the_same_command_makes_it(
    end: str, tiny_base: Path, site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CRACK_TF_DATA", raising=False)
    out = tmp_path / "out"
    argv = options(site, tiny_base, out)
    command = [sys.executable, "-m", "tests.crack_tf.adaptation.killed_before", end, *argv]
    with warm.Popen(command, cwd=Path(__file__).parents[3], stderr=subprocess.PIPE, text=True) as process:
        complained = process.communicate(timeout=600)[1]
    assert process.returncode == -signal.SIGKILL, complained
    assert not read_json(out / "adapt.json")["finished"]
    assert not list(out.glob("export/*.tflite"))
    with pytest.raises(CrackError):
        find_model(str(out))
    assert main([*argv, "--resume"]) == 0
    model = find_model(str(out)).path
    sidecar = read_sidecar(model)
    verify_file(model, sidecar)
    assert made_from(sidecar, read_sidecar(out / "model.keras"))
    assert not (out / "work").exists()
    assert not [name for name in files(out) if Path(name).name.startswith(".")]


def test_who_ends_it_is_told_how_to_go_on(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("crack_tf.adapt.run", lambda args: signal.raise_signal(signal.SIGTERM))
    before = signal.getsignal(signal.SIGTERM)
    assert main(["site", "--out", "adapted"]) == 130
    assert "interrupted. " in (said := capsys.readouterr().err)
    assert "--resume" in said
    assert signal.getsignal(signal.SIGTERM) == before
