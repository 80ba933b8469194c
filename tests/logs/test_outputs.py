"""Outputs that are slow, full or gone; syslog and the journal on sockets of our own."""

import logging
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from tests.logs.speaking import speak

from dicomd.errors import ConfigError
from dicomd.logs.channel import Record
from dicomd.logs.configure import LogService, prepare
from dicomd.logs.outputs import Output, StreamSink, journal_datagram, syslog_datagram
from dicomd.logs.render import json_line
from dicomd.settings.log import LogFileSettings, LogSettings, SyslogSettings

RECORD: Record = (
    1_795_302_000_123_456_789,
    logging.WARNING,
    "dicomd.acceptor",
    "object.refused",
    42,
    {"path": "/a b", "reason": "two\nlines"},
)


class SlowSink:
    """A sink that blocks or fails as told."""

    name = "slow"

    def __init__(self) -> None:
        self.open = threading.Event()
        self.fails = False
        self.written: list[Record] = []
        self._left: list[Record] = []

    def begin(self) -> None: ...

    def write(self, records: Sequence[Record]) -> None:
        self._left.extend(records)
        self.resume()

    def resume(self) -> None:
        self.open.wait()
        if self.fails:
            raise OSError(28, "No space left on device")
        self.written += self._left
        self._left = []

    def turn(self) -> None: ...

    def reopen(self) -> None: ...

    def close(self) -> None: ...

    def descriptors(self) -> set[int]:
        return set()

    def release(self) -> None: ...


@pytest.fixture
def said() -> list[tuple[str, dict[str, Any]]]:
    return []


@pytest.fixture
def report(said: list[tuple[str, dict[str, Any]]]) -> Callable[[int, str, dict[str, Any]], None]:
    return lambda level, event, facts: said.append((event, facts))


def wait_for(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def has_lines(path: Path, number: int) -> bool:
    return path.read_text().count("\n") >= number


def test_a_slow_output_drops_and_tells_how_much(said: Any, report: Any) -> None:
    sink = SlowSink()
    output = Output(sink, limit=100, report=report)
    output.offer([RECORD])
    wait_for(lambda: sink._left)
    for _ in range(25):
        output.offer([RECORD] * 10)
    assert output.lost == 150
    sink.open.set()
    wait_for(lambda: said)
    assert said == [("log.dropped", {"lines": 150, "output": "slow"})]
    output.stop()
    assert output.join(5)
    assert len(sink.written) == 101


def test_a_failing_output_says_so_once_and_recovers(said: Any, report: Any) -> None:
    sink = SlowSink()
    sink.fails = True
    sink.open.set()
    output = Output(sink, limit=100, report=report)
    output.offer([RECORD])
    wait_for(lambda: output.failing)
    output.offer([RECORD])
    sink.fails = False
    wait_for(lambda: len(sink.written) == 2)
    wait_for(lambda: len(said) == 2)
    reason = "No space left on device"
    assert said == [
        ("log.failing", {"output": "slow", "reason": reason}),
        ("log.recovered", {"output": "slow"}),
    ]
    output.stop()
    assert output.join(5)


def test_a_pipe_that_nobody_reads_stops_nobody(tmp_path: Path) -> None:
    """A file beside the pipe gets every line, and the service ends within seconds."""
    path = tmp_path / "log"

    def body(service: LogService) -> None:
        import structlog

        reading, writing = os.pipe()
        os.dup2(writing, 2)
        log = structlog.get_logger("dicomd.x")
        service.swap(
            prepare(LogSettings(stderr=True, file=LogFileSettings(path=str(path)), queue=2000))
        )
        for number in range(1, 10_001):
            log.info("object.stored", path="x" * 100, objects=number)
            if number % 1000 == 0:
                service.flush(5)
                wait_for(partial(has_lines, path, number))
        began = time.monotonic()
        service.stop()
        assert time.monotonic() - began < 6
        os.close(reading)

    speak(LogSettings(), body)


@pytest.fixture
def listening(tmp_path: Path) -> Iterator[socket.socket]:
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    sock.bind(str(tmp_path / "socket"))
    sock.settimeout(10)
    yield sock
    sock.close()


def test_syslog_gets_one_datagram_a_line(tmp_path: Path, listening: socket.socket) -> None:
    def body(service: LogService) -> None:
        import structlog

        structlog.get_logger("dicomd.x").error("daemon.stopped", reason="a\nb")

    address = str(tmp_path / "socket")
    speak(LogSettings(syslog=SyslogSettings(address=address, facility="local3")), body)
    data = listening.recv(4096)
    assert data.startswith(b"<155>")  # local3.err
    assert data.endswith(b': daemon.stopped reason="a\\\\x0ab"') or b"\n" not in data


def test_remote_syslog_is_rfc_5424() -> None:
    data = syslog_datagram(3, local=False, host="node7")(RECORD)
    assert data.startswith(b"<28>1 2026-11-21T")
    assert b"Z node7 dicomd 42 - - object.refused " in data
    assert b"\n" not in data


def test_the_journal_gets_fields() -> None:
    data = journal_datagram(RECORD)
    assert b"PRIORITY=4\n" in data
    assert b"SYSLOG_IDENTIFIER=dicomd\n" in data
    assert b"DICOMD_EVENT=object.refused\n" in data
    assert b"DICOMD_PATH=/a b\n" in data
    value = b"two\nlines"
    assert b"DICOMD_REASON\n" + len(value).to_bytes(8, "little") + value + b"\n" in data


def test_a_stream_is_written_whole(capfd: pytest.CaptureFixture[str]) -> None:
    sink = StreamSink(1, json_line())
    sink.write([RECORD] * 3)
    assert capfd.readouterr().out.count('"event": "object.refused"') == 3


def test_every_output_that_cannot_be_opened_is_named(tmp_path: Path) -> None:
    settings = LogSettings(
        file=LogFileSettings(path=str(tmp_path / "no" / "x.log")),
        syslog=SyslogSettings(facility="nonsense"),
    )
    with pytest.raises(ConfigError) as caught:
        prepare(settings)
    first, second = caught.value.faults
    assert str(first) == f"{tmp_path}/no/x.log: cannot be opened: No such file or directory"
    assert "nonsense" in second.text
