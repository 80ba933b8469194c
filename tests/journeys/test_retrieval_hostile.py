"""Scheduled retrievals against archives that lie, drop, refuse, delay and fall silent."""

import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.requestor.archive import Archive, Manners, make_instances
from tests.requestor.daemon import Daemon, remote, retrieval, wait_until

pytestmark = [pytest.mark.journey, pytest.mark.xdist_group("retrieval")]

FAST = {"retry": {"attempts": 2, "first": "100ms", "most": "200ms"}, "settle": "300ms"}
SILENT = {**FAST, "timeout": "1s", "retry": {"attempts": 1}}


class Yard:
    """One daemon and several archives, each with manners of its own and a retrieval of its name."""

    def __init__(self, folder: Path) -> None:
        self.instances = make_instances(5, 2, 4)
        self.archives: dict[str, Archive] = {}
        first = self.instances[0]
        second_series = [one.uid for one in self.instances if one.series != first.series][:4]
        manners = {
            "good": Manners(),
            "drops": Manners(drops_once={first.uid, *second_series}),
            "never": Manners(never_sends={first.uid}),
            "refuses": Manners(refuses={first.study: [0xA702]}),
            "always": Manners(refuses={first.study: [0xC000] * 20}),
            "early": Manners(success_first=True, lag_s=0.1),
            "silent": Manners(silent=True),
            "aborts": Manners(aborts=True),
            "rejects": Manners(reject=(1, 1, 7)),
            "quiet": Manners(no_pending=True, object_delay_s=0.12),
            "extra": Manners(extra=make_instances(1, 1, 2)),
            "nofind": Manners(accepts=lambda uid: not uid.endswith(".1")),
            "slow": Manners(object_delay_s=0.15),
        }
        remotes, retrievals = {}, {}
        for name, its in manners.items():
            shelf = make_instances(5, 2, 4) if name in ("early", "quiet", "slow") else None
            shelf = shelf[:8] if name in ("quiet", "slow") and shelf else shelf
            archive = Archive(shelf or fresh(self.instances), manners=its)
            remap(its, self.instances, archive.instances)
            self.archives[name] = archive.__enter__()
            remotes[name] = remote(archive.port)
            more = SILENT if name in ("silent", "quiet") else FAST
            retrievals[name] = retrieval(remote=name, **more)
        retrievals["counted"] = retrieval(remote="good", verify="counts", **FAST)
        retrievals["third"] = retrieval(remote="good", destination="ELSEWHERE", **FAST)
        self.daemon = Daemon(folder, remotes=remotes, retrievals=retrievals)
        for archive in self.archives.values():
            archive.destinations["DEST"] = archive.destinations["ELSEWHERE"] = self.daemon.port
        self.daemon.start()

    def run(self, name: str) -> tuple[Archive | None, Any]:
        """Run a retrieval to its end."""
        self.daemon.ask("jobs.run", name=name)
        return self.archives.get(name), self.daemon.finished(name)

    def close(self) -> None:
        self.daemon.stop()
        for archive in self.archives.values():
            archive.close()


def fresh(instances: list[Any]) -> list[Any]:
    return make_instances(len({one.study for one in instances}), 2, 4)


def remap(manners: Manners, old: list[Any], new: list[Any]) -> None:
    """Manners name instances of the pattern; each archive has objects of its own."""
    if len(old) != len(new):
        return
    uid = {a.uid: b.uid for a, b in zip(old, new, strict=True)}
    study = {a.study: b.study for a, b in zip(old, new, strict=True)}
    manners.never_sends = {uid[one] for one in manners.never_sends}
    manners.drops_once = {uid[one] for one in manners.drops_once}
    manners.refuses = {study[one]: statuses for one, statuses in manners.refuses.items()}


@pytest.fixture(scope="module")
def yard(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Yard]:
    yard = Yard(tmp_path_factory.mktemp("yard"))
    yield yard
    yard.close()


def test_every_instance_is_verified_and_asked_for_once(yard: Yard) -> None:
    archive, job = yard.run("good")
    assert archive is not None
    assert job["run"]["state"] == "verified"
    assert job["run"]["verified"] == 5
    assert [one.level for one in archive.moves()] == ["STUDY"] * 5
    assert {f"CT.{one.uid}" for one in archive.instances} <= set(yard.daemon.stored())


def test_what_is_there_is_not_asked_for_again(yard: Yard) -> None:
    before = len(yard.archives["good"].moves())
    yard.daemon.ask("jobs.run", name="good")
    job = yard.daemon.finished("good")
    if before:
        assert len(yard.archives["good"].moves()) == before
    assert job["run"]["state"] == "verified"


def test_dropped_instances_alone_are_asked_for_again(yard: Yard) -> None:
    archive, job = yard.run("drops")
    assert archive is not None
    assert job["run"]["state"] == "verified"
    again = [one for one in archive.moves() if one.level != "STUDY"]
    assert {one.level for one in again} == {"IMAGE", "SERIES"}
    assert len(archive.moves()) == 5 + len(again)
    assert len(archive.sent) == len(set(archive.sent)), "nothing was moved twice"


def test_what_never_comes_is_named(yard: Yard) -> None:
    archive, job = yard.run("never")
    assert archive is not None
    assert job["run"]["state"] == "incomplete"
    assert job["run"]["verified"] == 4
    assert job["missing"] == sorted(archive.manners.never_sends)
    assert (
        yard.daemon.run("jobs", "show", "never", "--config", str(yard.daemon.config)).returncode
        == 0
    )


def test_a_refused_study_is_asked_for_again(yard: Yard) -> None:
    _, job = yard.run("refuses")
    assert job["run"]["state"] == "verified"


def test_a_study_that_is_always_refused_says_so(yard: Yard) -> None:
    _, job = yard.run("always")
    assert job["run"]["incomplete"] == 1
    assert "C000H" in job["unfinished"][0]["reason"]
    assert len(job["missing"]) == 8


def test_success_before_the_objects_is_waited_out(yard: Yard) -> None:
    archive, job = yard.run("early")
    assert archive is not None
    assert job["run"]["state"] == "verified"
    assert len(archive.moves()) == 5


def test_an_archive_that_never_answers_is_given_up(yard: Yard) -> None:
    began = time.monotonic()
    _, job = yard.run("silent")
    assert job["run"]["incomplete"] == 5
    assert time.monotonic() - began < 20


def test_arriving_objects_keep_the_clock_alive(yard: Yard) -> None:
    """No pending response for longer than the timeout, but an object now and then."""
    archive, job = yard.run("quiet")
    assert archive is not None
    assert job["run"]["state"] == "verified"
    assert len(archive.moves()) == 1


def test_an_archive_that_aborts_is_a_failed_run(yard: Yard) -> None:
    _, job = yard.run("aborts")
    assert job["run"]["incomplete"] == 5
    assert "abort" in job["unfinished"][0]["reason"].lower()


def test_a_permanent_rejection_ends_the_run_at_once(yard: Yard) -> None:
    _, job = yard.run("rejects")
    assert job["run"]["state"] == "failed"
    assert "Called AE Title Not Recognized" in job["run"]["reason"]


def test_objects_that_nobody_asked_for_change_no_verdict(yard: Yard) -> None:
    _, job = yard.run("extra")
    assert job["run"]["state"] == "verified"
    assert job["run"]["verified"] == 5


def test_without_c_find_a_query_fails_with_a_reason(yard: Yard) -> None:
    _, job = yard.run("nofind")
    assert job["run"]["state"] == "failed"
    assert "C-FIND" in job["run"]["reason"]


def test_counts_verify_too(yard: Yard) -> None:
    _, job = yard.run("counted")
    assert job["run"]["state"] == "verified"


def test_a_third_party_is_reported_not_verified(yard: Yard) -> None:
    _, job = yard.run("third")
    assert job["run"]["state"] == "reported"
    assert job["run"]["verified"] == 0


def test_a_dry_run_moves_nothing(yard: Yard) -> None:
    archive = yard.archives["slow"]
    before = len(archive.moves())
    answer = yard.daemon.ask("jobs.run", name="slow", dry_run=True)
    assert {one["StudyInstanceUID"] for one in answer["studies"]} == {
        one.study for one in archive.instances
    }
    assert len(archive.moves()) == before


def test_a_cancelled_run_sends_a_c_cancel_and_can_be_retried(yard: Yard) -> None:
    archive = yard.archives["slow"]
    yard.daemon.ask("jobs.run", name="slow")
    wait_until(archive.moves, "a C-MOVE is under way")
    yard.daemon.ask("jobs.cancel", name="slow")
    job = yard.daemon.finished("slow")
    assert job["run"]["state"] == "cancelled"
    yard.daemon.ask("jobs.retry", name="slow")
    assert yard.daemon.finished("slow")["run"]["state"] == "verified"


def test_no_patient_stands_in_the_log(yard: Yard) -> None:
    yard.run("good")
    text = (yard.daemon.folder / "log.json").read_text() + (
        yard.daemon.folder / "stderr"
    ).read_text()
    assert "ZZMARKER" not in text


def test_a_paused_job_says_so_and_goes_on_when_resumed(tmp_path: Path) -> None:
    instances = make_instances(3)
    with Archive(instances) as archive:
        daemon = Daemon(
            tmp_path,
            remotes={"PACS": remote(archive.port)},
            retrievals={
                "nightly": retrieval(),
                "shut": retrieval(window={"from": "00:00", "to": "00:00", "days": [other_day()]}),
                "gentle": retrieval(rate={"studies_per_hour": 2}),
            },
        )
        archive.destinations["DEST"] = daemon.port
        with daemon:
            daemon.ask("jobs.pause", name="nightly")
            daemon.ask("jobs.run", name="nightly")
            daemon.ask("jobs.run", name="shut")
            job = daemon.show("nightly")
            assert [one["kind"] for one in job["why"]] == ["paused"]
            wait_until(lambda: daemon.show("shut")["run"]["studies"] == 3, "the list is there")
            assert daemon.show("shut")["why"][0]["kind"] == "window"
            assert not archive.moves()
            daemon.ask("jobs.resume", name="nightly")
            assert daemon.finished("nightly")["run"]["state"] == "verified"
            daemon.ask("jobs.run", name="gentle")
            wait_until(lambda: daemon.show("gentle")["run"]["verified"] == 2, "two studies")
            assert "rate" in [one["kind"] for one in daemon.show("gentle")["why"]]
            listed = daemon.run("jobs", "list", "--config", str(daemon.config))
            assert "nightly" in listed.stdout


def other_day() -> str:
    return ("mon", "tue", "wed", "thu", "fri", "sat", "sun")[(time.gmtime().tm_wday + 3) % 7]


@pytest.mark.parametrize("victim", ["supervisor", "requestor"])
def test_a_killed_run_goes_on_where_it_was(tmp_path: Path, victim: str) -> None:
    instances = make_instances(8, 1, 3)
    with Archive(instances, manners=Manners(object_delay_s=0.1)) as archive:
        daemon = Daemon(
            tmp_path, remotes={"PACS": remote(archive.port)}, retrievals={"nightly": retrieval()}
        )
        archive.destinations["DEST"] = daemon.port
        daemon.start()
        daemon.ask("jobs.run", name="nightly")
        wait_until(lambda: len(archive.sent) >= 10, "a part is done")
        done = {one["study"] for one in daemon.events("job.verified")}
        moves = len(archive.moves())
        if victim == "supervisor":
            daemon.kill()
            daemon.start()
        else:
            pid = next(one["pid"] for one in daemon.events("node.joined"))
            import os

            os.kill(pid, signal.SIGKILL)
        job = daemon.finished("nightly", 60)
        daemon.stop()
        assert job["run"]["state"] == "verified"
        asked = [str(one.identifier.StudyInstanceUID) for one in archive.moves()[moves:]]
        assert not done & set(asked), "a complete study was asked for again"
        assert {one.uid for one in instances} == {
            name.removeprefix("CT.") for name in daemon.stored()
        }
