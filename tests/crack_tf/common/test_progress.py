"""A log file is told now and then how far something is; what is quick says nothing."""

from __future__ import annotations

import sys

import pytest

from crack_tf.common import progress


def test_a_log_file_gets_a_line_now_and_then(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert list(progress.bar(iter("abc"), "reading", 3, "file")) == ["a", "b", "c"]
    assert capsys.readouterr() == ("", "")
    monkeypatch.setattr(progress, "EVERY_S", 0)
    assert list(progress.bar(range(2), "reading", 2, "tile", each=512)) == [0, 1]
    assert capsys.readouterr() == ("", "reading: 512 of 1,024 tiles\nreading: 1,024 of 1,024 tiles\n")
    assert list(progress.bar(range(2), "reading", 2, "tile", shown=False)) == [0, 1]
    assert capsys.readouterr() == ("", "")


def test_a_terminal_gets_a_bar(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    assert list(progress.bar(range(3), "reading", 3, "file")) == [0, 1, 2]
    assert "reading" in capsys.readouterr().err
