"""``dicomd move`` beside the installed movescu: command line, flow, exit codes."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from pydicom.data import get_testdata_file
from tests.requestor.archive import Archive, Asked, Instance, Manners, make_instances
from tests.requestor.daemon import free_port

from dicomd.cli.move import main

pytestmark = [pytest.mark.journey, pytest.mark.xdist_group("move")]

ENVIRONMENT = {**os.environ, "PYTHONPATH": str(Path("daemon").resolve()), "TCP_NODELAY": "1"}
OURS = (sys.executable, "-m", "dicomd", "move")
THEIRS = ("/usr/bin/movescu",)


def call(
    program: tuple[str, ...], *arguments: str, folder: Path | None = None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*program, *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        env=ENVIRONMENT,
        cwd=folder,
        check=False,
    )


def errors(text: str) -> list[str]:
    return [line for line in text.splitlines() if line.startswith(("error:", "F:"))]


WRONG = [
    "-k 10,20=C localhost",
    "-k 10,20=C localhost 0",
    "-k 10,20=C localhost 65536",
    "-k 10,20=C localhost abc",
    "--bogus localhost 104",
    "-k zzz localhost 104",
    "-k zzz -k 7fff,1234 localhost 104",
    "-k 0008,1110=X localhost 104",
    "-k 0028,0010=abc localhost 104",
    "localhost 104",
    "localhost 104 nofile",
    "-k 10,20 localhost 104 nofile",
    "-od /tmp -k 10,20 localhost 104",
    "+P 0 -k 10,20 localhost 104",
    "+P 11999 -od /nonexistent -k 10,20 localhost 1",
    "-pdu 4095 -k 10,20 localhost 1",
    "-pdu 131073 -k 10,20 localhost 1",
    "-ta 0 -k 10,20 localhost 1",
    "-td 0 -k 10,20 localhost 1",
    "-to 0 -k 10,20 localhost 1",
    "--repeat 0 -k 10,20 localhost 1",
    "--cancel -1 -k 10,20 localhost 1",
    "+cl 10 -k 10,20 localhost 1",
    "+cl 4 +te -k 10,20 localhost 1",
    "+te +B +xa -k 10,20 localhost 1",
    "+te +xs -k 10,20 localhost 1",
    "+td +xr -k 10,20 localhost 1",
    "+ti +B -k 10,20 localhost 1",
    "+p 1 1 -F +B -k 10,20 localhost 1",
    "+p 1 1 +B -k 10,20 localhost 1",
    "+p a 1 -k 10,20 localhost 1",
    "+p 1 -1 -k 10,20 localhost 1",
    "-u +B +g -k 10,20 localhost 1",
    "+g= +B -k 10,20 localhost 1",
    "-e +B -k 10,20 localhost 1",
    "-ll xx -k 10,20 localhost 1",
    "-v -ll info -k 10,20 localhost 1",
    "-q -k zzz localhost 104",
    "-k",
]


@pytest.mark.parametrize("line", WRONG)
def test_a_wrong_command_line_is_refused_in_the_same_words(
    line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code = main(line.split())
    theirs = call(THEIRS, *line.split())
    assert code == theirs.returncode
    assert errors(capsys.readouterr().err) == errors(theirs.stderr)


def test_nobody_there_is_61() -> None:
    arguments = ("-k", "10,20", "localhost", str(free_port()))
    assert call(OURS, *arguments).returncode == call(THEIRS, *arguments).returncode == 61


def test_a_port_in_use_is_60(tmp_path: Path) -> None:
    with Archive([]) as archive:
        arguments = ("+P", str(archive.port), "-k", "10,20", "localhost", "1")
        # A socket that listens on the loopback address only does not stop one on all of them
        # from being refused.
        assert call(OURS, *arguments, folder=tmp_path).returncode == 60
        assert call(THEIRS, *arguments, folder=tmp_path).returncode == 60


MANNERS = {
    "fine": (Manners(), 0, 0),
    "warning": (Manners(final_status=0xB000), 68, 68),
    "refused": (Manners(final_status=0xA702), 69, 69),
    "cancelled": (Manners(final_status=0xFE00), 0, 0),
    "unknown": (Manners(final_status=0x0122), 69, 69),
    "rejected": (Manners(reject=(1, 1, 7)), 61, 61),
    "no context": (Manners(accepts=lambda uid: False), 66, 66),
    "no move context": (Manners(accepts=lambda uid: uid.endswith(".1")), 69, 0),
    "aborted": (Manners(aborts=True), 69, 0),
    "released": (Manners(releases=True), 69, 0),
    "wrong message id": (Manners(wrong_message_id=True), 69, 0),
    "silent": (Manners(silent=True), 69, 0),
}


@pytest.mark.parametrize("name", MANNERS)
def test_exit_codes_are_movescus_but_for_its_false_zeros(name: str) -> None:
    manners, ours, theirs = MANNERS[name]
    with Archive([], manners=manners) as archive:
        arguments = ("-S", "-td", "1", "-k", "0020,000d=1.2.3", "localhost", str(archive.port))
        assert call(OURS, *arguments).returncode == ours
        if name != "silent":  # movescu waits half a minute more for the end of the connection
            assert call(THEIRS, *arguments).returncode == theirs


def retrieve(
    program: tuple[str, ...],
    instances: list[Instance],
    folder: Path,
    *arguments: str,
    manners: Manners | None = None,
) -> tuple[subprocess.CompletedProcess[str], list[Asked], Archive]:
    port = free_port()
    with Archive(instances, {"MOVESCU": port}, manners) as archive:
        done = call(
            program,
            *("-S", "+P", str(port), "-od", str(folder), "-k", "0008,0052=STUDY"),
            *("-k", f"0020,000d={instances[0].study}", *arguments, "localhost", str(archive.port)),
        )
        return done, archive.asked, archive


def test_objects_arrive_under_the_same_names_for_the_same_request(tmp_path: Path) -> None:
    instances = make_instances(1, 2, 3)
    asked = {}
    for name, program in (("ours", OURS), ("theirs", THEIRS)):
        folder = tmp_path / name
        folder.mkdir()
        done, asked[name], _ = retrieve(program, instances, folder)
        assert done.returncode == 0, done.stderr
        assert sorted(path.name for path in folder.iterdir()) == sorted(
            f"CT.{one.uid}" for one in instances
        )
    ours, theirs = asked["ours"][0], asked["theirs"][0]
    assert ours.encoded == theirs.encoded
    assert (ours.message_id, ours.destination, ours.priority, ours.transfer_syntax) == (
        theirs.message_id, theirs.destination, theirs.priority, theirs.transfer_syntax,
    )  # fmt: skip


@pytest.mark.parametrize(
    "options",
    [
        "--repeat 2",
        "-xi",
        "-xb",
        "-aet ME -aem MOVESCU",
        "-k PatientID=a -k PatientID=b",
        "--abort",
    ],
)
def test_requests_are_the_same_on_the_wire(tmp_path: Path, options: str) -> None:
    instances = make_instances(1, 1, 2)
    sent: list[list[tuple[bytes, int, str]]] = []
    for program in (OURS, THEIRS):
        folder = tmp_path / str(len(sent))
        folder.mkdir()
        done, asked, _ = retrieve(program, instances, folder, *options.split())
        assert done.returncode == 0, done.stderr
        sent.append([(one.encoded, one.message_id, one.destination) for one in asked])
    assert sent[0] == sent[1]
    assert sent[0]


@pytest.mark.parametrize(
    ("option", "with_data"), [("-pi", False), ("-pr", True), ("-pi", True), ("-pr", False)]
)
def test_illegal_data_sets_behind_pending_responses(
    tmp_path: Path, option: str, with_data: bool
) -> None:
    """What was guessed right goes on, what was guessed wrong breaks."""
    instances = make_instances(1, 1, 2)
    right = (option == "-pr") == with_data
    done, _, _ = retrieve(
        OURS, instances, tmp_path, option, manners=Manners(pending_with_data=with_data)
    )
    assert done.returncode == (0 if right else 69)


def test_cancel_is_sent_with_the_response_of_its_number(tmp_path: Path) -> None:
    instances = make_instances(1, 1, 6)
    done, _, archive = retrieve(
        OURS, instances, tmp_path, "--cancel", "2", manners=Manners(cancel_wait_s=0.3)
    )
    assert done.returncode == 0
    assert archive.cancels == 1
    assert len(list(tmp_path.iterdir())) == 2


def test_arriving_objects_reset_the_timeout(tmp_path: Path) -> None:
    instances = make_instances(1, 1, 4)
    done, _, _ = retrieve(
        OURS, instances, tmp_path, "-td", "1",
        manners=Manners(no_pending=True, object_delay_s=0.6),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert len(list(tmp_path.iterdir())) == 4


def test_bit_preserving_honours_the_output_directory(tmp_path: Path) -> None:
    instances = make_instances(1, 1, 1)
    done, _, _ = retrieve(OURS, instances, tmp_path, "+B")
    assert done.returncode == 0
    (path,) = tmp_path.iterdir()
    assert path.read_bytes().endswith(instances[0].data)


def test_objects_behind_the_final_response_are_kept(tmp_path: Path) -> None:
    instances = make_instances(1, 1, 3)
    done, _, _ = retrieve(
        OURS, instances, tmp_path, manners=Manners(success_first=True, object_delay_s=0.05)
    )
    assert done.returncode == 0
    assert len(list(tmp_path.iterdir())) == 3


def test_query_files_are_sent_as_movescu_sends_them(tmp_path: Path) -> None:
    """Two files, one bare and one with a meta header and private, nested and binary elements."""
    paths = []
    for name in ("image_dfl.dcm", "rtplan.dcm", "MR_small_bigendian.dcm"):
        path = get_testdata_file(name)
        assert isinstance(path, str)
        paths.append(path)
    sent: list[list[dict[str, object]]] = []
    for program in (OURS, THEIRS):
        with Archive([]) as archive:
            arguments = (
                *("-P", "-k", "0008,0052=STUDY", "-k", "PatientName=X"),
                *("localhost", str(archive.port), *paths),
            )
            assert call(program, *arguments).returncode == 0
            assert len(archive.asked) == 3
            sent.append([json.loads(one.identifier.to_json()) for one in archive.asked])
    assert sent[0] == sent[1]
