"""Long checks of retrievals, by hand: ``python -m tests.soak_retrieval [night | kills]``.

night: 300 studies, 3,000 instances, a tenth of them dropped, refused or never sent. kills: the
daemon or its requestor killed at random moments, twenty rounds. Both print what they found and end
with 1 when anything was lost, moved twice or called done wrongly.
"""

import os
import random
import signal
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

from tests.requestor.archive import Archive, Manners, make_instances
from tests.requestor.daemon import Daemon, remote, retrieval, wait_until


def say(text: str) -> None:
    """A line on standard output."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def more_joined(daemon: Daemon, seen: int) -> bool:
    """The engine was launched once more."""
    return len(daemon.events("node.joined")) > seen


def more_moves(archive: Archive, seen: int) -> bool:
    """The archive was asked again."""
    return len(archive.moves()) > seen


def night() -> bool:
    """Every obtainable instance verified, every other one named."""
    instances = make_instances(300, 2, 5)
    uids = [one.uid for one in instances]
    chance = random.Random(1)
    tenth = chance.sample(uids, 300)
    studies = sorted({one.study for one in instances})
    manners = Manners(
        never_sends=set(tenth[:100]),
        drops_once=set(tenth[100:]),
        refuses={study: [0xA702] for study in chance.sample(studies, 30)},
    )
    never = set(manners.never_sends)
    with Archive(instances, manners=manners) as archive, tempfile.TemporaryDirectory() as folder:
        daemon = Daemon(
            Path(folder),
            remotes={"PACS": remote(archive.port, max_retrievals=2)},
            retrievals={"night": retrieval(settle="1s")},
        )
        archive.destinations["DEST"] = daemon.port
        with daemon:
            began = time.monotonic()
            daemon.ask("jobs.run", name="night")
            job = daemon.finished("night", 1800)
            seconds = time.monotonic() - began
            stored = {name.removeprefix("CT.") for name in daemon.stored()}
        hurt = {one.study for one in instances if one.uid in never}
        fine = (
            stored == set(uids) - never
            and set(job["missing"]) == never
            and job["run"]["incomplete"] == len(hurt)
            and job["run"]["verified"] == 300 - len(hurt)
        )
        say(
            f"night: {len(stored)} of 3000 stored, {len(job['missing'])} named, "
            f"{seconds:.0f} s, {len(archive.moves())} C-MOVEs: {'good' if fine else 'WRONG'}"
        )
        return fine


def kills(rounds: int = 20) -> bool:
    """No complete study moved again, nothing lost, resumed soon."""
    instances = make_instances(rounds * 6, 1, 4)
    slowest = 0.0
    with (
        Archive(instances, manners=Manners(object_delay_s=0.05)) as archive,
        tempfile.TemporaryDirectory() as folder,
    ):
        daemon = Daemon(
            Path(folder),
            remotes={"PACS": remote(archive.port, max_retrievals=2)},
            retrievals={"night": retrieval()},
        )
        archive.destinations["DEST"] = daemon.port
        daemon.start()
        daemon.ask("jobs.run", name="night")
        again: set[str] = set()
        for number in range(rounds):
            time.sleep(random.uniform(0.5, 2.0))
            done = {one["study"] for one in daemon.events("job.verified")}
            moves = len(archive.moves())
            joined = len(daemon.events("node.joined"))
            if number % 2:
                os.kill(daemon.events("node.joined")[-1]["pid"], signal.SIGKILL)
                began = time.monotonic()
                wait_until(partial(more_joined, daemon, joined), "it is back")
            else:
                daemon.kill()
                began = time.monotonic()
                daemon.start()
            if len(archive.moves()) < len(instances) // 4:
                wait_until(partial(more_moves, archive, moves), "the run goes on")
            slowest = max(slowest, time.monotonic() - began)
            again |= done & {
                str(one.identifier.StudyInstanceUID) for one in archive.moves()[moves:]
            }
        job = daemon.finished("night", 600)
        daemon.stop()
        stored = {name.removeprefix("CT.") for name in daemon.stored()}
    fine = job["run"]["state"] == "verified" and stored == {one.uid for one in instances}
    say(
        f"kills: {rounds} rounds, slowest resumption {slowest:.1f} s, "
        f"{len(again)} complete studies moved again, {len(stored)} of {len(instances)} stored: "
        f"{'good' if fine and not again else 'WRONG'}"
    )
    return fine and not again


if __name__ == "__main__":
    wanted = sys.argv[1:] or ["night", "kills"]
    results = [{"night": night, "kills": kills}[name]() for name in wanted]
    sys.exit(0 if all(results) else 1)
