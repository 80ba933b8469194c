"""Schedules that fire by themselves, reloads in the middle of a run, archives that are down."""

import signal
from pathlib import Path

import pytest
from tests.requestor.archive import Archive, Manners, make_instances
from tests.requestor.daemon import Daemon, free_port, remote, retrieval, wait_until

pytestmark = [pytest.mark.journey, pytest.mark.xdist_group("retrieval")]


def test_an_interval_fires_by_itself_and_the_manifest_names_the_job(tmp_path: Path) -> None:
    instances = make_instances(2)
    with Archive(instances) as archive:
        daemon = Daemon(
            tmp_path,
            remotes={"PACS": remote(archive.port)},
            retrievals={"often": retrieval(every="1h")},
        )
        archive.destinations["DEST"] = daemon.port
        with daemon:
            job = daemon.finished("often")
            assert job["run"]["state"] == "verified"
            assert job["run"]["trigger"] == "schedule"
            assert job["next"] is not None
            assert len(daemon.ask("jobs.history", name="often")["runs"]) == 1

            import sqlite3

            def credited() -> bool:
                with sqlite3.connect(tmp_path / "state" / "index.sqlite") as index:
                    rows = index.execute("SELECT job, run, sha256 FROM objects").fetchall()
                return len(rows) == 4 and all(all(row) for row in rows)

            wait_until(credited, "job, run and checksum stand in the manifest")


def test_a_reload_lets_transfers_end_and_goes_on_with_the_run(tmp_path: Path) -> None:
    instances = make_instances(6, 1, 4)
    with Archive(instances, manners=Manners(object_delay_s=0.1)) as archive:
        daemon = Daemon(
            tmp_path, remotes={"PACS": remote(archive.port)}, retrievals={"nightly": retrieval()}
        )
        archive.destinations["DEST"] = daemon.port
        with daemon:
            daemon.ask("jobs.run", name="nightly")
            wait_until(lambda: len(archive.sent) >= 6, "the run is under way")
            daemon.settings["remotes"]["PACS"]["max_retrievals"] = 2
            daemon.write()
            assert daemon.process is not None
            daemon.process.send_signal(signal.SIGHUP)
            wait_until(lambda: daemon.events("config.reloaded"), "the reload")
            assert daemon.finished("nightly", 60)["run"]["state"] == "verified"
            assert archive.cancels == 0
            assert len(archive.sent) == len(set(archive.sent)) == 24
            assert len(archive.moves()) == 6


def test_an_archive_that_is_down_is_waited_for(tmp_path: Path) -> None:
    instances = make_instances(2)
    with Archive(instances) as archive:
        nobody = free_port()
        daemon = Daemon(
            tmp_path,
            remotes={"PACS": remote(nobody), "THERE": remote(archive.port)},
            retrievals={
                "nightly": retrieval(retry={"attempts": 3, "first": "2s"}),
                "other": retrieval(remote="THERE"),
            },
        )
        archive.destinations["DEST"] = daemon.port
        with daemon:
            daemon.ask("jobs.run", name="nightly")
            kinds = wait_until(
                lambda: [one["kind"] for one in daemon.show("nightly")["why"]], "it backs off"
            )
            assert kinds == ["backoff"]
            daemon.ask("jobs.run", name="other")
            assert daemon.finished("other")["run"]["state"] == "verified"
            assert daemon.finished("nightly")["run"]["state"] == "failed"
