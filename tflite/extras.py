"""Which optional part of the installation brings a package: said here once, for every verb.

The base installation answers photographs. Training, surveys and reports need more, which `pyproject.toml` lists as extras. A verb names
what it cannot do without (`tflite.cli.run_main`), so that it stops before it has written anything; whatever else turns out to be
missing on the way becomes the same sentence.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterable

from tflite.errors import CrackError

# Extra to the packages it brings, by the name they are imported under. Of several extras with one package the first is the smallest.
EXTRAS: dict[str, tuple[str, ...]] = {
    "survey": ("cv2",),
    "report": ("papermill", "nbconvert", "nbclient", "nbformat", "ipykernel", "jinja2", "pandas"),
    "sam": ("keras_hub",),
    "jax": ("jax",),
    "cluster": ("distributed", "dask"),
    "heic": ("pillow_heif",),
    "handover": ("pyogrio", "pyproj", "ezdxf"),
    "supervision": ("supervision",),
    "mavlink": ("pymavlink",),
    "train": (
        "tensorflow",
        "keras",
        "tf_keras",
        "tensorflow_model_optimization",
        "keras_tuner",
        "tensorboard",
        "grpc",
        "sklearn",
        "matplotlib",
        "h5py",
        "kagglehub",
        "absl",
    ),
}
_PINNED = {"train": "requirements.txt", "survey": "requirements.txt"}  # the others have a file of their own


def extra_of(package: str) -> str | None:
    """The extra that brings a package, by the name it is imported under; None for one that no extra brings."""
    root = package.partition(".")[0]
    return next((extra for extra, packages in EXTRAS.items() if root in packages), None)


def install(extra: str) -> str:
    """How to install an extra: "pip install 'crack_tf[train]' (in a checkout: pip install -r requirements.txt)"."""
    return f"pip install 'crack_tf[{extra}]' (in a checkout: pip install -r {_PINNED.get(extra, f'requirements-{extra}.txt')})"


def advice(package: str) -> str | None:
    """What to tell somebody who lacks a package, one sentence and the command; None for a package that no extra brings."""
    extra = extra_of(package)
    if extra is None:
        return None
    return f"{package.partition('.')[0]} is not installed, it comes with the extra {extra}. Run: {install(extra)}"


def is_installed(package: str) -> bool:
    """Whether a top-level package is there; it is not imported."""
    try:
        return importlib.util.find_spec(package) is not None
    except ValueError:  # in memory, made without a specification
        return True


def require(packages: Iterable[str]) -> None:
    """Make sure that packages are there, without importing them.

    Args:
        packages: top-level names, each of an extra.

    Raises:
        CrackError: for the first that is missing, naming the extra that brings it.
    """
    for package in packages:
        if not is_installed(package):
            raise CrackError(advice(package) or f"{package} is not installed.")
