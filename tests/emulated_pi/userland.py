"""The arm64 user-space of the emulated Pi: Debian's Python and the wheels of requirements-device.txt, unpacked in a folder.

Nothing is installed and no root privileges are needed: apt downloads with state of its own and checks the archive's
signatures as always, dpkg-deb unpacks, and pip is told to fetch wheels for aarch64. The mirror is the one that this machine's
apt sources name, so the emulated system is the machine's own Debian release.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tflite.errors import CrackError
from tflite.files import sha256_bytes, write_text

ROOT = Path(__file__).resolve().parents[2]
REQUIREMENTS = ROOT / "requirements-device.txt"
WORKSTATION = ROOT / "requirements.txt"
# base-files says which Debian it is; LiteRT and numpy need the C++ library. What these depend on comes along.
PACKAGES = ("base-files", "libstdc++6", "python3")
EMULATOR = "qemu-user-static"
_VERSION = "1"  # raise when what is made from the same packages changes
_DOWNLOAD_SECONDS = 900
_PIN = re.compile(r"^([A-Za-z0-9._-]+)([=<>!~][^\s#]*)", re.MULTILINE)
# Hooks of the machine's apt serve its own system, which these downloads are no part of. As root, apt would become a user that
# may not write into the private folders.
_APT_CONF = """\
APT::Architecture "arm64";
#clear APT::Architectures;
APT::Architectures {{ "arm64"; "{host}"; }};
APT::Install-Recommends "false";
APT::Sandbox::User "root";
Acquire::Languages "none";
Acquire::Retries "3";
Dir::State "{folder}/state";
Dir::State::status "{folder}/state/status";
Dir::Cache "{folder}/cache";
#clear APT::Update::Pre-Invoke;
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
#clear DPkg::Pre-Install-Pkgs;
#clear DPkg::Pre-Invoke;
#clear DPkg::Post-Invoke;
"""


@dataclass(frozen=True)
class Userland:
    """An unpacked user-space, read-only by agreement: machines with different CPUs share it.

    Attributes:
        folder: holds "debian" (the unpacked packages), "site" (the wheels) and "qemu-aarch64".
    """

    folder: Path

    @property
    def debian(self) -> Path:
        return self.folder / "debian"

    @property
    def site(self) -> Path:
        return self.folder / "site"

    @property
    def emulator(self) -> Path:
        return self.folder / "qemu-aarch64"

    @property
    def python(self) -> str:
        """Name of the interpreter in debian/usr/bin, such as "python3.11"."""
        return (self.debian / "usr/bin/python3").readlink().name


def fetch(cache: Path) -> Userland:
    """The user-space for this checkout's requirements, from the cache or downloaded into it (about 130 MB).

    Args:
        cache: folder for it, kept between calls.

    Raises:
        CrackError: if a program is missing, or the packages or wheels cannot be downloaded.
    """
    folder = cache / f"userland-{key()}"
    if folder.is_dir():
        return Userland(folder)
    for program in ("apt-get", "dpkg", "dpkg-deb"):
        if shutil.which(program) is None:
            raise CrackError(
                f"{program} is not on PATH: the emulated Pi is made of Debian packages. Run this on Debian or Ubuntu."
            )
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".userland-", dir=cache) as name:
        made, downloads = Path(name) / "made", Path(name) / "apt"
        (made / "debian").mkdir(parents=True)
        packages = download_packages(downloads)
        unpack(packages, made)
        install_wheels(Userland(made), libc_minor(packages))
        write_text(made / "packages.txt", "".join(f"{path.name}\n" for path in packages))
        try:
            made.rename(folder)
        except OSError:
            if not folder.is_dir():  # else another process was quicker, and made the same
                raise
    return Userland(folder)


def key() -> str:
    """Names what the user-space is made from: package and requirement lists, and this machine's release."""
    release = Path("/etc/os-release")
    parts = [
        _VERSION,
        *PACKAGES,
        EMULATOR,
        *pins(),
    ]
    parts.append(release.read_text(encoding="utf-8") if release.is_file() else "")
    return sha256_bytes("\0".join(parts).encode())[:16]


def pins() -> list[str]:
    """The device's requirements at the workstation's versions, so that the same Pillow decodes on both sides."""
    named = [set(_PIN.findall(path.read_text(encoding="utf-8"))) for path in (REQUIREMENTS, WORKSTATION)]
    device = {name.lower() for name, _ in named[0]}
    return sorted(f"{name}{version}" for name, version in named[1] if name.lower() in device)


def download_packages(folder: Path) -> list[Path]:
    """Let apt resolve and download the packages for arm64, and the emulator for this machine.

    Args:
        folder: for apt's state and the .deb files.

    Returns:
        The .deb files, base-files first: from Debian 13 on it holds the links that the others are unpacked through.

    Raises:
        CrackError: if apt finds no package or no mirror.
    """
    host = _call(["dpkg", "--print-architecture"], "dpkg").strip()
    for name in ("state/lists/partial", "cache/archives/partial"):
        (folder / name).mkdir(parents=True)
    write_text(folder / "state/status", "")  # nothing is installed: apt takes dependencies along
    configuration = folder / "apt.conf"
    write_text(configuration, _APT_CONF.format(host=host, folder=folder))
    apt = ["apt-get", "-q", "-y", "-c", str(configuration)]
    _call([*apt, "update"], "apt-get update")
    wanted = [f"{name}:arm64" for name in PACKAGES] + [f"{EMULATOR}:{host}"]
    _call([*apt, "install", "--download-only", *wanted], "apt-get download of arm64 packages")
    found = sorted((folder / "cache/archives").glob("*.deb"))
    return sorted(found, key=lambda path: not path.name.startswith("base-files_"))


def unpack(packages: Sequence[Path], folder: Path) -> None:
    """Unpack arm64 packages into folder/debian and the emulator's one program into folder/qemu-aarch64.

    Raises:
        CrackError: if a package is damaged or none holds the emulator.
    """
    for package in packages:
        if package.name.endswith(("_arm64.deb", "_all.deb")) and not package.name.startswith("qemu-user"):
            _call(["dpkg-deb", "-x", str(package), str(folder / "debian")], f"dpkg-deb -x {package.name}")
    # The package holds an emulator for each of forty processors, or, since Debian 13, depends on the one that does.
    for package in packages:
        if package.name.startswith("qemu-user") and _unpack_emulator(package, folder / "qemu-aarch64"):
            return
    raise CrackError(f"{EMULATOR} of this release holds no qemu-aarch64. Supported: Debian 12 and 13.")


def install_wheels(userland: Userland, libc: int) -> None:
    """Unpack the wheels of requirements-device.txt for the user-space's own Python.

    Args:
        userland: with its Debian packages in place.
        libc: minor version of its GNU C library; wheels for newer ones would not load.

    Raises:
        CrackError: if pip finds no wheel, or no index.
    """
    version = userland.python.removeprefix("python")
    tag = f"cp{version.replace('.', '')}"
    platforms = ["manylinux2014_aarch64", *(f"manylinux_2_{minor}_aarch64" for minor in range(17, libc + 1))]
    command = [sys.executable, "-m", "pip", "install", "-q", "--no-compile", "--target", str(userland.site)]
    command += ["--only-binary=:all:", "--python-version", version, "--implementation", "cp"]
    command += [f"--abi={abi}" for abi in (tag, "abi3", "none")]
    command += [
        f"--platform={platform}" for platform in reversed(platforms)
    ]  # the newest first: pip's order of preference
    _call([*command, *pins()], "pip download of aarch64 wheels")


def libc_minor(packages: Sequence[Path]) -> int:
    """36 for libc6_2.36-9_arm64.deb.

    Raises:
        CrackError: if the C library is not among the packages.
    """
    for package in packages:
        if found := re.match(r"libc6_2\.(\d+)", package.name):
            return int(found[1])
    raise CrackError("apt downloaded no libc6 for arm64. Supported: Debian 12 and 13.")


def _unpack_emulator(package: Path, target: Path) -> bool:
    """Copy the aarch64 emulator out of a package; false when it is not in there."""
    command = ["dpkg-deb", "--fsys-tarfile", str(package)]
    with (
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process,
        tarfile.open(fileobj=process.stdout, mode="r|") as archive,
    ):
        for member in archive:
            if Path(member.name).name in ("qemu-aarch64-static", "qemu-aarch64") and member.isfile():
                source = archive.extractfile(member)
                assert source is not None
                with target.open("wb") as stream:
                    shutil.copyfileobj(source, stream)
                target.chmod(0o755)
                process.terminate()
                return True
    return False


def _call(command: Sequence[str], what: str) -> str:
    """Run a program to its end and return its output.

    Raises:
        CrackError: if it fails, with the last lines of what it said.
    """
    surroundings = os.environ | {"LC_ALL": "C", "DEBIAN_FRONTEND": "noninteractive"}
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=_DOWNLOAD_SECONDS, check=False, env=surroundings
        )
    except subprocess.TimeoutExpired:
        raise CrackError(f"{what} took more than {_DOWNLOAD_SECONDS} s. Is the network there? Run it again.") from None
    if done.returncode:
        said = "\n".join(done.stderr.strip().splitlines()[-5:])
        raise CrackError(f"{what} failed (exit code {done.returncode}). It needs the network.\n{said}")
    return done.stdout
