"""A marked patient goes down every path, good and bad; no output of ours may hold the mark."""

import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.journeys.peers import (
    COMMAND,
    LAST,
    Receiver,
    Sender,
    asconfig,
    data_pdus,
    explicit,
    small_data_set,
    store_rq,
)
from tests.journeys.running import Daemon, running, wait_until
from tests.upper_layer.wire import CT, EXPLICIT, p_data, pdv

pytestmark = pytest.mark.journey
MARK = "ZZMARKER"
ELEMENTS = {
    0x00080050: "SH",
    0x00080080: "LO",
    0x00081030: "LO",
    0x00100010: "PN",
    0x00100020: "LO",
    0x00101040: "LO",
    0x00200010: "SH",
}
A_ABORT = b"\x07\x00\x00\x00\x00\x04\x00\x00\x00\x00"


def marked(instance: str) -> bytes:
    """A data set in which the mark stands wherever a patient is named."""
    parts = [
        explicit(0x00080016, "UI", b"1.2.840.10008.5.1.4.1.1.2"),
        explicit(0x00080018, "UI", instance.encode()),
    ]
    parts += [
        explicit(tag, vr, f"{MARK}^{tag:08X}".encode()[:16]) for tag, vr in sorted(ELEMENTS.items())
    ]
    parts.append(explicit(0x00280010, "US", b"\x02\x00"))
    return b"".join(parts)


def send_all(port: int) -> None:
    """Good and bad objects, each on an association of its own."""
    good = marked("1.2.3.1")
    damaged = {
        "good": good,
        "again": good,
        "cut": good[:-3] + b"\xff",
        "length beyond the end": good[:-10] + b"\x10\x00\x20\x00LO\xff\x7f" + MARK.encode() * 2,
        "no data set at all": MARK.encode() * 20,
        "the mark as a length": good[:60] + f"{MARK}^A".encode() + good[60:],
        "a mark for a UID": explicit(0x00080018, "UI", MARK.encode()) + good,
        "another UID": marked("1.2.3.99"),
        "empty": b"",
    }
    for data in damaged.values():
        with Sender(port) as sender:
            sender.associate()
            if sender.store(store_rq("1.2.3.1"), data) != "aborted":
                sender.release()
    with Sender(port) as sender:  # a UID that is no UID
        sender.associate()
        sender.store(store_rq(f"../{MARK}"), good)
    with Sender(port) as sender:  # cut off in the middle, then gone
        sender.associate()
        sender.send(p_data(pdv(1, COMMAND | LAST, store_rq("1.2.3.2"))))
        sender.send(p_data(pdv(1, 0, good)))
    with Sender(port) as sender:  # the same, aborted
        sender.associate()
        sender.send(p_data(pdv(1, COMMAND | LAST, store_rq("1.2.3.3"))))
        sender.send(p_data(pdv(1, 0, good)) + A_ABORT)
        sender.answer()
    with Sender(port) as sender:  # data without a command, on a context that is none
        sender.associate()
        sender.send(data_pdus(good, context_id=7))
        sender.answer()
    with Sender(port) as sender:  # the data set as command
        sender.associate()
        sender.send(p_data(pdv(1, COMMAND | LAST, good)))
        sender.answer()
    with Sender(port) as sender:  # not DICOM at all
        sender.send(good)
        sender.answer()


@pytest.fixture
def syslog(tmp_path: Path) -> Iterator[list[bytes]]:
    """A syslog of our own; what it got."""
    got: list[bytes] = []
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(str(tmp_path / "syslog"))
        sock.settimeout(0.2)
        done = threading.Event()

        def listen() -> None:
            while not done.is_set():
                try:
                    got.append(sock.recv(65536))
                except TimeoutError:
                    continue

        thread = threading.Thread(target=listen)
        thread.start()
        yield got
        done.set()
        thread.join()


def searched(daemon: Daemon) -> list[str]:
    """The outputs in which the mark stands."""
    found = [
        path.name
        for path in daemon.folder.rglob("*")
        if path.is_file() and not path.name.startswith("CT.") and MARK.encode() in path.read_bytes()
    ]
    if MARK in str(daemon.status()):
        found.append("status")
    return found


def settings(folder: Path, form: str) -> dict[str, object]:
    return {
        "level": "info",
        "format": form,
        "stderr": True,
        "file": {"path": str(folder / "dicomd.log")},
        "syslog": {"address": str(folder / "syslog")},
    }


def test_no_output_of_the_daemon_names_a_patient(tmp_path: Path, syslog: list[bytes]) -> None:
    with running(tmp_path, logging=settings(tmp_path, "json")) as daemon:
        send_all(daemon.port())
        wait_until(lambda: len(daemon.events("association.accepted")) >= 13, "the lines")
        wait_until(lambda: daemon.events("object.refused"), "a refusal")
        assert daemon.events("object.stored")
        assert daemon.events("association.aborted")
        daemon.objects.rename(tmp_path / "gone")  # and now nothing can be kept
        daemon.objects.touch()
        send_all(daemon.port())
        wait_until(lambda: daemon.events("storage.failing"), "the failure")
        assert searched(daemon) == []
    assert syslog
    assert not [line for line in syslog if MARK.encode() in line]


def test_neither_does_recv(tmp_path: Path) -> None:
    profile = asconfig(tmp_path / "profile.cfg", [(CT, (EXPLICIT,))])
    options = ("--strict", "-xf", str(profile), "Test")
    with Receiver("recv", tmp_path / "recv", *options) as receiver:
        send_all(receiver.port)
    assert "Stored received object to file" in receiver.text()
    assert MARK not in receiver.text()


def test_uids_are_hashed_on_request(tmp_path: Path) -> None:
    logging = {
        "level": "info",
        "file": {"path": str(tmp_path / "dicomd.log")},
        "identifiers": "hash",
    }
    instance = "1.2.276.0.7230010.3.1.4.7"
    with running(tmp_path, logging=logging) as daemon:
        with Sender(daemon.port()) as sender:
            sender.associate()
            assert sender.store(store_rq(instance), small_data_set(instance)) == "0000"
            sender.release()
        wait_until(lambda: daemon.events("object.stored"), "the line")
        (line,) = daemon.events("object.stored")
    assert instance not in daemon.log.read_text()
    assert line["sop_instance"].startswith("#")
    assert line["path"].endswith(line["sop_instance"])


def test_by_default_the_line_of_an_object_shows_its_uid_and_path(tmp_path: Path) -> None:
    instance = "1.2.276.0.7230010.3.1.4.7"
    with running(tmp_path) as daemon:
        with Sender(daemon.port()) as sender:
            sender.associate()
            sender.store(store_rq(instance), small_data_set(instance))
            sender.release()
        wait_until(lambda: daemon.events("association.released"), "the line")
        (line,) = daemon.events("object.stored")
        assert line["sop_instance"] == instance
        assert Path(line["path"]).exists()
        told = [
            event["event"]
            for event in daemon.events()
            if event.get("association") == line["association"]
        ]
    assert told[-1] == "association.released"
    assert "association.accepted" in told
