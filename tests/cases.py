"""Small inputs from outside that this package once got wrong: a folder beside the real data, which a checkout may lack."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


def case(name: str) -> Path:
    """A case's folder or file; skips the test where it is not there."""
    data = os.environ.get("CRACK_TF_DATA")
    if not data:
        pytest.skip("CRACK_TF_DATA is not set: the cases lie beside the data")
    path = Path(data).parent / "cases" / name
    if not path.exists():
        pytest.skip(f"case {name} is not here")
    return path
