"""Whoever lacks a package is told the extra that brings it, in one line, before anything was done."""

from __future__ import annotations

import sys
import tomllib
from collections.abc import Callable
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from tflite.cli import run_main
from tflite.errors import CrackError
from tflite.extras import EXTRAS, advice, extra_of, install, require

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
WITHOUT_PACKAGES = {"all", "dev", "docs"}  # for everybody, and for developers


def brought_by(extra: str) -> set[str]:
    """Distributions that an extra of pyproject.toml names, those of the extras it contains included; lower case."""
    names = set()
    for text in PROJECT["optional-dependencies"][extra]:
        requirement = Requirement(text)
        if requirement.name == PROJECT["name"]:
            names |= {name for inner in requirement.extras for name in brought_by(inner)}
        names.add(requirement.name.lower())
    return names


def import_missing(name: str) -> Callable[[], int]:
    def body() -> int:
        raise ModuleNotFoundError(f"No module named {name!r}", name=name)

    return body


def test_every_extra_exists_and_brings_what_is_said_of_it() -> None:
    assert set(EXTRAS) == set(PROJECT["optional-dependencies"]) - WITHOUT_PACKAGES
    distributions = metadata.packages_distributions()
    # Brought by a package that the extra names.
    along = {
        "absl": "tensorflow",
        "nbclient": "papermill",
        "nbformat": "papermill",
        "jinja2": "nbconvert",
        "dask": "distributed",
    }
    for extra, packages in EXTRAS.items():
        for package in packages:
            candidates = {name.lower().replace("_", "-") for name in distributions.get(package, [])} | {
                along.get(package, "")
            }
            if not distributions.get(package):  # not installed here
                candidates.add(package.replace("_", "-"))
            assert candidates & brought_by(extra), f"{package} does not come with {extra}"


def test_all_brings_every_extra() -> None:
    assert set.union(*map(brought_by, EXTRAS)) <= brought_by("all")


def test_base_installation_has_no_package_of_an_extra() -> None:
    base = {Requirement(text).name.lower() for text in PROJECT["dependencies"]}
    assert base == {"ai-edge-litert", "numpy", "pillow", "tqdm", "scipy", "scikit-image"}


@pytest.mark.parametrize(
    ("package", "extra"), [("tensorflow", "train"), ("cv2", "survey"), ("keras_hub.models", "sam"), ("numpy", None)]
)
def test_a_package_belongs_to_the_extra_that_brings_it(package: str, extra: str | None) -> None:
    assert extra_of(package) == extra


def test_what_to_run_is_said_for_an_installation_and_for_a_checkout() -> None:
    assert install("sam") == "pip install 'crack_tf[sam]' (in a checkout: pip install -r requirements-sam.txt)"
    for extra in EXTRAS:
        assert (ROOT / install(extra).rpartition(" ")[2].rstrip(")")).is_file()


def test_a_verb_does_not_begin_where_an_extra_is_missing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "papermill", None)
    begun: list[int] = []
    assert run_main(lambda: begun.append(1), needs=("numpy", "papermill")) == 2
    assert begun == []
    error = capsys.readouterr().err
    assert error.startswith("error: papermill is not installed, it comes with the extra report. Run: pip install")
    assert error.count("\n") == 1


def test_an_import_that_fails_on_the_way_is_the_same_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_main(import_missing("tensorflow.lite")) == 2
    assert capsys.readouterr().err == f"error: {advice('tensorflow')}\n"


def test_a_missing_module_of_no_extra_is_a_bug_and_keeps_its_traceback() -> None:
    with pytest.raises(ModuleNotFoundError):
        run_main(import_missing("crack_tf.gone"))


def test_what_is_there_is_enough() -> None:
    require(("numpy", "PIL"))
    with pytest.raises(CrackError, match="no_such_package is not installed"):
        require(("no_such_package",))
