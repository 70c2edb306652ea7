"""Run a bundle on a board over the system's own ssh and scp: copy, unpack, install, check, measure, bring the results back.

What a board sends is not trusted: its results come as one stream, of which plain files are taken, to a limit.

On the board everything lies in `~/crack_tf`: a folder per bundle, named after its hash, and an environment per list of
requirements. Every finished step leaves a mark there, so that the same command goes on where the last one stopped.
"""

from __future__ import annotations

import contextlib
import json
import re
import shutil
import subprocess
import tempfile
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

from crack_tf.common.archives import check_zip, unpack_tar
from tflite.device.bundle import CHECK_FORMAT, INDEX, MANIFEST, MODELS
from tflite.errors import CrackError
from tflite.files import sha256_bytes, sha256_file
from tflite.hardware import slug
from tflite.locks import partial_folder
from tflite.outputs import Output, check_folder, clear_folder, json_with
from tflite.results import RESULT_FILES as BENCHMARK_FILES

# What a board's results are: what the steps of `measuring` leave.
RESULTS = Output(
    "crack-tf bundle --ssh",
    json_with("check.json", format=CHECK_FORMAT),
    ("check.json", *BENCHMARK_FILES),
    first="check.json",
)
REQUIREMENTS = "requirements-device.txt"
PYTHONS = ((3, 10), (3, 14))  # first and last with ready-made packages for these requirements
MACHINES = ("aarch64", "x86_64")  # with LiteRT packages
ENVIRONMENT_MB = 350  # numpy, Pillow and LiteRT installed, and pip's downloads
BUNDLE_BYTES = 2 * 10**9  # unpacked; models and tiles take some megabytes
INDEX_BYTES = 32 * 10**6
RESULT_BYTES = 200 * 10**6  # of tables, JSON and pictures
RESULT_FILES = 2_000
_BEGIN = "crack_tf results follow"  # some login shells print a greeting first
_GREETING_BYTES = 1 << 20
_CONNECT_SECONDS = 15
_CONNECTION_LOST = 255  # ssh's own exit code for whatever is not the remote command's
_BUSY = 75  # EX_TEMPFAIL of sysexits.h: try again later
_HOST = re.compile(
    r"(?:(?P<user>\w[\w.-]*)@)?(?:\[(?P<v6>[0-9a-fA-F:.]+(?:%\w+)?)\]|(?P<name>\w[\w.-]*))(?::(?P<port>\d+))?"
)


@dataclass(frozen=True)
class Host:
    """Where to log in.

    Attributes:
        name: host name, address, or an alias of the ssh configuration.
        user: to log in as, or None for ssh's default.
        port: or None for ssh's default.
    """

    name: str
    user: str | None = None
    port: int | None = None

    @property
    def login(self) -> str:
        """As ssh takes it, without the port."""
        return f"{self.user}@{self.name}" if self.user else self.name

    @property
    def prefix(self) -> str:
        """As scp takes it in front of a path: addresses with colons in brackets."""
        name = f"[{self.name}]" if ":" in self.name else self.name
        return (f"{self.user}@{name}" if self.user else name) + ":"


@dataclass(frozen=True)
class Parcel:
    """A bundle to be sent.

    Attributes:
        path: the zip.
        sha256: of the zip.
        models: how many it holds for the CPU.
        requirements_sha256: of the list of what has to be installed.
        unpacked_mb: size of its content, MB of 1e6 bytes.
    """

    path: Path
    sha256: str
    models: int
    requirements_sha256: str
    unpacked_mb: float

    @property
    def folder(self) -> str:
        """This bundle's folder, in ~/crack_tf on the board."""
        return self.sha256[:12]

    @property
    def environment(self) -> str:
        """Python's environment, in ~/crack_tf on the board. Bundles with the same requirements share it."""
        return f"venv-{self.requirements_sha256[:12]}"


@dataclass(frozen=True)
class Step:
    """Something done on the board once.

    Attributes:
        title: what to tell the user.
        mark: file in ~/crack_tf that is there once the step is done.
        script: POSIX shell, run in ~/crack_tf; ends at the first error.
        hint: what to do when it fails.
    """

    title: str
    mark: str
    script: str
    hint: str


@dataclass(frozen=True)
class Board:
    """What a first look at the board told.

    Attributes:
        machine: as `uname -m` says, such as "aarch64".
        python: version of python3, or None when there is none.
        has_venv: whether python3 can make environments.
        free_mb: on the disk of the home folder, MB of 1e6 bytes.
        marks: of the steps done before.
    """

    machine: str
    python: tuple[int, int] | None
    has_venv: bool
    free_mb: float
    marks: frozenset[str]


def parse_host(text: str) -> Host:
    """Read USER@HOST:PORT, user and port optional, IPv6 addresses in brackets.

    Raises:
        CrackError: if the text is anything else; a leading hyphen would reach ssh as an option.
    """
    found = _HOST.fullmatch(text)
    port = int(found["port"]) if found and found["port"] else None
    if found is None or not (port is None or 1 <= port <= 65535):
        raise CrackError(f"--ssh {text!r}: expected USER@HOST or USER@HOST:PORT, such as pi@raspberrypi.local:22.")
    return Host(found["v6"] or found["name"], found["user"], port)


def require_programs() -> None:
    """Refuse to start without ssh and scp.

    Raises:
        CrackError: naming what is missing.
    """
    missing = [program for program in ("ssh", "scp") if shutil.which(program) is None]
    if missing:
        raise CrackError(
            f"--ssh needs {' and '.join(missing)} on PATH. Install the OpenSSH client (Debian: apt install openssh-client), "
            "or copy the bundle by hand: its README.txt has the commands."
        )


def read_parcel(path: Path) -> Parcel:
    """Look into a bundle before it is sent.

    Raises:
        CrackError: if it does not exist or is no whole bundle.
    """
    if not path.is_file():
        raise CrackError(f"bundle {path} does not exist. Name the models to pack: crack-tf bundle RUN --ssh USER@HOST.")
    try:
        with zipfile.ZipFile(path) as archive:
            check_zip(archive, BUNDLE_BYTES)
            if archive.getinfo(INDEX).file_size > INDEX_BYTES:
                raise ValueError(f"{INDEX} has more than {INDEX_BYTES / 1e6:.0f} MB")
            if damaged := archive.testzip():
                raise ValueError(f"{damaged} is damaged")
            return Parcel(
                path,
                sha256_file(path),
                sum(PurePosixPath(name).parent.name == MODELS for name in json.loads(archive.read(INDEX))["models"]),
                sha256_bytes(archive.read(REQUIREMENTS)),
                sum(entry.file_size for entry in archive.infolist()) / 1e6,
            )
    except (
        zipfile.BadZipFile,
        zlib.error,
        EOFError,
        NotImplementedError,
        RuntimeError,  # an encrypted file, or JSON nested without end
        ValueError,
        KeyError,
        TypeError,
    ) as error:
        raise CrackError(f"{path} is not a whole bundle ({error}). Make it again with --overwrite.") from None


def measure_on_board(path: Path, host: Host, results: Path, threads: Sequence[int], overwrite: bool) -> Path:
    """Check and measure a bundle on a board.

    Args:
        path: the bundle.
        host: the board.
        results: the board's results become a folder in it, named after host and bundle.
        threads: for the benchmark, one row each.
        overwrite: measure again what was measured before, and replace the results.

    Returns:
        The folder of the results.

    Raises:
        CrackError: if the bundle is damaged, the board cannot be reached or is not fit, or a step fails there.
    """
    parcel = read_parcel(path)
    target = results / f"{slug(host.name)}-{parcel.sha256[:8]}"
    hint = "This bundle was measured on that board. Add --overwrite to measure it again."
    check_folder(target, RESULTS, overwrite, inputs=(path,), hint=hint)
    before, measurements = preparations(parcel), measuring(parcel, threads)
    with connection(host) as link:
        board = look(link, [step.mark for step in (*before, *measurements)])
        require_fit(board, parcel, host)
        done = board.marks - {step.mark for step in measurements} if overwrite else board.marks
        for step in (*before, *measurements):
            if step.mark in done:
                say(host, f"{step.title}: done before")
                continue
            say(host, step.title)
            if step is before[0]:
                link.put(path, f"crack_tf/{parcel.folder}.partial")
            link.perform(step)
        say(host, "fetching the results")
        link.fetch(f"crack_tf/{parcel.folder}/results", target)
    print(f"results: {target}")
    return target


def preparations(parcel: Parcel) -> list[Step]:
    """The steps that leave a bundle ready to run on the board. The zip is put in place before the first."""
    name, environment = parcel.folder, parcel.environment
    return [
        Step(
            f"copying {parcel.path.name} ({parcel.path.stat().st_size / 1e6:.1f} MB)",
            f"{name}.zip",
            # The mark is the file under its own name: it gets that only when its content has arrived whole.
            f'echo "{parcel.sha256}  {name}.partial" | sha256sum -c - >/dev/null\nmv {name}.partial {name}.zip',
            "The file did not arrive whole. Run the same command again.",
        ),
        Step(
            "unpacking",
            f"{name}/{INDEX}",
            f"rm -rf {name} {name}.unpacking\npython3 -m zipfile -e {name}.zip {name}.unpacking\nmv {name}.unpacking {name}",
            "See the message above. Is the board's disk full?",
        ),
        Step(
            "installing numpy, Pillow and LiteRT (minutes)",
            f"{environment}/ready",
            f"python3 -m venv --clear {environment}\n"
            f"{environment}/bin/python -m pip install --disable-pip-version-check --progress-bar off --only-binary :all: "
            f"-r {name}/{REQUIREMENTS}\ntouch {environment}/ready",
            "See pip's message above. The board itself needs the way to the package index; run the same command again.",
        ),
    ]


def measuring(parcel: Parcel, threads: Sequence[int]) -> list[Step]:
    """The steps whose results are brought back."""
    name, python = parcel.folder, f"../{parcel.environment}/bin/python"
    counts = ",".join(map(str, threads))
    compare = "--compare " if parcel.models > 1 else ""  # one model has nothing to be compared with
    return [
        Step(
            "checking",
            f"{name}/.checked",
            f"cd {name}\nmkdir -p results\n{python} -m tflite.device check --out results/check.json --overwrite\ntouch .checked",
            "The check failed, see above. Nothing was measured.",
        ),
        Step(
            "measuring (minutes)",
            f"{name}/.measured",
            f"cd {name}\n{python} -m tflite.benchmark models/*.tflite --manifest {MANIFEST} --threads {counts} {compare}"
            "--out results --overwrite\ntouch .measured",
            "The benchmark failed, see above.",
        ),
    ]


class Link:
    """An open connection to a board; see `connection`.

    Args:
        host: the board.
        options: of ssh and scp alike.
    """

    def __init__(self, host: Host, options: Sequence[str]) -> None:
        self.host = host
        self._options = list(options)

    def script(self, text: str, capture: bool = False) -> subprocess.CompletedProcess[str]:
        """Run a POSIX shell script in the home folder; what it prints goes to the terminal, or is captured.

        Raises:
            CrackError: if the connection cannot be made or is lost.
        """
        port = ["-p", str(self.host.port)] if self.host.port else []
        # On standard input, since the login shell may be any; in braces, since it is then read whole before it runs.
        done = subprocess.run(
            ["ssh", *self._options, *port, self.host.login, "sh -s"],
            input=f"{{\nset -eu\n{text}\n}} </dev/null\n",
            stdout=subprocess.PIPE if capture else None,
            text=True,
            check=False,
        )
        if done.returncode == _CONNECTION_LOST:
            raise self._lost()
        return done

    def perform(self, step: Step) -> None:
        """Do one step.

        Raises:
            CrackError: if it fails, or an earlier run is still busy on the board.
        """
        # The lock ends with the process that holds it, even one whose connection broke: two measurements at once are none.
        script = (
            "cd crack_tf\n"
            f"if command -v flock >/dev/null; then exec 9>lock; flock -n 9 || exit {_BUSY}; fi\n"
            f"rm -f {step.mark}\n{step.script}"
        )
        code = self.script(script).returncode
        if code == _BUSY:
            raise CrackError(
                f"another run of this command is still busy on {self.host.login}, perhaps one whose connection broke. "
                "Wait for it to end, and run the same command again."
            )
        if code:
            raise CrackError(f"{step.title} on {self.host.login} failed with code {code}. {step.hint}")

    def put(self, source: Path, target: str) -> None:
        """Copy a file to the board, to a path relative to the home folder."""
        self._copy([str(source.resolve()), self.host.prefix + target])

    def fetch(self, source: str, target: Path) -> None:
        """Bring the results from the board, whole or not at all; replaces earlier ones in `target`.

        Args:
            source: relative to the home folder there, nothing but names.
            target: what it becomes.

        Raises:
            CrackError: if the connection is lost, or what arrives is not whole, too large, or no plain files.
        """
        with partial_folder(target) as partial:
            self._receive(source, partial / "new")
            clear_folder(target, RESULTS)
            target.mkdir(parents=True, exist_ok=True)
            for path in sorted((partial / "new").iterdir()):
                path.replace(target / path.name)

    def _receive(self, source: str, folder: Path) -> None:
        """Unpack a folder of the board from a tar stream; see `fetch`."""
        above, _, name = source.rpartition("/")
        script = f"{{\nset -eu\necho '{_BEGIN}'\ntar -C {above} -cf - {name}\n}} </dev/null\n"
        port = ["-p", str(self.host.port)] if self.host.port else []
        problem = ""
        with subprocess.Popen(
            ["ssh", *self._options, *port, self.host.login, "sh -s"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        ) as process:
            assert process.stdin is not None
            assert process.stdout is not None
            with contextlib.suppress(BrokenPipeError):  # ssh ended: its exit code says why
                process.stdin.write(script.encode())
                process.stdin.close()
            try:
                _skip_greeting(process.stdout)
                unpack_tar(process.stdout, folder, RESULT_BYTES, RESULT_FILES)
            except ValueError as error:
                problem = str(error)
                process.kill()
        if process.returncode == _CONNECTION_LOST:
            raise self._lost()
        if problem or process.returncode:
            reason = problem or f"tar there ended with code {process.returncode}"
            raise CrackError(
                f"the results of {self.host.login} could not be fetched: {reason}. Run the same command again; it goes on where it was."
            )

    def _lost(self) -> CrackError:
        port = ["-p", str(self.host.port)] if self.host.port else []
        return CrackError(
            f"--ssh {self.host.login}: the connection could not be made, or was lost (ssh's message is above). "
            f"Try: ssh {' '.join([*port, self.host.login])}. Then run the same command again; it goes on where it was."
        )

    def _copy(self, arguments: Sequence[str]) -> None:
        port = ["-P", str(self.host.port)] if self.host.port else []
        code = subprocess.run(["scp", "-q", *self._options, *port, *arguments], check=False).returncode
        if code:
            raise CrackError(
                f"scp {arguments[-2]} {arguments[-1]} failed with code {code} (its message is above). "
                "Run the same command again; it goes on where it was."
            )


def _skip_greeting(stream: IO[bytes]) -> None:
    """Read up to the line after which the results come.

    Raises:
        ValueError: if it does not come.
    """
    seen = 0
    while line := stream.readline(_GREETING_BYTES):
        seen += len(line)
        if line.strip() == _BEGIN.encode():
            return
        if seen > _GREETING_BYTES:
            break
    raise ValueError("the board sent nothing")


@contextmanager
def connection(host: Host) -> Iterator[Link]:
    """One connection that all commands share, so that a password is asked for once."""
    # Not the user's temporary folder: the socket's path may have 100 characters at most.
    with tempfile.TemporaryDirectory(prefix="crack_tf-", dir="/tmp") as folder:
        options = [
            *("-o", f"ConnectTimeout={_CONNECT_SECONDS}"),
            *("-o", "ServerAliveInterval=15", "-o", "ServerAliveCountMax=8"),
            *("-o", "ControlMaster=auto", "-o", f"ControlPath={folder}/s", "-o", "ControlPersist=60"),
        ]
        try:
            yield Link(host, options)
        finally:
            if (Path(folder) / "s").exists():
                leave = ["ssh", *options, "-O", "exit", host.login]
                subprocess.run(leave, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)


def look(link: Link, marks: Sequence[str]) -> Board:
    """Ask a board what it is and what was done there before.

    Raises:
        CrackError: if it cannot be reached or does not answer as a Linux board does.
    """
    # Every answer carries a name: some login shells print a greeting in between.
    script = r"""mkdir -p crack_tf
cd crack_tf
echo "crack_tf machine=$(uname -m)"
echo "crack_tf free_kb=$(df -Pk . | awk 'NR == 2 {print $4}')"
if command -v python3 >/dev/null; then
    echo "crack_tf python=$(python3 -c 'import sys; print("%d.%d" % sys.version_info[:2])')"
    if python3 -c 'import ensurepip, venv' 2>/dev/null; then echo "crack_tf venv=yes"; fi
fi
"""
    script += "\n".join(f'if [ -e {mark} ]; then echo "crack_tf mark={mark}"; fi' for mark in marks)
    done = link.script(script, capture=True)
    facts = re.findall(r"^crack_tf (\w+)=(.+)$", done.stdout, re.MULTILINE)
    told = dict(facts)
    if done.returncode or not {"machine", "free_kb"} <= set(told) or not told["free_kb"].isdigit():
        raise CrackError(
            f"--ssh {link.host.login}: logged in, and could not look around (code {done.returncode}). A Linux system with a "
            "home folder that can be written is needed."
        )
    version = re.fullmatch(r"(\d+)\.(\d+)", told.get("python", ""))
    return Board(
        machine=told["machine"],
        python=(int(version[1]), int(version[2])) if version else None,
        has_venv="venv" in told,
        free_mb=int(told["free_kb"]) * 1024 / 1e6,
        marks=frozenset(value for name, value in facts if name == "mark"),
    )


def require_fit(board: Board, parcel: Parcel, host: Host) -> None:
    """Refuse a board on which the bundle cannot run, before anything is copied to it.

    Raises:
        CrackError: naming what is missing.
    """
    first, last = (".".join(map(str, version)) for version in PYTHONS)
    if board.machine not in MACHINES:
        raise CrackError(
            f"{host.login} is a {board.machine} system, and LiteRT has packages for {' and '.join(MACHINES)} only. "
            "On a Raspberry Pi install the 64-bit system."
        )
    if board.python is None:
        raise CrackError(f"{host.login} has no python3. Install it there: sudo apt install python3 python3-venv")
    if not PYTHONS[0] <= board.python <= PYTHONS[1]:
        found = ".".join(map(str, board.python))
        raise CrackError(f"{host.login} has Python {found}, expected {first} to {last}. Install a newer system there.")
    if not board.has_venv:
        raise CrackError(f"Python on {host.login} cannot make environments. There: sudo apt install python3-venv")
    needed = 0.0 if f"{parcel.folder}/{INDEX}" in board.marks else 2 * parcel.unpacked_mb
    needed += 0.0 if f"{parcel.environment}/ready" in board.marks else ENVIRONMENT_MB
    if board.free_mb < needed:
        raise CrackError(
            f"{host.login} has {board.free_mb:,.0f} MB of disk left, {needed:,.0f} are needed. Make room there."
        )


def say(host: Host, text: str) -> None:
    """A line on progress, at once: the programs started next print to the same terminal."""
    print(f"{host.login}: {text}", flush=True)
