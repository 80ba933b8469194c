"""Two daemons on one PostgreSQL share the work; one is killed, the other takes over."""

import tempfile
from collections import Counter
from datetime import datetime
from itertools import pairwise
from pathlib import Path

import pytest
from tests.requestor.archive import Archive, Manners, make_instances
from tests.requestor.daemon import Daemon, remote, retrieval, wait_until
from tests.requestor.postgres import Postgres

pytestmark = [pytest.mark.journey, pytest.mark.xdist_group("retrieval")]


def test_two_daemons_share_a_run_and_one_takes_over_the_other(tmp_path: Path) -> None:
    instances = make_instances(10, 1, 3)
    with (
        Postgres(Path(tempfile.mkdtemp(prefix="dicomd-postgres-"))) as postgres,
        Archive(instances, manners=Manners(object_delay_s=0.15)) as archive,
    ):
        daemons = [
            Daemon(
                tmp_path / name,
                remotes={"PACS": remote(archive.port, max_retrievals=2, calling_ae_title=name)},
                retrievals={"nightly": retrieval()},
                ae_title=name,
                jobs={"database": postgres.url},
            )
            for name in ("ONE", "TWO")
        ]
        for name, daemon in zip(("ONE", "TWO"), daemons, strict=True):
            archive.destinations[name] = daemon.port
            daemon.start()
        one, two = daemons
        one.ask("jobs.run", name="nightly")
        wait_until(lambda: two.events("job.verified"), "the second has a part of the work")
        wait_until(lambda: one.events("job.verified"), "so has the first")
        one.kill()
        done_by_one = {event["study"] for event in one.events("job.verified")}
        job = two.finished("nightly", 60)
        two.stop()
        assert job["run"]["state"] == "verified"
        assert job["run"]["verified"] == 10
        assert two.events("node.lost")
        done_by_two = {event["study"] for event in two.events("job.verified")}
        assert done_by_one | done_by_two == {one.study for one in instances}
        by_study = Counter(
            (str(asked.identifier.StudyInstanceUID), asked.destination) for asked in archive.moves()
        )
        for study in done_by_one:
            assert by_study[study, "TWO"] == 0, "a complete study was moved by the other, too"
        for study in done_by_two:
            assert by_study[study, "TWO"] == 1


def test_rate_and_pause_count_over_both(tmp_path: Path) -> None:
    """Two studies an hour are two, whoever fetches them; and between any two there is the pause."""
    instances = make_instances(3, 1, 1)
    with (
        Postgres(Path(tempfile.mkdtemp(prefix="dicomd-postgres-"))) as postgres,
        Archive(instances) as archive,
    ):
        daemons = [
            Daemon(
                tmp_path / name,
                remotes={"PACS": remote(archive.port, pause="1s", calling_ae_title=name)},
                retrievals={
                    "gentle": retrieval(rate={"studies_per_hour": 2}),
                    "paused": retrieval(verify="none"),
                },
                ae_title=name,
                jobs={"database": postgres.url},
            )
            for name in ("ONE", "TWO")
        ]
        for name, daemon in zip(("ONE", "TWO"), daemons, strict=True):
            archive.destinations[name] = daemon.port
            daemon.start()
        one, two = daemons
        one.ask("jobs.run", name="gentle")
        wait_until(lambda: len(archive.moves()) == 2, "two studies")
        for daemon in daemons:
            wait_until(
                lambda daemon=daemon: (
                    "rate" in [why["kind"] for why in daemon.show("gentle")["why"]]
                ),
                "both know why it waits",
            )
        two.ask("jobs.run", name="paused")
        assert two.finished("paused")["run"]["state"] == "reported"
        reported = [event for daemon in daemons for event in daemon.events("job.reported")]
        begun = sorted(_seconds(event["timestamp"]) - event["seconds"] for event in reported)
        assert len(begun) == 3
        assert all(later - sooner >= 0.9 for sooner, later in pairwise(begun))
        assert len(archive.moves()) == 5
        for daemon in daemons:
            daemon.stop()


def _seconds(timestamp: str) -> float:
    return datetime.fromisoformat(timestamp).timestamp()
