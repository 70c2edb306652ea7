"""The repository as a whole: what may import what, and what is pinned. What documents say is in test_documents.py."""

from __future__ import annotations

import ast
import functools
import importlib
import re
import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from crack_tf import __version__

ROOT = Path(__file__).parent.parent
PACKAGES = ("crack_tf", "tflite", "tuning")
# Imported where a board has them, and only by the option that needs them: a pin, a camera.
BOARD_ONLY = {"gpiozero", "picamera2"}
# Imported to speak to the pinned package that brings it along: LiteRT's model files, TensorFlow's logging, errors of cells.
BROUGHT_ALONG = {
    "flatbuffers": "ai-edge-litert",
    "absl": "tensorflow",
    "nbclient": "papermill",
    "jinja2": "nbconvert",
}


@functools.cache
def repository_files() -> tuple[Path, ...]:
    """Files that are or would be committed."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    try:
        listing = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("not a git checkout")
    return tuple(path for name in listing.split("\0") if name and (path := ROOT / name).is_file())


def modules() -> list[Path]:
    """Source files of the packages."""
    return sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))


def imported_names(path: Path) -> set[str]:
    """Dotted names a file imports anywhere in it, by statement or with importlib.import_module."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are written in full, not relative"
            names.add(node.module or "")
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("import_module"):
            names |= {a.value for a in node.args if isinstance(a, ast.Constant) and isinstance(a.value, str)}
    return names


def top_level_imports(path: Path) -> set[str]:
    return {name.partition(".")[0] for name in imported_names(path)}


def device_requirements() -> dict[str, SpecifierSet]:
    """Package to the versions that requirements-device.txt allows; ranges, since it serves more Pythons than the host."""
    lines = (ROOT / "requirements-device.txt").read_text(encoding="utf-8").splitlines()
    parsed = [Requirement(text) for line in lines if (text := line.partition("#")[0].strip())]
    return {requirement.name.lower(): requirement.specifier for requirement in parsed}


def requirements(name: str) -> dict[str, str]:
    """Package (lower case, with hyphens) to version of a requirements file; every line must be `package==version`."""
    pins = {}
    for line in (ROOT / name).read_text(encoding="utf-8").splitlines():
        text = line.partition("#")[0].strip()
        if text:
            match = re.fullmatch(r"([A-Za-z0-9][A-Za-z0-9._-]*)==([0-9][0-9a-z.]*)", text)
            assert match, f"{name}: {text!r} is not pinned as package==version"
            pins[match[1].lower().replace("_", "-")] = match[2]
    return pins


def test_no_file_takes_the_name_of_a_standard_library_module() -> None:
    taken = [
        path
        for path in repository_files()
        if path.suffix == ".py" and not path.stem.startswith("__") and path.stem in sys.stdlib_module_names
    ]
    assert taken == []


def test_no_file_holds_a_path_of_a_developers_machine() -> None:
    pattern = re.compile(r"(?<![\w.$}-])/(?:root|work|tmp|Users/\w+|home/(?!pi\b)\w+)/[\w.]+")
    found = []
    for path in repository_files():
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:  # a picture or a model
            continue
        found += [f"{path.relative_to(ROOT)}: {match[0]}" for match in pattern.finditer(text)]
    assert found == []


def test_tflite_never_imports_crack_tf() -> None:
    culprits = [p for p in (ROOT / "tflite").rglob("*.py") if {"crack_tf", "tests"} & top_level_imports(p)]
    assert culprits == []


def test_legacy_keras_is_imported_in_the_quantisation_module_only() -> None:
    legacy = {"tf_keras", "tensorflow_model_optimization"}
    users = {path.relative_to(ROOT).as_posix() for path in modules() if legacy & top_level_imports(path)}
    assert users == {"tflite/qat.py"}


def test_every_third_party_import_is_pinned() -> None:
    pins: dict[str, str] = {}
    for extra in ("", "-jax", "-report", "-sam", "-cluster", "-heic", "-handover", "-supervision", "-mavlink"):
        name = f"requirements{extra}.txt"
        pins |= requirements(name)
    distributions = metadata.packages_distributions()
    ours = {*sys.stdlib_module_names, *PACKAGES, *BOARD_ONLY}
    missing = {
        f"{path.relative_to(ROOT)}: {name}"
        for path in modules()
        for name in top_level_imports(path) - ours
        if BROUGHT_ALONG.get(name) not in pins
        and not any(d.lower().replace("_", "-") in pins for d in distributions.get(name, [name]))
    }
    assert missing == set()


def test_requirement_files_are_pinned_and_each_pin_of_the_workstation_says_why() -> None:
    for name in (
        "requirements.txt",
        "requirements-dev.txt",
        "requirements-docs.txt",
        "requirements-handover.txt",
        "requirements-heic.txt",
        "requirements-jax.txt",
        "requirements-mavlink.txt",
        "requirements-report.txt",
        "requirements-sam.txt",
        "requirements-supervision.txt",
        "requirements-cluster.txt",
    ):
        assert requirements(name), name
    for line in (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines():
        assert not line or "#" in line, f"{line}: say why"


def test_device_takes_the_workstations_versions_and_nothing_heavy() -> None:
    host, device = requirements("requirements.txt"), device_requirements()
    assert set(device) == {"ai-edge-litert", "numpy", "pillow"}
    assert all(host[name] in allowed for name, allowed in device.items())
    assert str(device["ai-edge-litert"]) == f"=={host['ai-edge-litert']}"  # results name one runtime version


def test_installed_versions_are_the_pinned_ones() -> None:
    pins = requirements("requirements.txt")
    assert {name: metadata.version(name) for name in pins} == pins


def test_pinned_versions_lie_within_the_ranges_of_the_package() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    pins: dict[str, str] = {}
    for path in ROOT.glob("requirements*.txt"):
        if path.name != "requirements-device.txt":
            pins |= requirements(path.name)
    extras = project["optional-dependencies"].values()
    ranges = [Requirement(text) for text in (*project["dependencies"], *(text for extra in extras for text in extra))]
    named = [requirement for requirement in ranges if requirement.name != "crack_tf"]
    assert all(requirement.specifier for requirement in named)
    outside = [str(requirement) for requirement in named if pins[requirement.name.lower()] not in requirement.specifier]
    assert outside == []
    # requirements.txt is the whole: base, training and surveys.
    assert set(requirements("requirements.txt")) <= {requirement.name.lower() for requirement in named}


def test_each_range_says_why() -> None:
    lines = (ROOT / "pyproject.toml").read_text(encoding="utf-8").splitlines()
    base = lines[lines.index("dependencies = [") + 1 :]
    assert all("#" in line for line in base[: base.index("]")])


def test_the_readme_names_every_extra_that_is_for_users() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    (line,) = re.findall(r"^.* are extras\.$", (ROOT / "README.md").read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert {*re.findall(r"`(\w+)`", line)} == {*project["optional-dependencies"]} - {"dev", "docs"}


def test_the_command_exists() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    module, _, function = project["project"]["scripts"]["crack-tf"].partition(":")
    assert callable(getattr(importlib.import_module(module), function))


def test_licence_and_credits_are_there() -> None:
    licence = (ROOT / "LICENSE").read_text(encoding="utf-8")
    assert "Apache License" in licence
    assert "END OF TERMS AND CONDITIONS" in licence
    notice = (ROOT / "NOTICE").read_text(encoding="utf-8")
    for credit in ("10.17632/5y9wdsg2zt", "SDNET2018", "MobileNetV2", "CC BY 4.0"):
        assert credit in notice


def test_the_citation_and_the_changelog_know_this_version() -> None:
    assert f"\nversion: {__version__}\n" in (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    heads = re.findall(r"^## (.+)$", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert heads[0] == "Unreleased" or heads[0].startswith(__version__)
