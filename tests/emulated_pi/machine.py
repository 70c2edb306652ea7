"""Programs on an emulated Raspberry Pi: qemu-user runs the arm64 Python of a `Userland` on this machine's own kernel.

What LiteRT reads about the processor must describe the board: without /proc/cpuinfo and /sys/devices/system/cpu of an arm64
machine it crashes (SIGSEGV), because it finds this machine's. qemu's -L ROOT serves an absolute path from ROOT where ROOT has
it, and from this machine otherwise; that is how a few small files stand in for a Pi, with no chroot and no privileges.

The int8 results of an emulated CPU are those of its instructions. Its speed means nothing.
"""

from __future__ import annotations

import os
import shlex
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.emulated_pi.userland import Userland
from tflite.errors import CrackError
from tflite.files import write_text

CORES = 4


@dataclass(frozen=True)
class Cpu:
    """A processor as Linux describes it.

    Attributes:
        part: "CPU part" of /proc/cpuinfo.
        variant, revision: the same.
        features: the instruction sets it names.
    """

    part: str
    variant: str
    revision: int
    features: str


# Names as qemu knows them. Values: /proc/cpuinfo of a Raspberry Pi 4 Model B (BCM2711) and a Raspberry Pi 5 (BCM2712). The second
# has the int8 dot product (asimddp), for which XNNPACK has kernels of its own. qemu's "max" is not here: no Pi has its SVE and SME,
# and with them LiteRT 2.3.0 under qemu 7.2 answers wrongly (the golden question notices; with sve=off it is right).
CPUS = {
    "cortex-a72": Cpu("0xd08", "0x0", 3, "fp asimd evtstrm crc32 cpuid"),
    "cortex-a76": Cpu(
        "0xd0b",
        "0x4",
        1,
        "fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid asimdrdm lrcpc dcpop asimddp",
    ),
}


@dataclass(frozen=True)
class Machine:
    """An emulated board.

    Attributes:
        userland: its programs.
        cpu: one of `CPUS`.
        folder: its own files; see `make_machine`.
    """

    userland: Userland
    cpu: str
    folder: Path

    @property
    def python(self) -> Path:
        """Program that starts the arm64 Python. It is that Python's sys.executable too, so that it can start itself."""
        return self.folder / "bin" / "python"

    def run(
        self, *arguments: str | Path, cwd: Path, timeout: float = 600.0, quiet: bool = True
    ) -> subprocess.CompletedProcess[str]:
        """Run the arm64 Python to its end.

        Args:
            arguments: of Python, such as "-m", "tflite.device", "check".
            cwd: where.
            timeout: in seconds.
            quiet: keep what it says on stderr for the caller; otherwise it is shown as it comes.

        Raises:
            CrackError: if it takes longer.
        """
        words = [str(argument) for argument in arguments]
        try:
            return subprocess.run(
                [self.python, *words],
                cwd=cwd,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE if quiet else None,
                text=True,
                timeout=timeout,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise CrackError(f"emulated {self.cpu}: {shlex.join(words)} took more than {timeout:g} s.") from None


def make_machine(userland: Userland, cpu: str, folder: Path) -> Machine:
    """Lay out a board's files: a virtual environment whose Python is emulated, and the root that emulated programs see.

    Args:
        userland: the programs.
        cpu: one of `CPUS`.
        folder: for the files; the same call again changes nothing.

    Raises:
        CrackError: if the CPU is not known.
    """
    if cpu not in CPUS:
        raise CrackError(f"cpu {cpu!r}: choose one of {', '.join(CPUS)}.")
    folder = folder.absolute()
    root = folder / "root"
    root.mkdir(parents=True, exist_ok=True)
    for entry in userland.debian.iterdir():
        if entry.name not in ("proc", "sys", "tmp", "home", "root", "dev", "run"):
            _link(root / entry.name, entry)
    write_text(root / "proc/cpuinfo", cpuinfo(CPUS[cpu]))
    # Results name the board, and none may pass for one of a real Pi.
    write_text(root / "proc/device-tree/model", f"emulated {cpu} (qemu-user)\0")
    for name in ("possible", "present"):
        write_text(root / "sys/devices/system/cpu" / name, f"0-{CORES - 1}\n")
    bin_folder = userland.debian / "usr/bin"
    write_text(folder / "pyvenv.cfg", f"home = {bin_folder}\ninclude-system-site-packages = false\n")
    machine = Machine(userland, cpu, folder)
    site = folder / "lib" / userland.python / "site-packages"
    site.parent.mkdir(parents=True, exist_ok=True)
    _link(site, userland.site)
    # -0 makes this script the program's own name: Python then takes it for sys.executable, and multiprocessing starts children
    # through it. The kernel cannot start the arm64 program itself.
    command = [userland.emulator, "-cpu", cpu, "-L", root, "-0", machine.python, bin_folder / userland.python]
    words = " ".join(shlex.quote(str(word)) for word in command)
    unset = "unset PYTHONHOME PYTHONPATH LD_LIBRARY_PATH LD_PRELOAD"  # of this machine, for its own programs
    write_text(machine.python, f'#!/bin/sh\n{unset}\nexec {words} "$@"\n')
    machine.python.chmod(0o755)
    return machine


def cpuinfo(cpu: Cpu) -> str:
    """/proc/cpuinfo of a board with `CORES` such cores."""
    facts = (
        "BogoMIPS\t: 108.00\n"
        f"Features\t: {cpu.features}\n"
        "CPU implementer\t: 0x41\n"
        "CPU architecture: 8\n"
        f"CPU variant\t: {cpu.variant}\n"
        f"CPU part\t: {cpu.part}\n"
        f"CPU revision\t: {cpu.revision}\n\n"
    )
    return "".join(f"processor\t: {core}\n{facts}" for core in range(CORES))


def emulator_version(userland: Userland) -> str:
    """First line of what qemu says of itself."""
    done = subprocess.run([userland.emulator, "--version"], capture_output=True, text=True, check=True)
    return done.stdout.splitlines()[0]


def _link(link: Path, target: Path) -> None:
    """Make or replace a symbolic link."""
    if link.is_symlink() and os.readlink(link) == str(target):
        return
    link.unlink(missing_ok=True)
    link.symlink_to(target)
