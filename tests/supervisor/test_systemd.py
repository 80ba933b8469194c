"""What the service manager is told and hands over; the shipped units."""

import os
import re
import socket
import subprocess
from pathlib import Path

import pytest

from dicomd.supervisor.systemd import Systemd, inherited_sockets, one_line

SYSTEMD = Path(__file__).parents[2] / "systemd"
UNITS = ["dicomd.service", "dicomd@.service"]


def test_nothing_is_handed_over_to_another_process() -> None:
    for environment in (
        {},
        {"LISTEN_PID": "1", "LISTEN_FDS": "1"},
        {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "none"},
    ):
        assert inherited_sockets(environment) == {}
        assert environment == {}


def test_silence_without_systemd() -> None:
    systemd = Systemd({})
    assert not systemd.present
    systemd.ready("text")
    systemd.alive()
    systemd.store("name", [])
    assert systemd.watchdog_s is None
    systemd.close()


def test_messages_are_those_of_sd_notify(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "notify"
    with (
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager,
        socket.create_server(("127.0.0.1", 0)) as listening,
    ):
        manager.bind(str(path))
        manager.settimeout(5)
        monkeypatch.setenv("NOTIFY_SOCKET", str(path))
        systemd = Systemd({"NOTIFY_SOCKET": str(path), "WATCHDOG_USEC": "3000000"})
        assert systemd.watchdog_s == 3.0
        systemd.ready("two\nlines")
        assert manager.recv(500).decode().splitlines() == [
            "READY=1",
            "STATUS=two lines",
            f"MAINPID={os.getpid()}",
        ]
        systemd.reloading()
        assert re.match(rb"RELOADING=1\nMONOTONIC_USEC=\d+\n", manager.recv(500))
        systemd.stopping("soon")
        assert manager.recv(500) == b"STOPPING=1\nSTATUS=soon"
        systemd.store("dicomd-one", [listening])
        data, descriptors, _, _ = socket.recv_fds(manager, 500, 4)
        assert data == b"FDSTORE=1\nFDNAME=dicomd-one"
        with socket.socket(fileno=descriptors[0]) as received:
            assert received.getsockname() == listening.getsockname()
        systemd.unstore("dicomd-one")
        assert manager.recv(500) == b"FDSTOREREMOVE=1\nFDNAME=dicomd-one"
        systemd.close()


def test_watchdog_of_another_process_is_not_ours() -> None:
    systemd = Systemd({"WATCHDOG_USEC": "3000000", "WATCHDOG_PID": "1"})
    assert systemd.watchdog_s is None


def test_a_manager_that_went_away_is_no_hindrance(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(path))
        monkeypatch.setenv("NOTIFY_SOCKET", str(path))
        systemd = Systemd(os.environ)
    systemd.ready("text")
    systemd.alive()
    systemd.close()


def test_status_is_one_line() -> None:
    assert one_line(" a\n b\tc ") == "a b c"


@pytest.mark.parametrize("unit", UNITS)
def test_exposure_is_low(unit: str) -> None:
    told = subprocess.run(
        ["/usr/bin/systemd-analyze", "security", "--offline=true", str(SYSTEMD / unit)],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    (level,) = re.findall(r"Overall exposure level for .*: ([\d.]+)", told.stdout)
    assert float(level) <= 1.5


@pytest.mark.parametrize("unit", UNITS)
def test_units_wait_longer_than_the_daemon_drains(unit: str) -> None:
    lines = (SYSTEMD / unit).read_text().splitlines()
    (seconds,) = [line.partition("=")[2] for line in lines if line.startswith("TimeoutStopSec=")]
    assert float(seconds) > 30 + 30


def test_template_differs_from_the_service_in_its_names_alone() -> None:
    service, template = (
        [line for line in (SYSTEMD / unit).read_text().splitlines() if not line.startswith("#")]
        for unit in UNITS
    )
    assert len(service) == len(template)
    for one, other in zip(service, template, strict=True):
        assert one == other or "%i" in other or one.startswith("LogsDirectory"), other
