"""Command lines, right and wrong: `dicomd recv` says and returns what the installed dcmrecv does.

The port is always taken, so that a command line without a fault ends with exit code 64 in both.
"""

import contextlib
import errno
import io
import os
import random
import socket
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import trustme
from tests.journeys.running import command, environment

from dicomd.cli import recv
from dicomd.errors import BindError
from dicomd.settings.daemon import DaemonSettings

pytestmark = pytest.mark.journey

DCMRECV = "/usr/bin/dcmrecv"
TOLD = ("error:", "F: ", "E: ", "W: ", "I: ")
NOT_TOLD = ("OpenSSL error", "Ciphersuite '")
"""OpenSSL's own numbers; and advice about ciphers, which 3.6.7 gives about the wrong ones."""


@dataclass(frozen=True)
class Told:
    """How a command line ended: exit code and the lines that say why."""

    code: int
    lines: tuple[str, ...]


class TakenPort:
    """In the supervisor's place: everything is loaded, then the port turns out to be taken."""

    number = errno.EADDRINUSE

    def __init__(self, load: Callable[[], DaemonSettings]) -> None:
        self._load = load

    def run(self) -> int:
        self._load()
        raise BindError("port", OSError(self.number, os.strerror(self.number)))


@pytest.fixture(scope="module")
def taken_port() -> Iterator[str]:
    with socket.socket() as sock:
        sock.bind(("0.0.0.0", 0))
        sock.listen()
        yield str(sock.getsockname()[1])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Files that command lines name: key and certificate, command files, log configurations."""
    folder = tmp_path_factory.mktemp("recv")
    authority = trustme.CA()
    for name in ("one", "two"):
        certificate = authority.issue_cert("localhost")
        (folder / f"{name}.key").write_bytes(certificate.private_key_pem.bytes())
        (folder / f"{name}.crt").write_bytes(certificate.cert_chain_pems[0].bytes())
    (folder / "ca.crt").write_bytes(authority.cert_pem.bytes())
    (folder / "verbose").write_text('-v "--aetitle" x\n')
    (folder / "quotes").write_text('-fe De"fa ult" -aet \'\' "@nested"')
    (folder / "open").write_text('-fe "never closed\n12345')
    (folder / "warn.cfg").write_text("log4cplus.rootLogger = WARN\n")
    (folder / "off.cfg").write_text("log4cplus.rootLogger = OFF\n")
    (folder / "empty.cfg").write_text("# nothing\n")
    (folder / "foreign.cfg").write_text("a.b = c\n")
    (folder / "rootless.cfg").write_text("log4cplus.logger.dcmtk = INFO\n")
    return folder


def theirs(folder: Path, arguments: list[str]) -> Told:
    ended = subprocess.run(
        [DCMRECV, *arguments],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    return told(ended.returncode, ended.stderr.replace(f"'{DCMRECV}'", "'dcmrecv'"))


def ours(folder: Path, arguments: list[str], monkeypatch: pytest.MonkeyPatch) -> Told:
    monkeypatch.setattr(recv, "Supervisor", TakenPort)
    monkeypatch.chdir(folder)
    errors = io.StringIO()
    with contextlib.redirect_stderr(errors), contextlib.redirect_stdout(io.StringIO()):
        code = recv.main(arguments)
    return told(code, errors.getvalue())


def told(code: int, errors: str) -> Told:
    lines = (line.rstrip() for line in errors.splitlines())
    return Told(
        code,
        tuple(
            line
            for line in lines
            if line.startswith(TOLD) and not any(text in line for text in NOT_TOLD)
        ),
    )


FAULTY = [
    "--bogus PORT",
    "-v=3 PORT",
    "--verb PORT",
    "-vd PORT",
    "-- PORT",
    "--config-file a",
    "-aet",
    "",
    "-v",
    "PORT PORT",
    "- PORT",
    "@ PORT",
    "-12",
    "-xf a b",
    "abc",
    "0",
    "65536",
    "4294967297",
    "@verbose 99999",
    "@nofile PORT",
    "@quotes 99999",
    "@open",
    "-ll bogus PORT",
    "-ll info -v PORT",
    "-d -ll info PORT",
    "-q -ll bogus PORT",
    "-lc nofile PORT",
    "-lc empty.cfg PORT",
    "-lc foreign.cfg PORT",
    "-lc rootless.cfg PORT",
    "-lc nofile -v PORT",
    "-lc nofile -ll info PORT",
    "-lc off.cfg -ta 0 PORT",
    "+v PORT",
    "+v -v -q PORT",
    "+v -ll error PORT",
    "-q +v PORT",
    "-ta 0 PORT",
    "-ta x PORT",
    "-ta -5 PORT",
    "-td 0 PORT",
    "-pdu 4095 PORT",
    "-pdu 131073 PORT",
    "-pdu 4294967297 PORT",
    "-ta 0 -pdu 1 99999",
    "-q -pdu 1 PORT",
    "-q --bogus PORT",
    "-q -aet",
    "-ll off PORT",
    "-q 99999",
    "+B +ssd PORT",
    "+ssd +B PORT",
    "+B +ssd --ignore PORT",
    "+B -B +ssd PORT",
    "+ssd -s +B PORT",
    "--ignore +ssd PORT",
    "-d -v PORT",
    "-aet x -uca -aet y PORT",
    "-od -v PORT",
    "-od nowhere PORT",
    "-od warn.cfg PORT",
    "-od nowhere -v PORT",
    "--ignore -od nowhere PORT",
    "-xf nofile p PORT",
    "-xf nofile p -od nowhere -v PORT",
    "--arguments -ta 5 -uca 99999",
    "--arguments -q 99999",
    "-v PORT",
    "-ll INFO PORT",
    "+ps PORT",
    "+cs X PORT",
    "+ws +rs f PORT",
    "+pa PORT",
    "+tls one.key one.crt +ws PORT",
    "+tls one.key one.crt -tls +cs X PORT",
    "+tls one.key one.crt +pz +cs TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256 PORT",
    "+tls one.key one.crt +pz +cs TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256 +py PORT",
    "+tls nofile one.crt PORT",
    "+tls one.key nofile PORT",
    "+tls one.key two.crt PORT",
    "+tls one.crt one.key PORT",
    "+tls one.key one.crt -der PORT",
    "+tls one.key one.crt +cs BOGUS PORT",
    "+tls nofile nofile -od nowhere PORT",
    "+tls one.key one.crt PORT",
    "+tls one.key",
]


@pytest.mark.parametrize("text", FAULTY)
def test_exit_code_and_texts_are_those_of_dcmrecv(
    text: str, folder: Path, taken_port: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = text.replace("PORT", taken_port).split()
    assert ours(folder, arguments, monkeypatch) == theirs(folder, arguments)


@pytest.mark.parametrize(
    "arguments",
    [["-ta", "", "PORT"], ["-pdu", "", "PORT"], ["-xf", "", "P", "PORT"], ["-od", "", "PORT"],
     ["-fe", "", "-aet", "", "PORT"], [""], ["-ta", " 5", "99999"], ["-ta", "+5", "99999"]],
)  # fmt: skip
def test_empty_and_odd_values_are_taken_as_dcmrecv_takes_them(
    arguments: list[str], folder: Path, taken_port: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = [word.replace("PORT", taken_port) for word in arguments]
    assert ours(folder, arguments, monkeypatch) == theirs(folder, arguments)


WORDS: list[list[str]] = [
    ["-q"], ["-v"], ["-d"], ["-ll", "info"], ["-ll", "FATAL"], ["-lc", "nofile"], ["+v"],
    ["-xf", "nofile", "p"], ["-aet", "A"], ["-uca"], ["-ta", "0"], ["-ta", "5"], ["-td", ""],
    ["-pdu", "4095"], ["-pdu", "16384"], ["-dhl"], ["-od", "nowhere"], ["-od", ""], ["-s"],
    ["+ssd"], ["+fd"], ["+fu"], ["+fsu"], ["+fst"], ["-fe", ""], ["-B"], ["+B"], ["--ignore"],
    ["-tls"], ["+tls", "one.key", "one.crt"], ["+tls", "a", "b"], ["+ps"], ["+pw", "x"], ["-pw"],
    ["-pem"], ["-der"], ["+cf", "ca.crt"], ["+cd", "."], ["+crv"], ["+cra"], ["+py"], ["+px"],
    ["+pz"], ["+pa"], ["+pn"], ["+cs", "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"],
    ["+rs", "f"], ["+ws"],
    ["+wf", "g"], ["-rc"], ["-vc"], ["-ic"], ["--bogus"], ["99999"], ["@verbose"],
]  # fmt: skip


@pytest.mark.parametrize("seed", range(60))
def test_any_combination_ends_as_with_dcmrecv(
    seed: int, folder: Path, taken_port: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    chance = random.Random(seed)
    chosen = chance.choices(WORDS, k=chance.randint(1, 7))
    arguments = [word for words in chosen for word in words] + [taken_port]
    mine, other = ours(folder, arguments, monkeypatch), theirs(folder, arguments)
    if {"-v", "-d", "-ll"} & set(arguments):
        # Dictionaries and versions at debug level are another's.
        mine, other = without_chatter(mine), without_chatter(other)
    assert mine == other, arguments


def without_chatter(what: Told) -> Told:
    return Told(what.code, tuple(line for line in what.lines if line[0] in "eFE"))


def test_numbers_with_trailing_garbage_are_refused(
    folder: Path, taken_port: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Better than dcmrecv, which takes 12x34x for 12."""
    garbage = {
        ("12x34x",): "error: Invalid parameter value 12x34x",
        ("-pdu", "16384k", taken_port): "error: Invalid value for option --max-pdu (16384k)",
        ("-ta", "5s", taken_port): "error: Invalid value for option --acse-timeout (5s)",
    }
    for arguments, text in garbage.items():
        assert ours(folder, list(arguments), monkeypatch) == Told(1, (text,))


@pytest.mark.parametrize(
    ("arguments", "code", "begins"),
    [
        ([], 0, "usage: dcmrecv"),
        (["--help", "1", "2", "3"], 0, "usage: dcmrecv"),
        (["--version", "-h"], 0, "usage: dcmrecv"),
        (["--version", "1", "2"], 0, "dicomd "),
        (["+cc"], 0, "Supported TLS ciphersuites are:"),
    ],
)
def test_options_that_print_go_to_standard_output_and_exit_zero(
    arguments: list[str], code: int, begins: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert recv.main(arguments) == code
    output = capsys.readouterr()
    assert any(line.startswith(begins) for line in output.out.splitlines())
    assert not output.err


@pytest.mark.parametrize("arguments", [["--version", "--bogus"], ["--help", "-aet"]])
def test_a_wrong_option_beats_help_and_version(
    arguments: list[str], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert ours(folder, arguments, monkeypatch) == theirs(folder, arguments)


def test_real_process_exits_64_when_the_port_is_taken(folder: Path, taken_port: str) -> None:
    ended = subprocess.run(
        command("recv", "-v", taken_port),
        cwd=folder,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert told(ended.returncode, ended.stderr) == theirs(folder, ["-v", taken_port])


@pytest.mark.parametrize(
    "arguments",
    [["-od", "/nonexistent"], ["-xf", "/nonexistent", "P"], ["+tls", "/nonexistent", "/none"], []],
    ids=["directory", "profile", "tls", "port"],
)
def test_what_is_said_before_a_failed_start_is_said_as_far(
    folder: Path, taken_port: str, monkeypatch: pytest.MonkeyPatch, arguments: list[str]
) -> None:
    line = ["-v", *arguments, taken_port]
    assert ours(folder, line, monkeypatch) == theirs(folder, line)


@pytest.mark.parametrize(
    "arguments",
    [["-od", "/nonexistent"], ["-xf", "/nonexistent", "P"], []],
    ids=["directory", "profile", "port"],
)
def test_a_failed_start_goes_where_the_log_configuration_sends_it(
    tmp_path: Path, taken_port: str, arguments: list[str]
) -> None:
    said: dict[str, tuple[int, str, str]] = {}
    for tool in ([DCMRECV], command("recv")):
        log = tmp_path / "start.log"
        configuration = tmp_path / "log.cfg"
        configuration.write_text(
            "log4cplus.rootLogger = INFO, file\n"
            "log4cplus.appender.file = log4cplus::FileAppender\n"
            f"log4cplus.appender.file.File = {log}\n"
            "log4cplus.appender.file.layout = log4cplus::PatternLayout\n"
            "log4cplus.appender.file.layout.ConversionPattern = %p %c %m%n\n"
        )
        done = subprocess.run(
            [*tool, "-lc", str(configuration), *arguments, taken_port],
            capture_output=True,
            text=True,
            timeout=30,
            env=environment(),
            cwd=tmp_path,
        )
        said[tool[0]] = done.returncode, done.stderr, log.read_text()
        log.unlink()
    theirs_said, ours_said = said.values()
    assert ours_said == theirs_said
    assert "FATAL dcmtk.apps.dcmrecv cannot " in ours_said[2]


def test_a_privileged_port_is_refused_in_dcmrecvs_words(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(TakenPort, "number", errno.EACCES)
    assert ours(folder, ["80"], monkeypatch).lines[1:] == (
        "E: No privileges to open this network port (80)",
        "F: cannot start SCP and listen on port 80: Insufficient port privileges",
    )


def test_called_as_dcmrecv_it_acts_as_dcmrecv(folder: Path, taken_port: str) -> None:
    link = folder / "dcmrecv"
    link.write_text("import sys\nfrom dicomd.cli.main import main\nsys.exit(main())\n")
    program = command()[0]
    ended = subprocess.run(
        [program, str(link), "--bogus", taken_port],
        env=environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 1
    assert "error: Unknown option --bogus" in ended.stderr
