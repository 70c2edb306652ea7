from __future__ import annotations

import re
import subprocess
from datetime import datetime
from pathlib import Path

import pytest

from crack_tf.common import provenance


def test_environment_names_python_numpy_and_keras_versions() -> None:
    found = provenance.environment()
    assert {"python", "numpy", "keras", "tensorflow"} <= set(found["versions"])
    assert found["hardware"]["cores"] >= 1


def test_revision_is_that_of_the_checkout_and_says_when_files_differ() -> None:
    folder = Path(provenance.__file__).parent
    head = subprocess.run(["git", "-C", str(folder), "rev-parse", "HEAD"], capture_output=True, text=True)
    if head.returncode:
        pytest.skip("not a git checkout")
    assert re.fullmatch(re.escape(head.stdout.strip()) + "(-dirty)?", provenance.git_revision() or "")


def test_revision_is_unknown_without_git(monkeypatch) -> None:
    monkeypatch.setenv("PATH", "")
    assert provenance.git_revision() is None


def test_time_is_utc_and_parses() -> None:
    offset = datetime.fromisoformat(provenance.created()).utcoffset()
    assert offset is not None
    assert offset.total_seconds() == 0
