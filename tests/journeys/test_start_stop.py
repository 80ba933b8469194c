"""A start that fails says why and leaves nothing; a stop lets run what runs, within its time."""

import json
import os
import pwd
import signal
import socket
import tempfile
import time
from pathlib import Path

import pytest
from tests.journeys.running import (
    Daemon,
    descendants,
    free_port,
    is_alive,
    refuses,
    running,
    wait_until,
)

pytestmark = pytest.mark.journey


def test_term_exits_zero_and_leaves_no_process_socket_or_temporary(tmp_path: Path) -> None:
    with running(tmp_path) as daemon:
        port = daemon.port()
        association = daemon.call(port)
        assert association.store(1) == 0
        family = descendants(daemon.pid)
        assert len(family) >= 4
        daemon.signal(signal.SIGTERM)
        assert daemon.wait() == 0
        assert not [pid for pid in family if is_alive(pid)]
        assert not daemon.socket.exists()
        assert not list((daemon.objects / ".incoming").glob("*.part"))
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port), 5)
        names = [event["event"] for event in daemon.events()]
        assert names[-1] == "daemon.stopped"
        assert "daemon.stopping" in names


def test_object_under_way_at_term_is_finished_and_acknowledged(tmp_path: Path) -> None:
    with running(tmp_path) as daemon:
        association = daemon.call()
        rest = association.begin(7)
        daemon.signal(signal.SIGTERM)
        wait_until(lambda: daemon.events("daemon.stopping"), "the order to stop")
        association.sock.sendall(rest)
        assert association.status() == 0
        # Then the association is ended by us, as the service's user (PS3.8 9.3.8).
        assert association.receive()[:10] == bytes.fromhex("07000000000400000000")
        assert daemon.wait() == 0
        assert len([path for path in daemon.objects.iterdir() if path.is_file()]) == 1


def test_running_associations_end_by_themselves_within_the_drain_time(tmp_path: Path) -> None:
    with running(tmp_path, drain_timeout=30) as daemon:
        association = daemon.call()
        assert association.store(1) == 0
        daemon.signal(signal.SIGTERM)
        wait_until(lambda: daemon.events("daemon.stopping"), "the drain")
        assert [association.store(number) for number in range(2, 30)] == [0] * 28
        assert association.release()[:1] == b"\x06"
        assert daemon.wait() == 0
        assert len(daemon.events("object.stored")) == 29


def test_idle_association_is_aborted_at_once(tmp_path: Path) -> None:
    with running(tmp_path, drain_timeout=30) as daemon:
        association = daemon.call()
        began = time.monotonic()
        daemon.signal(signal.SIGTERM)
        assert association.receive()[:1] == b"\x07"
        association.sock.close()
        assert daemon.wait() == 0
        assert time.monotonic() - began < 5


def test_stop_refuses_new_callers_while_it_drains(tmp_path: Path) -> None:
    with running(tmp_path) as daemon:
        port = daemon.port()
        association = daemon.call(port)
        rest = association.begin(7)
        daemon.signal(signal.SIGTERM)

        wait_until(lambda: refuses(port), "callers to be refused")
        association.sock.sendall(rest)
        assert association.status() == 0
        association.sock.close()
        assert daemon.wait() == 0


def test_second_term_ends_the_drain(tmp_path: Path) -> None:
    with running(tmp_path, drain_timeout=60) as daemon:
        association = daemon.call()
        association.begin(7)
        daemon.signal(signal.SIGTERM)
        wait_until(lambda: daemon.events("daemon.stopping"), "the order to stop")
        daemon.signal(signal.SIGTERM)
        assert association.receive()[:1] == b"\x07"
        association.sock.close()
        assert daemon.wait(10) == 0
        assert not [path for path in daemon.objects.iterdir() if path.is_file()]
        assert not list((daemon.objects / ".incoming").glob("*.part"))


def test_drain_ends_when_its_time_is_over(tmp_path: Path) -> None:
    with running(tmp_path, drain_timeout=0.5) as daemon:
        association = daemon.call()
        association.begin(7)
        daemon.signal(signal.SIGTERM)
        assert association.receive()[:1] == b"\x07"
        association.sock.close()
        assert daemon.wait(10) == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGQUIT])
def test_int_and_quit_leave_no_time(tmp_path: Path, number: signal.Signals) -> None:
    with running(tmp_path, drain_timeout=60) as daemon:
        association = daemon.call()
        association.begin(7)
        daemon.signal(number)
        assert association.receive()[:1] == b"\x07"
        association.sock.close()
        assert daemon.wait(10) == 0


def test_signals_to_the_whole_process_group_end_it_properly(tmp_path: Path) -> None:
    """^C on a terminal reaches every process of the group."""
    with running(tmp_path) as daemon:
        for pid in descendants(daemon.pid):
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1):
                os.kill(pid, number)
        association = daemon.call()
        assert association.store(1) == 0
        association.release()
        daemon.signal(signal.SIGINT)
        assert daemon.wait() == 0


def test_broken_configuration_is_refused_with_78_and_its_place(tmp_path: Path) -> None:
    daemon = Daemon(tmp_path, listener={})
    daemon.launch()
    assert daemon.wait() == 78
    assert f"{daemon.config}:" in daemon.errors()
    assert "listeners" in daemon.errors()


def test_port_in_use_is_refused_with_71_and_nothing_stays(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        daemon = Daemon(tmp_path, listeners={"one": {"address": "127.0.0.1", "port": port}})
        daemon.launch()
        assert daemon.wait() == 71
        assert f"127.0.0.1 port {port}" in daemon.errors()
        assert "in use" in daemon.errors()
        assert not daemon.socket.exists()


def test_missing_store_is_refused_with_71(tmp_path: Path) -> None:
    daemon = Daemon(tmp_path, stores={"archive": {"directory": str(tmp_path / "nowhere")}})
    daemon.launch()
    assert daemon.wait() == 71
    assert "nowhere" in daemon.errors()


def test_worker_that_cannot_be_born_halts_the_start(tmp_path: Path) -> None:
    """A certificate that is there, but is none, shows only in the worker."""
    daemon = Daemon(tmp_path)
    broken = tmp_path / "broken.pem"
    broken.write_text("-----BEGIN CERTIFICATE-----\nbm90aGluZw==\n-----END CERTIFICATE-----\n")
    daemon.tree["listeners"]["one"]["tls"] = {
        "certificate": str(broken),
        "key": str(broken),
        "client_certificate": "none",
    }
    daemon.write()
    daemon.launch()
    assert daemon.wait() in (71, 78)
    assert not daemon.socket.exists()


def test_second_instance_is_refused_and_harms_nothing(tmp_path: Path) -> None:
    with running(tmp_path) as daemon:
        association = daemon.call()
        rest = association.begin(3)
        for changed in ("control_socket", "both"):
            second = Daemon(tmp_path / "objects")
            (second.objects).rmdir()
            second.tree = json.loads(json.dumps(daemon.tree))
            second.tree["logging"]["file"]["path"] = str(tmp_path / "second.log")
            if changed == "both":
                second.tree["state_directory"] = str(tmp_path / f"second-{changed}")
            second.tree["control_socket"] = str(tmp_path / "second.sock")
            second.config = tmp_path / "second.yaml"
            second.write()
            second.launch()
            assert second.wait() == 71, changed
            assert "another" in second.errors()
        association.sock.sendall(rest)
        assert association.status() == 0


def test_killed_supervisor_leaves_nothing_and_the_next_starts_at_once(tmp_path: Path) -> None:
    port = free_port()
    listeners = {"one": {"address": "127.0.0.1", "port": port, "workers": 2}}
    with running(tmp_path, listeners=listeners) as daemon:
        association = daemon.call(port)
        association.begin(7)
        incoming = daemon.objects / ".incoming"
        wait_until(lambda: list(incoming.glob("*.part")), "the object to begin")
        family = descendants(daemon.pid)
        daemon.signal(signal.SIGKILL)
        daemon.wait()
        daemon.start()
        assert not [pid for pid in family if is_alive(pid)]
        # The worker takes it away if it sees in time that its supervisor is gone, else the start.
        assert not list(incoming.glob("*.part"))
        again = daemon.call(port)
        assert again.store(8) == 0
        again.release()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_root_becomes_the_user_that_is_named() -> None:
    entry = pwd.getpwnam("nobody")
    # pytest's own folders are closed to others.
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        daemon = Daemon(folder, user="nobody")
        os.chown(daemon.objects, entry.pw_uid, entry.pw_gid)
        os.chown(folder, entry.pw_uid, entry.pw_gid)
        try:
            daemon.start()
            for pid in (daemon.pid, *descendants(daemon.pid)):
                status = Path(f"/proc/{pid}/status").read_text()
                (line,) = [line for line in status.splitlines() if line.startswith("Uid:")]
                assert set(line.split()[1:]) == {str(entry.pw_uid)}
            assert not daemon.events("daemon.privileged")
            assert daemon.socket.stat().st_uid == entry.pw_uid
            association = daemon.call()
            assert association.store(1) == 0
            association.release()
            daemon.signal(signal.SIGTERM)
            assert daemon.wait() == 0
            assert not daemon.socket.exists()
        finally:
            daemon.end()


def test_children_hold_no_descriptor_that_is_not_theirs(tmp_path: Path) -> None:
    two = {"address": "127.0.0.1", "port": 0, "workers": 1}
    with running(tmp_path, listeners={"one": two, "two": dict(two)}) as daemon:
        sockets = {name: _inode_of_listener(daemon.port(name)) for name in ("one", "two")}
        control = daemon.status()
        assert control["healthy"]
        for worker in control["workers"]:
            held = _links(worker["pid"])
            for name, inode in sockets.items():
                assert (f"socket:[{inode}]" in held) == (worker["name"] == name), worker
            assert len([link for link in held if "lock" in link]) <= 1


def _links(pid: int) -> list[str]:
    return [os.readlink(path) for path in Path(f"/proc/{pid}/fd").iterdir()]


def _inode_of_listener(port: int) -> str:
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        if fields[1].endswith(f":{port:04X}") and fields[3] == "0A":
            return fields[9]
    raise AssertionError
