"""A worker that dies harms nobody else, leaves nothing, and is replaced."""

import os
import signal
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.journeys.running import (
    DEADLINE_S,
    Association,
    Daemon,
    descendants,
    free_port,
    is_alive,
    running,
    wait_until,
)

pytestmark = pytest.mark.journey
IMPATIENT = """
import sys
from dicomd.cli.main import main
from dicomd.logs import configure
from dicomd.supervisor import crew
crew.WORKER_SILENCE_S = configure.SILENCE_S = 2.0
sys.argv[:] = sys.argv[sys.argv.index("run") - 1:]
sys.exit(main())
"""
"""The daemon, but one that waits two seconds for a sign of life, and not twenty."""


def test_killed_worker_is_swept_and_replaced_and_its_siblings_go_on(tmp_path: Path) -> None:
    with running(tmp_path) as daemon:
        by_worker = _associations_on_both_workers(daemon)
        (victim, broken), (sibling, whole) = by_worker.items()
        broken.begin(100)
        rest = whole.begin(200)
        incoming = daemon.objects / ".incoming"
        wait_until(lambda: len(list(incoming.glob("*.part"))) == 2, "both objects to begin")
        os.kill(victim, signal.SIGKILL)
        wait_until(lambda: len(daemon.workers()) == 2 and victim not in daemon.workers(), "another")
        assert sibling in daemon.workers()
        assert len(list(incoming.glob("*.part"))) == 1
        whole.sock.sendall(rest)
        assert whole.status() == 0
        exited = [event for event in daemon.events("worker.exited") if event["level"] == "warning"]
        assert [event["worker_pid"] for event in exited] == [victim]
        assert exited[0]["signal"] == "SIGKILL"
        assert daemon.status()["listeners"]["one"]["associations"] == len(by_worker) - 1
        assert daemon.status()["worker_exits"] == {"acceptor": 1}
        again = daemon.call()
        assert again.store(300) == 0
        again.release()


def test_killed_clerk_is_replaced_and_misses_nothing(tmp_path: Path) -> None:
    with running(tmp_path) as daemon:
        (clerk,) = daemon.workers("indexer")
        association = daemon.call()
        assert association.store(1) == 0
        os.kill(clerk, signal.SIGKILL)
        assert association.store(2) == 0
        association.release()
        wait_until(lambda: daemon.workers("indexer") not in ([], [clerk]), "another clerk")
        assert daemon.ask("flush")["ok"]
        wait_until(lambda: (daemon.status()["index"] or {}).get("backlog") == 0, "the index")
        assert daemon.run("verify").returncode == 0


def test_killed_log_writer_is_replaced(tmp_path: Path) -> None:
    with running(tmp_path) as daemon:
        writer_pid = _log_writer(daemon)
        os.kill(writer_pid, signal.SIGKILL)
        association = daemon.call()
        assert association.store(1) == 0
        association.release()
        wait_until(lambda: daemon.events("object.stored"), "the object's line")
        (exited,) = [one for one in daemon.events("worker.exited") if one["level"] == "warning"]
        assert (exited["worker"], exited["worker_pid"]) == ("log", writer_pid)
        assert daemon.status()["worker_exits"] == {"log": 1}


def test_killed_metrics_server_is_replaced(tmp_path: Path) -> None:
    metrics = {"address": "127.0.0.1", "port": free_port()}
    with running(tmp_path, metrics=metrics) as daemon:
        (server,) = daemon.workers("metrics")
        url = f"http://127.0.0.1:{metrics['port']}/metrics"
        assert "dicomd_up 1" in _fetched(url)
        os.kill(server, signal.SIGKILL)
        # Its socket is the supervisor's: a scrape that comes meanwhile waits.
        assert 'dicomd_worker_exits_total{role="metrics"} 1' in _fetched(url)
        assert daemon.workers("metrics") not in ([], [server])


def test_hung_worker_is_killed_and_replaced_and_its_sibling_goes_on(tmp_path: Path) -> None:
    with impatient(tmp_path) as daemon:
        (victim, _), (sibling, whole) = _associations_on_both_workers(daemon).items()
        os.kill(victim, signal.SIGSTOP)
        assert whole.store(1) == 0
        wait_until(lambda: not is_alive(victim), "its end", seconds=8)
        wait_until(lambda: len(daemon.workers()) == 2, "another")
        assert sibling in daemon.workers()
        assert whole.store(2) == 0
        (exited,) = [one for one in daemon.events("worker.exited") if one["level"] == "warning"]
        assert exited["worker_pid"] == victim
        assert exited["reason"] == "its heartbeat stayed away"


def test_hung_log_writer_is_killed_and_replaced(tmp_path: Path) -> None:
    with impatient(tmp_path) as daemon:
        hung = _log_writer(daemon)
        os.kill(hung, signal.SIGSTOP)
        association = daemon.call()
        assert association.store(1) == 0
        association.release()
        wait_until(lambda: daemon.events("object.stored"), "the object's line", seconds=10)
        assert _log_writer(daemon) != hung


def test_log_writer_that_hangs_over_a_reload_is_killed(tmp_path: Path) -> None:
    with impatient(tmp_path) as daemon:
        hung = _log_writer(daemon)
        os.kill(hung, signal.SIGSTOP)
        daemon.tree["logging"]["level"] = "info"
        daemon.write()
        assert daemon.ask("reload")["ok"]
        wait_until(lambda: not is_alive(hung), "its end", seconds=10)
        wait_until(lambda: daemon.events("config.reloaded"), "the line")


@contextmanager
def impatient(folder: Path) -> Iterator[Daemon]:
    """A daemon that gives its children two seconds."""
    daemon = Daemon(folder)
    try:
        daemon.start(prefix=(sys.executable, "-c", IMPATIENT))
        yield daemon
    finally:
        daemon.end()


def _log_writer(daemon: Daemon) -> int:
    """The one child that has no role."""
    known = {item["pid"] for item in daemon.status()["workers"]}
    (pid,) = [pid for pid in descendants(daemon.pid) if pid not in known]
    return pid


def _fetched(url: str) -> str:
    with urllib.request.urlopen(url, timeout=DEADLINE_S) as page:
        text: str = page.read().decode()
    return text


def _associations_on_both_workers(daemon: Daemon) -> dict[int, Association]:
    """One association on each worker, by the worker's pid."""
    found: dict[int, Association] = {}
    known: set[str] = set()
    while len(found) < 2:
        association = daemon.call()
        (new,) = [
            item for item in daemon.status()["associations"] if item["association"] not in known
        ]
        known.add(new["association"])
        if new["pid"] in found:
            association.release()
            wait_until(lambda: len(daemon.status()["associations"]) == len(found), "the release")
        else:
            found[new["pid"]] = association
    return found
