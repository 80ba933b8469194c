"""A worker that dies harms nobody else, leaves nothing, and is replaced."""

import os
import signal
from pathlib import Path

import pytest
from tests.journeys.running import Association, Daemon, descendants, running, wait_until

pytestmark = pytest.mark.journey


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
        known = {item["pid"] for item in daemon.status()["workers"]}
        (writer_pid,) = [pid for pid in descendants(daemon.pid) if pid not in known]
        os.kill(writer_pid, signal.SIGKILL)
        association = daemon.call()
        assert association.store(1) == 0
        association.release()
        wait_until(lambda: daemon.events("object.stored"), "the object's line")


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
