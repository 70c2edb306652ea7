"""crack_tf.deploy.ssh: a bundle is copied, run and measured on a board that is this machine: by stand-ins for ssh and scp, and by
a real sshd on loopback where there is one."""

from __future__ import annotations

import getpass
import os
import shutil
import socket
import stat
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crack_tf import bundle
from crack_tf.deploy import ssh
from crack_tf.deploy.bundle import write_zip
from tflite.errors import CrackError
from tflite.files import sha256_file

SSHD = Path("/usr/sbin/sshd")  # sshd insists on being started by its absolute path
CHECK = """import pathlib, sys
out = pathlib.Path(sys.argv[sys.argv.index("--out") + 1])
out.write_text('{"format": "crack_tf.check/1"}')
print("checked")
sys.exit(pathlib.Path("fail-check").exists() * 2)
"""
BENCHMARK = """import pathlib, sys
pathlib.Path("results/benchmark-board.json").write_text(" ".join(sys.argv[1:]))
"""


@dataclass
class FakeBoard:
    """A folder that plays the board.

    Attributes:
        home: what ssh logs in to.
        address: for --ssh.
        folder: of the programs that its shell finds first; a file there replaces python3, uname, df ...
    """

    home: Path
    address: str
    folder: Path

    def program(self, name: str, script: str) -> None:
        write_program(self.folder / name, script)

    def calls(self) -> list[str]:
        """What its pip and venv were asked for."""
        log = self.home / "python.log"
        return log.read_text().splitlines() if log.exists() else []


def write_program(path: Path, script: str) -> None:
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


def board_programs(folder: Path, home: Path) -> None:
    """A python3 that makes environments without a network: their pip does nothing."""
    folder.mkdir()
    inner = f'#!/bin/sh\\necho "$*" >> {home}/python.log\\n[ "$2" = pip ] && exit 0\\nexec {sys.executable} "$@"\\n'
    write_program(
        folder / "python3",
        f'if [ "$2" = venv ]; then\n    echo "$*" >> {home}/python.log\n    mkdir -p "$4/bin"\n'
        f'    printf \'{inner}\' > "$4/bin/python"\n    chmod +x "$4/bin/python"\n    exit 0\nfi\nexec {sys.executable} "$@"',
    )


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeBoard:
    """A board behind stand-ins for ssh and scp."""
    home, programs, client = tmp_path / "home", tmp_path / "programs", tmp_path / "client"
    home.mkdir()
    client.mkdir()
    board_programs(programs, home)
    write_program(
        client / "ssh", f'echo "ssh $*" >> {tmp_path}/client.log\ncd {home} && PATH={programs}:$PATH exec sh -s'
    )
    # The last two arguments are source and target; the one on the board begins with its name.
    write_program(
        client / "scp",
        f'echo "scp $*" >> {tmp_path}/client.log\nfor last; do from=${{to:-}}; to=$last; done\n'
        f'cd {home} && cp -r "${{from#pi@board:}}" "${{to#pi@board:}}"',
    )
    monkeypatch.setenv("PATH", f"{client}:{os.environ['PATH']}")
    return FakeBoard(home, "pi@board:2222", programs)


@pytest.fixture
def loopback(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeBoard]:
    """A board behind the system's own ssh, scp and sshd."""
    if not SSHD.exists() or shutil.which("ssh") is None:
        pytest.skip("no ssh and sshd here (Debian: openssh-client, openssh-server)")
    if os.geteuid() == 0 and not Path("/run/sshd").is_dir():
        pytest.skip("sshd started by root needs the folder /run/sshd, which is not there")
    home, programs, client = tmp_path / "home", tmp_path / "programs", tmp_path / "client"
    home.mkdir()
    client.mkdir()
    board_programs(programs, home)
    for key in ("host", "user"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(tmp_path / key)], check=True)
    # Every login lands in the board's folder, not in the home of whoever runs the tests.
    write_program(
        tmp_path / "login",
        f'cd {home} && export HOME={home} PATH={programs}:/usr/bin:/bin && exec sh -c "$SSH_ORIGINAL_COMMAND"',
    )
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    (tmp_path / "sshd_config").write_text(
        f"ListenAddress 127.0.0.1\nPort {port}\nHostKey {tmp_path}/host\nAuthorizedKeysFile {tmp_path}/user.pub\n"
        f"PidFile none\nUsePAM no\nStrictModes no\nPasswordAuthentication no\nPermitRootLogin yes\n"
        f"Subsystem sftp /usr/lib/openssh/sftp-server\nForceCommand {tmp_path}/login\n"
    )
    (tmp_path / "ssh_config").write_text(
        f"IdentityFile {tmp_path}/user\nIdentitiesOnly yes\nStrictHostKeyChecking no\n"
        f"UserKnownHostsFile /dev/null\nLogLevel ERROR\n"
    )
    for name in ("ssh", "scp"):
        write_program(client / name, f'exec {shutil.which(name)} -F {tmp_path}/ssh_config "$@"')
    monkeypatch.setenv("PATH", f"{client}:{os.environ['PATH']}")
    with subprocess.Popen(
        [SSHD, "-D", "-e", "-f", tmp_path / "sshd_config"], stderr=subprocess.PIPE, text=True
    ) as server:
        try:
            deadline = time.monotonic() + 10
            while time.monotonic() < deadline and server.poll() is None:
                with socket.socket() as probe:
                    if probe.connect_ex(("127.0.0.1", port)) == 0:
                        break
                time.sleep(0.05)
            if server.poll() is not None:
                pytest.skip(f"sshd does not start here: {server.stderr.read() if server.stderr else ''}")
            yield FakeBoard(home, f"{getpass.getuser()}@127.0.0.1:{port}", programs)
        finally:
            server.terminate()


@pytest.fixture
def parcel(tmp_path: Path) -> Path:
    """A zip built like a bundle, with programs that only pretend."""
    return make_parcel(tmp_path / "bundle.zip")


def make_parcel(
    path: Path, models: str = '["models/a.tflite", "models/b.tflite"]', more: dict[str, str] | None = None
) -> Path:
    content = {
        "bundle.json": f'{{"models": {models}}}',
        "requirements-device.txt": "numpy\n",
        "models/a.tflite": "a",
        "models/b.tflite": "b",
        "tflite/__init__.py": "",
        "tflite/benchmark.py": BENCHMARK,
        "tflite/device/__init__.py": "",
        "tflite/device/__main__.py": CHECK,
        **(more or {}),
    }
    write_zip(path, {name: text.encode() for name, text in content.items()})
    return path


@pytest.fixture
def send(tmp_path: Path) -> Callable[..., int]:
    """Run the command on a bundle that is there."""

    def call(address: str, path: Path, *options: str) -> int:
        return bundle.main(["--out", str(path), "--ssh", address, "--results", str(tmp_path / "boards"), *options])

    return call


def result_folder(tmp_path: Path) -> Path:
    (folder,) = (tmp_path / "boards").iterdir()
    return folder


@pytest.mark.parametrize("kind", ["fake", "loopback"])
def test_a_bundle_is_copied_checked_measured_and_its_results_come_back(
    kind: str, request: pytest.FixtureRequest, parcel: Path, send: Callable[..., int], tmp_path: Path
) -> None:
    board: FakeBoard = request.getfixturevalue(kind)
    assert send(board.address, parcel, "--threads", "1,3") == 0
    folder = result_folder(tmp_path)
    assert sorted(path.name for path in folder.iterdir()) == ["benchmark-board.json", "check.json"]
    asked = (folder / "benchmark-board.json").read_text()
    assert asked == (
        "models/a.tflite models/b.tflite --manifest evaluation/manifest.csv --threads 1,3 --compare --out results --overwrite"
    )
    assert folder.name.endswith(sha256_file(parcel)[:8])
    assert sorted(path.name for path in board.home.iterdir()) == ["crack_tf", "python.log"]


def test_a_second_run_refuses_to_replace_the_results(
    fake: FakeBoard, parcel: Path, send: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    assert send(fake.address, parcel) == 0
    assert send(fake.address, parcel) == 2
    assert "was measured on that board. Add --overwrite" in capsys.readouterr().err


def test_finished_steps_are_not_done_again(
    fake: FakeBoard, parcel: Path, send: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert send(fake.address, parcel) == 0
    calls = fake.calls()
    shutil.rmtree(tmp_path / "boards")
    capsys.readouterr()
    assert send(fake.address, parcel) == 0
    assert fake.calls() == calls
    assert capsys.readouterr().out.count("done before") == 5
    assert (result_folder(tmp_path) / "check.json").is_file()


def test_overwrite_measures_again_without_copying_or_installing_again(
    fake: FakeBoard, parcel: Path, send: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert send(fake.address, parcel) == 0
    for name in ("benchmark-old.json", "notes.txt"):
        (result_folder(tmp_path) / name).write_text("{}")
    capsys.readouterr()
    assert send(fake.address, parcel, "--overwrite") == 0
    assert capsys.readouterr().out.count("done before") == 3
    assert [call.split()[1] for call in fake.calls()].count("tflite.benchmark") == 2
    assert not (result_folder(tmp_path) / "benchmark-old.json").exists()
    assert (result_folder(tmp_path) / "notes.txt").read_text() == "{}"


def test_a_changed_bundle_goes_to_another_folder_and_shares_the_environment(
    fake: FakeBoard, parcel: Path, send: Callable[..., int], tmp_path: Path
) -> None:
    assert send(fake.address, parcel) == 0
    assert send(fake.address, make_parcel(tmp_path / "other.zip", more={"README.txt": "new"})) == 0
    assert sum("venv" in call.split()[1] for call in fake.calls()) == 1
    assert len(list((tmp_path / "boards").iterdir())) == 2


def test_one_model_is_compared_with_nothing(fake: FakeBoard, send: Callable[..., int], tmp_path: Path) -> None:
    assert send(fake.address, make_parcel(tmp_path / "one.zip", '["models/a.tflite", "models/edgetpu/a.tflite"]')) == 0
    assert "--compare" not in (result_folder(tmp_path) / "benchmark-board.json").read_text()


def test_a_failed_check_stops_before_the_benchmark(
    fake: FakeBoard, send: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = make_parcel(tmp_path / "bad.zip", more={"fail-check": ""})
    assert send(fake.address, path) == 2
    assert "checking on pi@board failed with code 2. The check failed" in capsys.readouterr().err
    assert not any("tflite.benchmark" in call for call in fake.calls())
    assert not (tmp_path / "boards").exists()


def test_an_interrupted_installation_starts_again_and_the_copy_does_not(
    fake: FakeBoard, parcel: Path, send: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    working = (fake.folder / "python3").read_text()
    fake.program("python3", 'if [ "$2" = venv ]; then exit 7; fi\nexec ' + sys.executable + ' "$@"')
    assert send(fake.address, parcel) == 2
    assert "installing numpy, Pillow and LiteRT (minutes) on pi@board failed with code 7" in capsys.readouterr().err
    fake.program("python3", working)
    assert send(fake.address, parcel) == 0
    said = capsys.readouterr().out
    assert said.count("done before") == 2
    assert "unpacking: done before" in said


def test_a_copy_that_arrives_damaged_is_not_taken(
    fake: FakeBoard, parcel: Path, send: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_program(tmp_path / "client/scp", f'for last; do :; done\necho damaged > "{fake.home}/${{last#pi@board:}}"')
    assert send(fake.address, parcel) == 2
    assert "did not arrive whole" in capsys.readouterr().err
    assert not list((fake.home / "crack_tf").glob("*.zip"))


def test_a_second_measurement_at_the_same_time_is_refused(
    fake: FakeBoard, parcel: Path, send: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    if shutil.which("flock") is None:
        pytest.skip("no flock here (Debian: util-linux)")
    (fake.home / "crack_tf").mkdir()
    with subprocess.Popen(
        ["flock", fake.home / "crack_tf/lock", "sh", "-c", "echo held; read line"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        assert send(fake.address, parcel) == 2
        holder.communicate(b"\n")
    assert "another run of this command is still busy on pi@board" in capsys.readouterr().err
    assert send(fake.address, parcel) == 0


@pytest.mark.parametrize(
    ("program", "script", "message"),
    [
        ("uname", "echo armv7l", "install the 64-bit system"),
        ("df", "echo head; echo /dev/sda 100000 90000 10000 90% /", "MB of disk left"),
        ("python3", "echo 3.9", "has Python 3.9, expected 3.10 to 3.14"),
        ("python3", '[ "$2" = "import ensurepip, venv" ] && exit 1\necho 3.11', "apt install python3-venv"),
        ("python3", "exit 127", "has no python3"),
        ("uname", "exit 1", "could not look around"),
        ("df", "exit 1", "could not look around"),
    ],
)
def test_an_unfit_board_is_named_before_anything_is_copied(
    program: str,
    script: str,
    message: str,
    fake: FakeBoard,
    parcel: Path,
    send: Callable[..., int],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    fake.program(program, script)
    assert send(fake.address, parcel) == 2
    assert message in capsys.readouterr().err
    assert "scp" not in (tmp_path / "client.log").read_text()


def test_a_talkative_login_shell_does_no_harm(
    fake: FakeBoard, parcel: Path, send: Callable[..., int], tmp_path: Path
) -> None:
    original = (tmp_path / "client/ssh").read_text().removeprefix("#!/bin/sh\n")
    write_program(tmp_path / "client/ssh", f"echo 'Welcome! free_kb=1 python=2.7'\n{original}")
    assert send(fake.address, parcel) == 0


def test_an_unreachable_host_is_named_with_the_command_to_try(
    fake: FakeBoard, parcel: Path, send: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_program(tmp_path / "client/ssh", "exit 255")
    assert send(fake.address, parcel) == 2
    message = capsys.readouterr().err
    assert "the connection could not be made, or was lost" in message
    assert "Try: ssh -p 2222 pi@board" in message


def test_a_real_ssh_that_finds_nobody_listening_is_a_clear_error(
    loopback: FakeBoard, parcel: Path, send: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))  # bound and not listening: connections are refused
        assert send(f"127.0.0.1:{closed.getsockname()[1]}", parcel) == 2
    assert "--ssh 127.0.0.1: the connection could not be made" in capsys.readouterr().err


HOSTILE = {
    "a tar that fails": ("exit 1", "could not be fetched"),
    "no tar at all": ("head -c 4000 /dev/urandom", "no whole tar"),
    "an endless one": ("cat /dev/zero", "could not be fetched"),
    "a large file": ("cd results && truncate -s 300M big && cd .. && exec {tar} -cf - results", "more than 200 MB"),
    "a sparse file": ("cd results && truncate -s 900G big && cd .. && exec {tar} -cSf - results", "more than 200 MB"),
    "a link": ("ln -s /etc/passwd results/check.csv && exec {tar} -cf - results", "no plain file inside the folder"),
    "a name that leads out": (
        "echo x > evil && exec {tar} -P --transform 's,^evil,results/../../evil,' -cf - results evil",
        "no plain file inside the folder",
    ),
    "an absolute name": (
        "echo x > evil && exec {tar} -P --transform 's,^evil,{outside},' -cf - evil",
        "no plain file inside the folder",
    ),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_results_that_are_not_plain_files_within_bounds_are_refused_and_leave_nothing(
    kind: str,
    fake: FakeBoard,
    parcel: Path,
    send: Callable[..., int],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    script, message = HOSTILE[kind]
    outside = tmp_path / "outside-evil"  # an absolute name
    # tar is called as: tar -C crack_tf/BUNDLE -cf - results
    fake.program("tar", f'cd "$2"\n{script.format(tar=shutil.which("tar"), outside=outside)}')
    assert send(fake.address, parcel) == 2
    said = capsys.readouterr().err
    assert message in said
    assert "Traceback" not in said
    assert list((tmp_path / "boards").iterdir()) == []
    assert not outside.exists()
    assert not (tmp_path / "evil").exists()


def test_a_bundle_that_unpacks_to_gigabytes_or_elsewhere_is_not_sent(
    fake: FakeBoard, send: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, sizes, message in (
        ("bomb.zip", {"a": 10**6, "bundle.json": 2}, "unpacks to 2,0"),
        ("outside.zip", {"../evil": 2, "bundle.json": 2}, "leads elsewhere"),
        ("many.zip", {f"{number}": 0 for number in range(20_001)}, "20,001 files"),
    ):
        with zipfile.ZipFile(tmp_path / name, "w", zipfile.ZIP_DEFLATED) as archive:
            for entry, size in sizes.items():
                archive.writestr(entry, bytes(size))
        if name == "bomb.zip":
            claim(tmp_path / name, 10**6, 2_010_000_000)
        assert send(fake.address, tmp_path / name) == 2
        said = capsys.readouterr().err
        assert message in said
        assert "is not a whole bundle" in said
    assert not (fake.home / "crack_tf").exists()


def claim(path: Path, old: int, new: int) -> None:
    """Let a zip's directory state another size of a file."""
    data = path.read_bytes()
    start = data.index(b"PK\x01\x02")
    path.write_bytes(data[:start] + data[start:].replace(old.to_bytes(4, "little"), new.to_bytes(4, "little")))


@pytest.mark.parametrize("missing", ["ssh", "scp"])
def test_a_missing_program_is_named_before_anything_else(
    missing: str,
    fake: FakeBoard,
    parcel: Path,
    send: Callable[..., int],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "client" / missing).unlink()
    monkeypatch.setenv("PATH", str(tmp_path / "client"))
    assert send(fake.address, parcel) == 2
    assert f"--ssh needs {missing} on PATH" in capsys.readouterr().err


def test_a_bundle_that_is_not_there_or_not_whole_is_refused(
    fake: FakeBoard, parcel: Path, send: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert send(fake.address, tmp_path / "none.zip") == 2
    assert "none.zip does not exist" in capsys.readouterr().err
    whole = parcel.read_bytes()
    flipped = bytearray(whole)
    flipped[45] ^= 0x10  # in the first file's content, behind 41 bytes of header and name
    for number, data in enumerate((b"", whole[: len(whole) // 2], bytes(flipped))):
        path = tmp_path / f"{number}.zip"
        path.write_bytes(data)
        assert send(fake.address, path) == 2
        assert "is not a whole bundle" in capsys.readouterr().err
    with zipfile.ZipFile(tmp_path / "foreign.zip", "w") as archive:
        archive.writestr("a.txt", "a")
    assert send(fake.address, tmp_path / "foreign.zip") == 2
    assert "is not a whole bundle" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "host"),
    [
        ("pi@raspberrypi.local", ssh.Host("raspberrypi.local", "pi")),
        ("board", ssh.Host("board")),
        ("pi@10.0.0.7:2222", ssh.Host("10.0.0.7", "pi", 2222)),
        ("pi@[fe80::1]:22", ssh.Host("fe80::1", "pi", 22)),
        ("[fe80::1%eth0]", ssh.Host("fe80::1%eth0")),
    ],
)
def test_addresses_are_read(text: str, host: ssh.Host) -> None:
    assert ssh.parse_host(text) == host


@pytest.mark.parametrize(
    "text", ["", "-oProxyCommand=x", "pi@-x", "a b", "pi@", "host:", "host:0", "host:70000", "a;b"]
)
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(CrackError, match="expected USER@HOST"):
        ssh.parse_host(text)


@given(st.text())
def test_no_address_reaches_ssh_as_an_option_or_to_a_shell(text: str) -> None:
    try:
        host = ssh.parse_host(text)
    except CrackError:
        return
    assert not host.login.startswith("-")
    assert not set(host.login) & set(" \t\n;|&$`'\"<>(){}*?\\/")


def test_scp_takes_addresses_with_colons_in_brackets() -> None:
    assert ssh.Host("fe80::1", "pi").prefix == "pi@[fe80::1]:"
    assert ssh.Host("board").prefix == "board:"
