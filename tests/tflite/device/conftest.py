from __future__ import annotations

from collections.abc import Callable

import pytest

from tflite.device import sources


@pytest.fixture
def stdin(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Makes a file descriptor the standard input that --source - reads."""
    return lambda file: monkeypatch.setattr(sources, "_STDIN", file)
