"""Rolling by size and by period, with a clock of our own."""

import socket
from datetime import datetime
from pathlib import Path

import pytest

from dicomd.logs.oflog.files import (
    ConsoleTarget,
    DailyTarget,
    FileTarget,
    Log4jUdpTarget,
    RollingTarget,
    SyslogTarget,
    next_period,
)
from dicomd.logs.oflog.layouts import LogEvent, format_time

EVENT = LogEvent(1_795_302_000_057_764_000, 30, "dcmtk.dcmnet", "text", 42)


class Clock:
    """Local time as a test wants it."""

    def __init__(self, *moment: int) -> None:
        self.moment = datetime(*moment)  # type: ignore[arg-type]  # noqa: DTZ001 - local, as DCMTK

    def __call__(self) -> datetime:
        return self.moment


def nothing(text: str) -> None:
    raise AssertionError(text)


@pytest.mark.parametrize(
    ("schedule", "suffix"),
    [
        ("MONTHLY", "2026-11"),
        ("weekly", "2026-46"),
        ("Daily", "2026-11-21"),
        ("TWICE_DAILY", "2026-11-21-AM"),
        ("HOURLY", "2026-11-21-09"),
        ("MINUTELY", "2026-11-21-09-30"),
    ],
)
def test_a_file_takes_the_name_of_the_period_it_was_started_in(
    tmp_path: Path, schedule: str, suffix: str
) -> None:
    clock = Clock(2026, 11, 21, 9, 30, 15)
    path = tmp_path / "x.log"
    target = DailyTarget({"File": str(path), "Schedule": schedule}, nothing, clock)
    target.put(EVENT, "first\n")
    clock.moment = datetime(2027, 1, 1)  # noqa: DTZ001 - local, as DCMTK
    target.put(EVENT, "second\n")
    target.flush()
    assert (tmp_path / f"x.log.{suffix}").read_text() == "first\n"
    assert path.read_text() == "second\n"


@pytest.mark.parametrize(
    ("schedule", "end"),
    [
        ("MONTHLY", (2026, 12, 1)),
        ("WEEKLY", (2026, 11, 23)),
        ("DAILY", (2026, 11, 22)),
        ("TWICE_DAILY", (2026, 11, 22)),
        ("HOURLY", (2026, 11, 21, 24 - 1)),
        ("MINUTELY", (2026, 11, 21, 22, 31)),
    ],
)
def test_periods_end_on_the_clock(schedule: str, end: tuple[int, ...]) -> None:
    now = Clock(2026, 11, 21, 22, 30, 15).moment
    assert next_period(schedule, now) == Clock(*end).moment


def test_copies_of_one_period_are_shifted_and_old_periods_kept(tmp_path: Path) -> None:
    clock = Clock(2026, 11, 21)
    path = tmp_path / "x.log"
    dated = tmp_path / "x.log.2026-11-21"
    for number in range(4):
        target = DailyTarget(
            {"File": str(path), "Schedule": "DAILY", "MaxBackupIndex": "2"}, nothing, clock
        )
        target.put(EVENT, f"{number}\n")
        target.close()
    assert dated.read_text() == "3\n"
    assert Path(f"{dated}.1").read_text() == "2\n"
    assert Path(f"{dated}.2").read_text() == "1\n"
    assert not Path(f"{dated}.3").exists()
    assert path.read_text() == ""


def test_a_file_rolls_after_the_event_that_made_it_too_large(tmp_path: Path) -> None:
    path = tmp_path / "x.log"
    options = {"File": str(path), "MaxFileSize": "1KB", "MaxBackupIndex": "2"}
    target = RollingTarget(options, nothing)
    line = "x" * 99_999 + "\n"
    for _ in range(8):
        target.put(EVENT, line)
    target.flush()
    assert [Path(f"{path}{end}").stat().st_size for end in (".2", ".1", "")] == [
        300_000,
        300_000,
        200_000,
    ]
    assert not Path(f"{path}.3").exists()


def test_only_a_start_empties_a_file_that_is_not_appended_to(tmp_path: Path) -> None:
    path = tmp_path / "x.log"
    path.write_text("old\n")
    target = FileTarget({"File": str(path)}, nothing)
    assert path.read_text() == "old\n"  # prepared, and perhaps refused
    target.begin()
    assert path.read_text() == ""
    target.put(EVENT, "new\n")
    target.close()
    reloaded = FileTarget({"File": str(path)}, nothing)
    reloaded.put(EVENT, "newer\n")
    reloaded.close()
    assert path.read_text() == "new\nnewer\n"


def test_a_file_that_cannot_be_opened_is_told_once_and_tried_again(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "x.log"
    said: list[str] = []
    target = FileTarget({"File": str(path), "ReopenDelay": "0"}, said.append)
    assert said == [f"ERROR Unable to open file: {path}"]
    target.put(EVENT, "lost\n")
    path.parent.mkdir()
    target.put(EVENT, "kept\n")
    target.flush()
    assert path.read_text() == "kept\n"
    assert len(said) == 1


def test_reopening_goes_on_in_a_new_file(tmp_path: Path) -> None:
    path = tmp_path / "x.log"
    target = RollingTarget({"File": str(path)}, nothing)
    target.put(EVENT, "one\n")
    path.rename(tmp_path / "moved")
    target.reopen()
    target.put(EVENT, "two\n")
    target.close()
    assert (tmp_path / "moved").read_text() == "one\n"
    assert path.read_text() == "two\n"


def test_remote_syslog_is_one_datagram_a_message() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listening:
        listening.bind(("127.0.0.1", 0))
        listening.settimeout(10)
        port = str(listening.getsockname()[1])
        options = {"host": "127.0.0.1", "port": port, "ident": "us", "facility": "local0"}
        target = SyslogTarget(options, nothing)
        target.put(EVENT, "WARN - text\n")
        data = listening.recv(4096).decode()
        target.close()
        assert data.startswith("<132>1 2026-11-2")
        assert ".057Z " in data
        assert data.endswith(" us 42 dcmtk.dcmnet - WARN - text")
        other = Log4jUdpTarget({"host": "127.0.0.1", "port": port})
        other.put(EVENT, "a ]]> b\n")
        xml = listening.recv(4096).decode()
        other.close()
        assert xml.startswith('<log4j:event logger="dcmtk.dcmnet" level="WARN"')


def test_a_console_is_always_flushed(capfd: pytest.CaptureFixture[str]) -> None:
    target = ConsoleTarget(1)
    target.put(EVENT, "text\n")
    target.flush()
    assert capfd.readouterr().out == "text\n"


def test_milliseconds_come_in_two_forms() -> None:
    assert format_time("%q %Q %s %Y", EVENT.time_ns, gmt=True) == "057 057.764 1795302000 2026"
