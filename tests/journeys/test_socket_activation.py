"""systemd: sockets that it hands over, what it is told, and callers who wait over a restart."""

import os
import signal
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.bench.objects import association_request
from tests.journeys.running import (
    REPOSITORY,
    Daemon,
    free_port,
    refuses,
    wait_until,
)

pytestmark = pytest.mark.journey

ACTIVATE = "/usr/bin/systemd-socket-activate"
HAND_OVER = """
import os, sys
count = int(sys.argv[1])
for index in range(count):
    given = int(sys.argv[2 + index])
    os.dup2(given, 100 + index, inheritable=False)
    os.close(given)
for index in range(count):
    os.dup2(100 + index, 3 + index, inheritable=True)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS=str(count))
os.execv(sys.argv[2 + count], sys.argv[2 + count:])
"""
"""Hands descriptors over as systemd does, to the process that it becomes."""


class Manager:
    """systemd's side of sd_notify(3). Mutable: what it was told, the sockets in its store."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "notify"
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.sock.bind(str(self.path))
        self.sock.setblocking(False)
        self.told: list[dict[str, str]] = []
        self.stored: dict[str, list[int]] = {}

    def listen(self) -> list[dict[str, str]]:
        """Everything it was told up to now."""
        while True:
            try:
                data, descriptors, _, _ = socket.recv_fds(self.sock, 8192, 16)
            except BlockingIOError:
                return self.told
            message = dict(line.split("=", 1) for line in data.decode().splitlines())
            self.told.append(message)
            name = message.get("FDNAME", "")
            if "FDSTORE" in message:
                self.stored.setdefault(name, []).extend(descriptors)
            if "FDSTOREREMOVE" in message:
                for descriptor in self.stored.pop(name, []):
                    os.close(descriptor)

    def was_told(self, key: str, value: str = "1") -> bool:
        """Whether some message said so."""
        return any(message.get(key) == value for message in self.listen())

    def close(self) -> None:
        """Let go of everything."""
        self.listen()
        for descriptors in self.stored.values():
            for descriptor in descriptors:
                os.close(descriptor)
        self.sock.close()


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[Manager]:
    manager = Manager(tmp_path)
    yield manager
    manager.close()


def test_socket_of_a_socket_unit_is_served(tmp_path: Path) -> None:
    port = free_port()
    daemon = Daemon(tmp_path, listeners={"one": {"socket": "dicom", "workers": 2}})
    try:
        path = f"PYTHONPATH={REPOSITORY / 'daemon'}"
        daemon.launch(prefix=[ACTIVATE, "-l", f"127.0.0.1:{port}", "--fdname=dicom", "-E", path])
        # The first call starts the daemon, and waits meanwhile.
        _connects(port)
        association = daemon.call(port)
        assert association.store(1) == 0
        association.release()
        assert daemon.port() == port
        daemon.tree["listeners"]["one"]["max_pdu"] = 16384
        daemon.write()
        assert daemon.ask("reload")["ok"]
        again = daemon.call(port)
        assert again.max_pdu == 16384
        again.release()
        daemon.signal(signal.SIGTERM)
        assert daemon.wait() == 0
    finally:
        daemon.end()


def test_socket_that_systemd_did_not_hand_over_is_refused(tmp_path: Path) -> None:
    daemon = Daemon(tmp_path, listeners={"one": {"socket": "dicom"}})
    daemon.launch()
    assert daemon.wait() == 71
    assert "no socket named 'dicom'" in daemon.errors()


def test_manager_is_told_of_start_reload_refusal_progress_and_stop(
    tmp_path: Path, manager: Manager
) -> None:
    daemon = Daemon(tmp_path)
    environ = {"NOTIFY_SOCKET": str(manager.path), "WATCHDOG_USEC": "2000000"}
    try:
        daemon.start(environ=environ)
        wait_until(lambda: manager.was_told("READY"), "READY")
        assert manager.was_told("MAINPID", str(daemon.pid))
        wait_until(lambda: manager.was_told("WATCHDOG"), "the watchdog's food")
        began_us = time.monotonic_ns() // 1000
        daemon.tree["listeners"]["one"]["max_pd"] = 1
        daemon.write()
        daemon.signal(signal.SIGHUP)
        wait_until(lambda: manager.was_told("RELOADING"), "RELOADING")
        (reloading,) = [item for item in manager.listen() if "RELOADING" in item]
        assert began_us <= int(reloading["MONOTONIC_USEC"]) <= time.monotonic_ns() // 1000
        wait_until(
            lambda: [item for item in manager.listen() if "READY" in item][1:], "READY again"
        )
        refusal = [item for item in manager.listen() if "READY" in item][1]
        assert "reload refused" in refusal["STATUS"]
        assert "max_pd" in refusal["STATUS"]
        daemon.signal(signal.SIGTERM)
        wait_until(lambda: manager.was_told("STOPPING"), "STOPPING")
        assert daemon.wait() == 0
    finally:
        daemon.end()


def test_watchdog_is_not_fed_when_no_worker_answers(tmp_path: Path, manager: Manager) -> None:
    one = {"address": "127.0.0.1", "port": 0, "workers": 1}
    daemon = Daemon(tmp_path, listeners={"one": one})
    environ = {"NOTIFY_SOCKET": str(manager.path), "WATCHDOG_USEC": "1000000"}
    try:
        daemon.start(environ=environ)
        wait_until(lambda: manager.was_told("WATCHDOG"), "the watchdog's food")
        (worker,) = daemon.workers()
        os.kill(worker, signal.SIGSTOP)
        fed = time.monotonic()

        def starves() -> bool:
            nonlocal fed
            before = len(manager.told)
            if any("WATCHDOG" in message for message in manager.listen()[before:]):
                fed = time.monotonic()
            return time.monotonic() > fed + 1.5

        wait_until(starves, "the watchdog to starve")
        os.kill(worker, signal.SIGCONT)
    finally:
        daemon.end()


def test_callers_wait_in_the_stored_socket_over_a_crash(tmp_path: Path, manager: Manager) -> None:
    port = free_port()
    listeners = {"one": {"address": "127.0.0.1", "port": port, "workers": 1}}
    daemon = Daemon(tmp_path, listeners=listeners)
    environ = {"NOTIFY_SOCKET": str(manager.path)}
    try:
        daemon.start(environ=environ)
        wait_until(lambda: manager.was_told("FDSTORE"), "the socket for the store")
        (name,) = manager.stored
        daemon.signal(signal.SIGKILL)
        daemon.wait()
        with socket.create_connection(("127.0.0.1", port), 20) as caller:
            # Nobody serves, but nobody refuses.
            descriptors = manager.stored[name]
            arguments = [sys.executable, "-c", HAND_OVER, str(len(descriptors))]
            daemon.start(
                environ={**environ, "LISTEN_FDNAMES": name},
                prefix=[*arguments, *map(str, descriptors)],
                descriptors=descriptors,
            )
            caller.sendall(association_request())
            assert caller.recv(1) == b"\x02"
        association = daemon.call(port)
        assert association.store(1) == 0
        association.release()
        # A listener that goes takes its socket out of the store.
        daemon.tree["listeners"] = {"two": {"address": "127.0.0.1", "port": free_port()}}
        daemon.write()
        assert daemon.ask("reload")["ok"]
        wait_until(lambda: manager.was_told("FDSTOREREMOVE"), "the removal")
        wait_until(lambda: name not in manager.stored, "the removal")
        wait_until(lambda: refuses(port), "callers to be refused")
    finally:
        daemon.end()


def _connects(port: int) -> None:
    def tried() -> bool:
        try:
            socket.create_connection(("127.0.0.1", port), 20).close()
        except ConnectionRefusedError:
            return False
        return True

    wait_until(tried, "the socket")
