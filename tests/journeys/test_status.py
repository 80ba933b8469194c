"""What the daemon says about itself while it runs: status, signals, /metrics, /healthz."""

import json
import signal
import socket
import stat
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from tests.journeys.running import Daemon, free_port, refuses, running, wait_until

pytestmark = pytest.mark.journey


def test_status_shows_listeners_workers_associations_and_stores(tmp_path: Path) -> None:
    with running(tmp_path) as daemon:
        association = daemon.call()
        assert association.store(1) == 0
        printed = daemon.run("status", "--json")
        assert printed.returncode == 0
        status = json.loads(printed.stdout)
        assert status["state"] == "running"
        assert status["healthy"]
        assert status["ready"]
        assert status["pid"] == daemon.pid
        assert status["listeners"]["one"]["addresses"] == [f"127.0.0.1:{daemon.port()}"]
        assert status["listeners"]["one"]["counters"]["objects"] == 1
        (live,) = status["associations"]
        assert live["calling_ae"] == "SENDER"
        assert live["objects"] == 1
        assert live["listener"] == "one"
        assert live["age_seconds"] > 0
        assert status["stores"]["archive"]["free_bytes"] > 0
        assert {item["role"] for item in status["workers"]} == {"acceptor", "indexer"}
        people = daemon.run("status").stdout
        assert "SENDER" in people
        assert f"127.0.0.1:{daemon.port()}" in people
        association.release()


def test_commands_say_that_no_daemon_answers(tmp_path: Path) -> None:
    daemon = Daemon(tmp_path)
    for verb in ("status", "reload", "stop"):
        told = daemon.run(verb)
        assert told.returncode == 3
        assert str(daemon.socket) in told.stderr


def test_stop_waits_until_the_daemon_is_gone(tmp_path: Path) -> None:
    with running(tmp_path) as daemon:
        daemon.call().release()
        stopped = daemon.run("stop")
        assert stopped.returncode == 0, stopped.stderr
        assert daemon.wait(1) == 0


def test_control_socket_is_for_owner_and_group(tmp_path: Path) -> None:
    with running(tmp_path) as daemon:
        assert stat.S_IMODE(daemon.socket.stat().st_mode) == 0o660


def test_control_socket_survives_nonsense(tmp_path: Path) -> None:
    with running(tmp_path) as daemon:
        for nonsense in (b"\n\n[]\n", b"{}\n", b"\xff\xfe\n", b'{"command": ["status"]}\n'):
            with socket.socket(socket.AF_UNIX) as sock:
                sock.settimeout(10)
                sock.connect(str(daemon.socket))
                sock.sendall(nonsense)
                with sock.makefile() as lines:
                    assert not json.loads(lines.readline())["ok"]
        assert daemon.status()["healthy"]


def test_usr2_logs_a_snapshot(tmp_path: Path) -> None:
    with running(tmp_path) as daemon:
        association = daemon.call()
        daemon.signal(signal.SIGUSR2)
        wait_until(lambda: daemon.events("snapshot.taken"), "the snapshot")
        (snapshot,) = daemon.events("snapshot.taken")
        assert snapshot["associations"][0]["calling_ae"] == "SENDER"
        association.release()


def test_usr1_reopens_the_log(tmp_path: Path) -> None:
    with running(tmp_path) as daemon:
        association = daemon.call()
        assert association.store(1) == 0
        moved = tmp_path / "dicomd.log.1"
        daemon.log.rename(moved)
        daemon.signal(signal.SIGUSR1)
        wait_until(daemon.log.exists, "the new file")
        assert association.store(2) == 0
        association.release()
        wait_until(lambda: daemon.events("association.released"), "the closing line")
        both = moved.read_text() + daemon.log.read_text()
        assert both.count("object.stored") == 2


def test_metrics_health_and_readiness(tmp_path: Path) -> None:
    port = free_port()
    with running(tmp_path, metrics={"address": "127.0.0.1", "port": port}) as daemon:
        association = daemon.call()
        assert association.store(1) == 0
        assert _get(port, "/healthz") == (200, "ok\n")
        assert _get(port, "/readyz") == (200, "ready\n")
        code, text = _get(port, "/metrics")
        assert code == 200
        lines = text.splitlines()
        assert 'dicomd_objects_total{listener="one",status="0000"} 1.0' in lines
        assert 'dicomd_associations{listener="one"} 1.0' in lines
        assert 'dicomd_processes{role="acceptor",state="running"} 2.0' in lines
        assert any(line.startswith('dicomd_store_free_bytes{store="archive"} ') for line in lines)
        assert _get(port, "/other")[0] == 404
        association.release()
        daemon.tree["listeners"]["one"]["max_pd"] = 1
        daemon.write()
        assert not daemon.ask("reload")["ok"]
        assert "dicomd_last_reload_successful 0.0" in _get(port, "/metrics")[1]


def test_metrics_port_moves_with_a_reload(tmp_path: Path) -> None:
    first, second = free_port(), free_port()
    with running(tmp_path, metrics={"port": first}) as daemon:
        assert _get(first, "/readyz")[0] == 200
        daemon.tree["metrics"]["port"] = second
        daemon.write()
        assert daemon.ask("reload")["ok"]

        def moved() -> bool:
            try:
                return _get(second, "/readyz")[0] == 200
            except OSError:
                return False

        wait_until(moved, "the new port")
        wait_until(lambda: refuses(first), "callers to be refused")


def test_silent_callers_of_the_metrics_port_harm_nobody(tmp_path: Path) -> None:
    port = free_port()
    with running(tmp_path, metrics={"port": port}) as daemon:
        silent = [socket.create_connection(("127.0.0.1", port)) for _ in range(10)]
        assert _get(port, "/healthz")[0] == 200
        assert daemon.status()["healthy"]
        for sock in silent:
            sock.close()


def _get(port: int, path: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def test_without_retrievals_the_list_of_jobs_is_empty_and_no_fault(tmp_path: Path) -> None:
    with running(tmp_path) as daemon:
        assert daemon.ask("jobs.list") == {"ok": True, "result": {"jobs": []}}
        assert not daemon.ask("jobs.show", arguments={"name": "one"})["ok"]
