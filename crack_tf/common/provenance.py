"""Where a result came from: package versions, git revision, hardware, time. Saved with every run and every model."""

from __future__ import annotations

import os
import platform
import subprocess
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tflite.manifest import Manifest

PACKAGES = (
    "tensorflow",
    "keras",
    "tf-keras",
    "tensorflow-model-optimization",
    "keras-tuner",
    "ai-edge-litert",
    "jax",
    "numpy",
    "pillow",
)


def environment() -> dict[str, Any]:
    """Versions of Python and of the packages that shape results, the git revision, and the processor."""
    versions = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return {
        "versions": versions,
        "git_revision": git_revision(),
        "hardware": {"machine": platform.machine(), "cores": os.cpu_count()},
    }


def data_record(manifest: Manifest) -> dict[str, str]:
    """What a run's config.json says of its data."""
    return {
        "dataset": manifest.dataset,
        "policy": manifest.policy,
        "manifest": str(manifest.source),
        "manifest_sha256": manifest.sha256,
    }


def git_revision() -> str | None:
    """Commit of this checkout, with "-dirty" when files differ from it; None outside a checkout."""
    folder = Path(__file__).parent
    try:
        revision = _git(folder, "rev-parse", "HEAD")
        return revision + ("-dirty" if _git(folder, "status", "--porcelain", "--untracked-files=no") else "")
    except (OSError, subprocess.SubprocessError):
        return None


def created() -> str:
    """Now, in UTC, ISO 8601 to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def _git(folder: Path, *arguments: str) -> str:
    result = subprocess.run(
        ["git", "-C", str(folder), *arguments], capture_output=True, text=True, check=True, timeout=10
    )
    return result.stdout.strip()
