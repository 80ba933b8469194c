"""The engine's overhead: a scheduled retrieval against a bare loop of C-MOVEs, studies the same.

Run by hand: ``python -m tests.bench.retrieval``. The archive is DCMTK's dcmqrscp, the listener and
its durability are the same for both sides, one C-MOVE runs at a time, rounds are interleaved. The
bare loop is our own C-MOVE on one association: it asks nothing, verifies nothing, remembers
nothing. A second table holds one C-MOVE of ``dicomd move`` against that of movescu.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from dicomd.query.identifier import encode
from dicomd.requestor.find_scu import STUDY_UID, retrieve_identifier
from dicomd.requestor.move_scu import MOVE_CLASSES, MoveRequest, Watch, move
from dicomd.requestor.remote import MOVE_CONTEXT_ID, Remote
from dicomd.settings.remote import RemoteSettings
from tests.requestor.archive import Instance, make_instances
from tests.requestor.daemon import Daemon, free_port, remote, retrieval
from tests.requestor.real_archives import ENVIRONMENT, dcmqrscp


@dataclass(frozen=True, slots=True)
class Case:
    """Studies of one size. ``durability`` is that of the store, for both sides."""

    studies: int
    objects: int
    size: int
    durability: str

    @property
    def name(self) -> str:
        return f"{self.studies} studies of {self.objects} objects of {self.size / 1000:g} KB"


CASES = (
    Case(100, 10, 200, "none"),
    Case(80, 20, 525_000, "none"),
    Case(40, 20, 525_000, "object"),
    Case(6, 250, 525_000, "object"),
)


def bare_loop(archive: int, studies: list[str]) -> float:
    """Seconds of one C-MOVE after another on one association."""
    settings = RemoteSettings(host="127.0.0.1", port=archive, ae_title="ARCHIVE")
    place = Remote("PACS", settings)
    began = time.perf_counter()
    with place.line("study") as line:
        syntax = line.association.accepted[MOVE_CONTEXT_ID]
        for study in studies:
            request = MoveRequest(
                context_id=MOVE_CONTEXT_ID,
                sop_class_uid=MOVE_CLASSES["study"],
                message_id=line.take_message_id(),
                destination="DEST",
                identifier=encode(retrieve_identifier("STUDY", {STUDY_UID: study}), syntax),
            )
            outcome = move(line.association, request, Watch())
            assert outcome.is_success, outcome
    seconds = time.perf_counter() - began
    place.hang_up(idle_s=0)
    return seconds


def scheduled(daemon: Daemon, studies: list[str]) -> float:
    """Seconds of a run, by its own record, from job.started to job.ended."""
    log = daemon.folder / "log.json"
    at = log.stat().st_size
    daemon.ask("jobs.run", name="bench")

    def ended() -> dict[str, float] | None:
        with log.open("rb") as file:
            file.seek(at)
            for line in file:
                if b'"job.ended"' in line and line.endswith(b"\n"):
                    event: dict[str, float] = json.loads(line)
                    return event
        return None

    while (event := ended()) is None:
        time.sleep(0.25)  # seldom: whoever asks takes a part of the machine
    assert event["verified"] == len(studies), event
    return float(event["seconds"])


def empty(daemon: Daemon) -> None:
    """Delete what has arrived, so that it is wanted again."""
    for name in daemon.stored():
        (daemon.objects / name).unlink()


@contextmanager
def place_of(case: Case, memory: Path, disk: Path) -> Iterator[tuple[int, Daemon, list[Instance]]]:
    """An archive that holds the case's studies, in memory, and a daemon that is to have them: its
    state on the disk, and its objects there where they are durable."""
    instances = make_instances(case.studies, 1, case.objects, size=case.size)
    port = free_port()
    with dcmqrscp(memory / "archive", instances, {"DEST": port}) as archive:
        daemon = Daemon(
            disk / "daemon",
            remotes={"PACS": remote(archive)},
            retrievals={"bench": retrieval(find={"level": "STUDY", "keys": {"PatientID": "P1"}})},
            port=port,
        )
        store = daemon.settings["stores"]["archive"]
        store["durability"] = case.durability
        if case.durability == "none":
            daemon.objects = memory / "objects"
            daemon.objects.mkdir()
            store["directory"] = str(daemon.objects)
        daemon.write()
        with daemon:
            yield archive, daemon, instances


def run_case(case: Case, rounds: int, memory: Path, disk: Path) -> str:
    """One row."""
    bare: list[float] = []
    ours: list[float] = []
    with place_of(case, memory, disk) as (archive, daemon, instances):
        studies = list(dict.fromkeys(one.study for one in instances))
        for turn in range(rounds + 1):
            for side in ("bare", "ours") if turn % 2 else ("ours", "bare"):
                if side == "bare":
                    seconds = bare_loop(archive, studies)
                else:
                    seconds = scheduled(daemon, studies)
                assert len(daemon.stored()) == len(instances)
                empty(daemon)
                if turn:  # the first round warms up
                    (bare if side == "bare" else ours).append(seconds)
    ratios = [a / b for a, b in zip(ours, bare, strict=True)]
    return (
        f"| {case.name} | {case.durability} | {statistics.median(bare):.2f} |"
        f" {statistics.median(ours):.2f} | **{statistics.median(ratios) - 1:+.0%}**"
        f" ({min(ratios) - 1:+.0%} to {max(ratios) - 1:+.0%}) |"
    )


def one_move(rounds: int, folder: Path) -> str:
    """Megabytes a second of one C-MOVE of a study of 200 objects, by program."""
    instances = make_instances(1, 1, 200, size=525_000)
    port = free_port()
    speeds: dict[str, list[float]] = {"ours": [], "movescu": []}
    programs = {
        "ours": (sys.executable, "-m", "dicomd", "move"),
        "movescu": ("/usr/bin/movescu",),
    }
    environment = {**ENVIRONMENT, "PYTHONPATH": str(Path("daemon").resolve())}
    with dcmqrscp(folder / "archive", instances, {"ONCE": port}) as archive:
        for turn in range(rounds + 1):
            for side in ("ours", "movescu") if turn % 2 else ("movescu", "ours"):
                output = folder / f"{side}-{turn}"
                output.mkdir()
                began = time.perf_counter()
                subprocess.run(
                    [
                        *programs[side],
                        *("-S", "-aec", "ARCHIVE", "-aem", "ONCE", "+P", str(port)),
                        *("-od", str(output), "-pdu", "131072", "-k", "0008,0052=STUDY"),
                        *("-k", f"0020,000d={instances[0].study}", "127.0.0.1", str(archive)),
                    ],
                    check=True,
                    capture_output=True,
                    timeout=300,
                    env=environment,
                )
                seconds = time.perf_counter() - began
                files = list(output.iterdir())
                assert len(files) == len(instances)
                amount = sum(path.stat().st_size for path in files)
                for path in files:
                    path.unlink()
                if turn:
                    speeds[side].append(amount / seconds / 1e6)
    ratios = [a / b for a, b in zip(speeds["ours"], speeds["movescu"], strict=True)]
    return (
        f"| one C-MOVE of 200 objects of 525 KB | {statistics.median(speeds['ours']):.0f} |"
        f" {statistics.median(speeds['movescu']):.0f} | **{statistics.median(ratios):.2f}**"
        f" ({min(ratios):.2f} to {max(ratios):.2f}) |"
    )


def main() -> None:
    """Run the cases and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--memory", type=Path, default=Path("/dev/shm"))
    parser.add_argument("--disk", type=Path, default=Path("/var/tmp"))
    parser.add_argument("--only", default="", help="cases with this in their name")
    options = parser.parse_args()
    print(f"load {os.getloadavg()[0]:.1f} at the start; medians of {options.rounds} rounds\n")
    print("| studies | durability | bare loop, s | scheduled, s | overhead |")
    print("|---|---|---:|---:|---:|")
    for case in CASES:
        if options.only in case.name:
            with (
                tempfile.TemporaryDirectory(dir=options.memory, prefix="dicomd-bench-") as memory,
                tempfile.TemporaryDirectory(dir=options.disk, prefix="dicomd-bench-") as disk,
            ):
                print(run_case(case, options.rounds, Path(memory), Path(disk)), flush=True)
    if options.only in "one C-MOVE":
        print("\n| retrieval | dicomd move, MB/s | movescu, MB/s | ratio |\n|---|---:|---:|---:|")
        with tempfile.TemporaryDirectory(dir=options.memory, prefix="dicomd-bench-") as memory:
            print(one_move(options.rounds, Path(memory)))


if __name__ == "__main__":
    main()
