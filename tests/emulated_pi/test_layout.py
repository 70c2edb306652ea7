"""The emulated Pi's files, without the emulation: what its programs are shown, and what is said when something is missing."""

from __future__ import annotations

import subprocess
import zipfile
from pathlib import Path

import pytest

from tests.emulated_pi import userland
from tests.emulated_pi.machine import CPUS, cpuinfo, make_machine
from tests.emulated_pi.measure import unpack_bundle
from tests.emulated_pi.userland import Userland, fetch, libc_minor
from tflite import hardware
from tflite.errors import CrackError


@pytest.fixture
def unpacked(tmp_path: Path) -> Userland:
    """A user-space whose emulator prints its arguments."""
    folder = tmp_path / "a folder with spaces"
    (folder / "debian/usr/bin").mkdir(parents=True)
    (folder / "debian/etc").mkdir()
    (folder / "debian/usr/bin/python3").symlink_to("python3.11")
    (folder / "site").mkdir()
    emulator = folder / "qemu-aarch64"
    emulator.write_text('#!/bin/sh\nprintf "%s\\n" "$@" "$PYTHONPATH"\n')
    emulator.chmod(0o755)
    return Userland(folder)


@pytest.mark.parametrize(
    ("cpu", "name", "dot"), [("cortex-a72", "Cortex-A72", False), ("cortex-a76", "Cortex-A76", True)]
)
def test_board_is_recognised_by_its_files_and_marked_as_emulated(
    cpu: str, name: str, dot: bool, unpacked: Userland, tmp_path: Path
) -> None:
    machine = make_machine(unpacked, cpu, tmp_path / "machine")
    board = hardware.board(machine.folder / "root")
    assert (board["cpu"], board["int8_dot_product"]) == (name, dot)
    assert board["model"] == f"emulated {cpu} (qemu-user)"
    assert (machine.folder / "root/sys/devices/system/cpu/possible").read_text() == "0-3\n"
    assert cpuinfo(CPUS[cpu]).count("processor") == 4


def test_machine_starts_python_through_the_emulator_under_its_own_name(
    unpacked: Userland, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", "of this machine")
    machine = make_machine(unpacked, "cortex-a72", tmp_path / "machine")
    words = machine.run("-c", "two words", cwd=tmp_path).stdout.split("\n")
    assert words[:4] == ["-cpu", "cortex-a72", "-L", str(machine.folder / "root")]
    assert words[4:6] == ["-0", str(machine.python)]
    assert words[6:10] == [str(unpacked.debian / "usr/bin/python3.11"), "-c", "two words", ""]
    assert (machine.folder / "lib/python3.11/site-packages").resolve() == unpacked.site


def test_the_same_machine_can_be_made_twice(unpacked: Userland, tmp_path: Path) -> None:
    first = make_machine(unpacked, "cortex-a72", tmp_path / "machine")
    assert make_machine(unpacked, "cortex-a72", tmp_path / "machine") == first


def test_unknown_cpu_is_refused(unpacked: Userland, tmp_path: Path) -> None:
    with pytest.raises(CrackError, match=r"cpu 'max': choose one of cortex-a72, cortex-a76"):
        make_machine(unpacked, "max", tmp_path / "machine")


def test_emulation_that_hangs_is_reported(unpacked: Userland, tmp_path: Path) -> None:
    unpacked.emulator.write_text("#!/bin/sh\nexec sleep 30\n")
    machine = make_machine(unpacked, "cortex-a72", tmp_path / "machine")
    with pytest.raises(CrackError, match=r"emulated cortex-a72: -c pass took more than 0.1 s"):
        machine.run("-c", "pass", cwd=tmp_path, timeout=0.1)


def test_a_machine_without_apt_is_told_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(CrackError, match=r"apt-get is not on PATH.*Debian or Ubuntu"):
        fetch(tmp_path / "cache")


def test_a_failed_download_is_told_with_apts_own_words_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, script in (
        ("apt-get", 'echo "E: Temporary failure resolving" >&2; exit 100'),
        ("dpkg", "echo amd64"),
        ("dpkg-deb", "exit 0"),
    ):
        (tmp_path / name).write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    with pytest.raises(CrackError, match=r"apt-get update failed \(exit code 100\).*network\.\nE: Temporary failure"):
        fetch(tmp_path / "cache")
    assert list((tmp_path / "cache").iterdir()) == []


def test_cached_user_space_needs_no_program_and_no_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / f"userland-{userland.key()}").mkdir()
    monkeypatch.setattr(subprocess, "run", None)
    assert fetch(tmp_path).folder.parent == tmp_path


def test_only_the_devices_own_requirements_make_another_user_space(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    changed = tmp_path / "requirements.txt"
    changed.write_text(userland.WORKSTATION.read_text(encoding="utf-8") + "notebook==1.0\n")
    before = userland.key()
    monkeypatch.setattr(userland, "WORKSTATION", changed)
    assert userland.key() == before
    changed.write_text("ai-edge-litert==9.9.9\nnumpy==9.9 # why\nPillow==9.9\n")
    assert userland.key() != before
    assert userland.pins() == ["Pillow==9.9", "ai-edge-litert==9.9.9", "numpy==9.9"]


def test_libc_version_is_read_from_its_package() -> None:
    assert libc_minor([Path("base-files_12_arm64.deb"), Path("libc6_2.36-9+deb12u14_arm64.deb")]) == 36
    with pytest.raises(CrackError, match="no libc6"):
        libc_minor([Path("base-files_12_arm64.deb")])


def test_a_bundle_that_is_no_zip_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "bundle.zip"
    path.write_bytes(b"no zip")
    with pytest.raises(CrackError, match=r"bundle .* cannot be unpacked"):
        unpack_bundle(path, tmp_path / "out")
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("bundle.json", "{}")
    assert (unpack_bundle(path, tmp_path / "out") / "bundle.json").read_text() == "{}"
