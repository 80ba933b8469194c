"""Where `dicomd recv` puts objects, what it calls them, and what it says: dcmrecv beside it."""

import os
import re
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pydicom.data
import pytest
import trustme
from tests.journeys.peers import (
    Receiver,
    Sender,
    asconfig,
    dcmtk,
    small_data_set,
    store_rq,
)
from tests.journeys.running import DEADLINE_S, command, environment, free_port, wait_until
from tests.upper_layer.wire import CT, EXPLICIT, IMPLICIT, VERIFICATION

pytestmark = pytest.mark.journey

TOOLS = ("dcmrecv", "dicomd")
PRIVATE = "1.2.3.4.5.6.7.8"
CONTEXTS = ((1, CT, (EXPLICIT,)), (3, VERIFICATION, (IMPLICIT,)), (5, PRIVATE, (EXPLICIT,)))

NAMES = {
    "+fd": ("CT.1.2.3", "UNKNOWN.1.2.4"),
    "+fu": (r"CT\.X\.[0-9.]+", r"UNKNOWN\.X\.[0-9.]+"),
    "+fsu": ("CT_[0-9a-f]{16}", "XX_[0-9a-f]{16}"),
    "+fst": (r"\d{14}\.\d{6}\.CT", r"\d{14}\.\d{6}\.UNKNOWN"),
}


@pytest.fixture(scope="module")
def profile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    rows = [(uid, syntaxes) for _, uid, syntaxes in CONTEXTS]
    return asconfig(tmp_path_factory.mktemp("profile") / "test.cfg", rows)


@dataclass(frozen=True)
class Start:
    """Starts receivers in a folder of their own, with the profile of this module."""

    folder: Path
    profile: Path

    def __call__(self, tool: str, *options: str) -> Receiver:
        folder = self.folder / f"{tool}{len(list(self.folder.iterdir()))}"
        return Receiver(tool, folder, "-xf", str(self.profile), "Test", *options)


@pytest.fixture
def start(tmp_path: Path, profile: Path) -> Start:
    return Start(tmp_path, profile)


def keep_both(receiver: Receiver) -> None:
    with receiver.sender() as sender:
        sender.associate(CONTEXTS)
        assert sender.store(store_rq("1.2.3"), small_data_set("1.2.3")) == "0000"
        other = small_data_set("1.2.4", sop_class=PRIVATE)
        answer = sender.store(store_rq("1.2.4", sop_class=PRIVATE), other, context_id=5)
        assert answer == "0000"
        assert sender.release() == "released"


@pytest.mark.parametrize("mode", NAMES)
@pytest.mark.parametrize("tool", TOOLS)
def test_names_are_built_as_the_mode_says(start: Start, tool: str, mode: str) -> None:
    with start(tool, mode, "-fe", "dcm") as receiver:
        keep_both(receiver)
        files = receiver.files()
    assert len(files) == 2
    for pattern in NAMES[mode]:
        assert [name for name in files if re.fullmatch(f"{pattern}dcm", name)], files


DATES = {
    b"20240315": "data/2024/03/15",
    b"2024.03.15": "data/2024/03/15",
    b"20240230": "data/2024/02/30",
    b"20240101\\20250202": "data/2024/01/01",
    b"": "undef/TODAY",
    b"2024": "undef/TODAY",
    b"20241345": "undef/TODAY",
    b"2024-03-15": "undef/TODAY",
    None: "undef/TODAY",
}


@pytest.mark.parametrize("tool", TOOLS)
def test_folders_follow_the_series_date(start: Start, tool: str) -> None:
    with start(tool, "+ssd") as receiver, receiver.sender() as sender:
        sender.associate()
        for number, date in enumerate(DATES):
            instance = f"1.2.{number}"
            data = small_data_set(instance, series_date=date)
            assert sender.store(store_rq(instance), data) == "0000"
        sender.release()
        files = [re.sub(r"undef/\d{8}/", "undef/TODAY/", name) for name in receiver.files()]
    expected = [f"{folder}/CT.1.2.{number}" for number, folder in enumerate(DATES.values())]
    assert sorted(files) == sorted(expected)


@pytest.mark.parametrize("tool", TOOLS)
def test_umask_decides_the_permissions(tmp_path: Path, profile: Path, tool: str) -> None:
    options = ("-xf", str(profile), "Test", "+ssd")
    with Receiver(tool, tmp_path / tool, *options, umask=0o027) as receiver:
        with receiver.sender() as sender:
            sender.associate()
            assert sender.store(store_rq("1.2.3"), small_data_set("1.2.3")) == "0000"
            sender.release()
        (name,) = receiver.files()
        file = receiver.objects / name
        modes = [path.stat().st_mode & 0o777 for path in (file, file.parent)]
    assert modes == [0o640, 0o750]


@pytest.mark.parametrize("name", ["../evil", "1.2/3", "1.2.3 ", "a:b"])
def test_unsafe_instance_uids_are_made_safe_in_the_name(start: Start, name: str) -> None:
    found = {}
    for tool in TOOLS:
        with start(tool) as receiver, receiver.sender() as sender:
            sender.associate()
            assert sender.store(store_rq(name), small_data_set("1.2.3")) == "0000"
            sender.release()
            found[tool] = receiver.files()
    assert found["dicomd"] == found["dcmrecv"]


@pytest.mark.parametrize("directory", [".", "", "sub/", "./sub//"])
def test_paths_are_logged_as_the_folder_was_given(start: Start, directory: str) -> None:
    lines = {}
    for tool in TOOLS:
        receiver = start(tool, "-od", ".")
        receiver.process.kill()
        receiver.process.wait()
        (receiver.folder / "sub").mkdir()
        again = Again(receiver, tool, start.profile, directory)
        lines[tool] = again.stored_line()
        assert len(list(receiver.folder.rglob("CT.*"))) == 1
    assert lines["dicomd"] == lines["dcmrecv"]


class Again:
    """A receiver in the folder of another, with an output folder as a user may write it."""

    def __init__(self, other: Receiver, tool: str, profile: Path, directory: str) -> None:
        self.port = free_port()
        self.log = other.folder / "again.log"
        program = ["/usr/bin/dcmrecv"] if tool == "dcmrecv" else command("recv")
        options = ["-v", "-dhl", "-xf", str(profile), "Test", "-od", directory, str(self.port)]
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [*program, *options], cwd=other.folder, env=environment(), stdout=log, stderr=log
            )

    def stored_line(self) -> str:
        """What it logs about an object that it stores."""
        wait_until(lambda: "starting service" in self.log.read_text(), "start")
        file = pydicom.data.get_testdata_file("CT_small.dcm")
        sent: list[int] = []

        def stored() -> bool:
            sent.append(dcmtk("storescu", "127.0.0.1", self.port, file).returncode)
            return sent[-1] == 0

        wait_until(stored, "an object to be taken")
        self.process.terminate()
        self.process.wait(DEADLINE_S)
        (line,) = [one for one in self.log.read_text().splitlines() if "Stored" in one]
        return line


def conversation(receiver: Receiver) -> list[str]:
    """The lines that a normal association makes, from its first to its last."""
    wait_until(lambda: "starting service" in receiver.text(), "the start to be logged")
    with receiver.sender() as sender:
        assert sender.associate(CONTEXTS).startswith("accepted")
        for _ in range(2):
            assert sender.store(store_rq("1.2.3"), small_data_set("1.2.3")) == "0000"
        assert sender.echo() == "0000"
        assert sender.release() == "released"
    wait_until(lambda: "Release" in receiver.text(), "the end to be logged")
    lines = receiver.text().replace(str(receiver.objects), "OBJECTS").splitlines()
    # What stands before was said of the connection that found out who listens.
    first = next(number for number, line in enumerate(lines) if "SENDER -> " in line)
    return lines[first:]


def test_lines_of_a_normal_association_are_those_of_dcmrecv(start: Start) -> None:
    said = {}
    for tool in TOOLS:
        with start(tool) as receiver:
            said[tool] = conversation(receiver)
    assert said["dicomd"] == said["dcmrecv"]
    assert "I: Received C-STORE Request (MsgID 7)" in said["dicomd"]


def test_opening_lines_are_those_of_dcmrecv(tmp_path: Path) -> None:
    said = {}
    for tool in TOOLS:
        with Receiver(tool, tmp_path / tool) as receiver:
            wait_until(lambda: "starting service" in receiver.text(), "the start to be logged")
            said[tool] = receiver.text().splitlines()[:3]
    assert said["dicomd"] == said["dcmrecv"]


def test_json_log_holds_events_instead_of_dcmtks_lines(start: Start) -> None:
    with start("dicomd", "--json-log") as receiver:
        keep_both(receiver)
        wait_until(lambda: "association.released" in receiver.text(), "the log")
        lines = receiver.text().splitlines()
    assert all(line.startswith("{") for line in lines)
    assert sum('"object.stored"' in line for line in lines) == 2


@pytest.fixture
def recv(start: Start) -> Iterator[Receiver]:
    with start("dicomd") as receiver:
        yield receiver


def test_term_lets_an_association_end_and_exits_zero(recv: Receiver) -> None:
    with recv.sender() as sender:
        sender.associate(CONTEXTS)
        assert sender.store(store_rq("1.2.3"), small_data_set("1.2.3")) == "0000"
        recv.process.send_signal(signal.SIGTERM)
        recv.process.wait(DEADLINE_S)
    assert recv.process.returncode == 0
    assert recv.files() == ["CT.1.2.3"]


def test_hup_reads_the_profile_again(start: Start, tmp_path: Path) -> None:
    own = asconfig(tmp_path / "own.cfg", [(VERIFICATION, (IMPLICIT,))])
    with Receiver("dicomd", tmp_path / "recv", "-xf", str(own), "Test", "-v") as receiver:
        assert answer(receiver) == "accepted 3 0:1.2.840.10008.1.2"
        asconfig(own, [(CT, (EXPLICIT,)), (VERIFICATION, (IMPLICIT,))])
        receiver.process.send_signal(signal.SIGHUP)
        wait_until(lambda: answer(receiver).startswith("accepted 0"), "the new profile")
        own.write_text("[[TransferSyntaxes]]\n")
        receiver.process.send_signal(signal.SIGHUP)
        wait_until(lambda: "PRESENTATION" in receiver.text().upper(), "the refusal in the log")
        assert answer(receiver).startswith("accepted 0")


def answer(receiver: Receiver) -> str:
    with receiver.sender() as sender:
        said = sender.associate()
        sender.release()
    return said


def test_sixteen_associations_are_served_at_once(recv: Receiver) -> None:
    senders = [recv.sender() for _ in range(16)]
    try:
        for sender in senders:
            sender.associate()
        for number, sender in enumerate(senders):
            instance = f"1.2.{number}"
            assert sender.store(store_rq(instance), small_data_set(instance)) == "0000"
    finally:
        for sender in senders:
            sender.sock.close()
    assert len(recv.files()) == 16


def test_strict_refuses_what_dcmrecv_lets_pass(start: Start) -> None:
    with start("dicomd", "--strict") as receiver, receiver.sender() as sender:
        sender.associate(CONTEXTS)
        assert sender.store(store_rq("../evil"), small_data_set("1.2.3")) != "0000"
        assert receiver.files() == []


def test_max_associations_turns_the_next_one_away(start: Start) -> None:
    with start("dicomd", "--max-associations", "1", "--workers", "1") as receiver:
        with receiver.sender() as first, receiver.sender() as second:
            first.associate()
            assert second.associate() == "rejected 2/3/2"
        wait_until(lambda: answer(receiver).startswith("accepted"), "room again")


def test_nothing_is_left_beside_the_objects(recv: Receiver) -> None:
    keep_both(recv)
    recv.process.terminate()
    recv.process.wait(DEADLINE_S)
    assert sorted(os.listdir(recv.objects)) == ["CT.1.2.3", "UNKNOWN.1.2.4"]
    assert sorted(os.listdir(recv.folder)) == ["log", "objects"]


def test_hup_without_the_log_configuration_changes_nothing(start: Start, tmp_path: Path) -> None:
    lines = tmp_path / "lines"
    file = tmp_path / "logger.cfg"
    file.write_text(
        "log4cplus.rootLogger = INFO, file\n"
        "log4cplus.appender.file = log4cplus::FileAppender\n"
        f"log4cplus.appender.file.File = {lines}\n"
    )
    with Plain(tmp_path, start.profile, "-lc", str(file)) as receiver:
        wait_until(lambda: lines.exists() and "starting service" in lines.read_text(), "start")
        file.unlink()
        receiver.process.send_signal(signal.SIGHUP)
        wait_until(lambda: "--log-config" in lines.read_text(), "the refusal in the log")
        with Sender(receiver.port) as sender:
            assert sender.associate(CONTEXTS).startswith("accepted")
            assert sender.store(store_rq("1.2.3"), small_data_set("1.2.3")) == "0000"
        receiver.process.terminate()
        assert receiver.process.wait(DEADLINE_S) == 0


def test_tls_as_the_options_of_dcmrecv_say(start: Start, tmp_path: Path) -> None:
    authority = trustme.CA()
    (tmp_path / "ca").write_bytes(authority.cert_pem.bytes())
    for name in ("ours", "theirs"):
        papers = authority.issue_cert("localhost")
        (tmp_path / f"{name}.key").write_bytes(papers.private_key_pem.bytes())
        (tmp_path / f"{name}.crt").write_bytes(papers.cert_chain_pems[0].bytes())
    own = ("+tls", str(tmp_path / "ours.key"), str(tmp_path / "ours.crt"))
    other = ("+tls", str(tmp_path / "theirs.key"), str(tmp_path / "theirs.crt"))
    authorities = ("+cf", str(tmp_path / "ca"))
    file = pydicom.data.get_testdata_file("CT_small.dcm")
    with start("dicomd", *own, *authorities) as receiver:
        place = ("localhost", receiver.port, file)
        assert dcmtk("storescu", *other, *authorities, *place).returncode == 0
        assert dcmtk("storescu", "+tla", "-ic", *place).returncode != 0
        assert dcmtk("storescu", *place).returncode != 0
        assert len(receiver.files()) == 1


class Plain:
    """A `dicomd recv` without -v. A context manager."""

    def __init__(self, folder: Path, profile: Path, *options: str) -> None:
        self.port = free_port()
        given = ["-xf", str(profile), "Test", *options, str(self.port)]
        self.process = subprocess.Popen(command("recv", *given), cwd=folder, env=environment())

    def __enter__(self) -> "Plain":
        return self

    def __exit__(self, *error: object) -> None:
        self.process.terminate()
        self.process.wait(DEADLINE_S)
