"""The receiving benchmark: peers side by side, rounds interleaved, medians, stored bytes checked.

Prints a Markdown table. Absolute figures are this machine's; the ratios are what travels.
``--rounds`` and ``--scale`` make it longer. Objects go to memory (``--memory``), and where
durability is on to a disk (``--disk``), for both sides.
"""

import argparse
import contextlib
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from tests.bench.objects import data_set, write_files
from tests.bench.receivers import (
    DAEMON_JSON,
    DAEMON_SILENT,
    DCMRECV,
    DCMRECV_BEST,
    DCMRECV_DISK,
    DICOMD,
    DICOMD_BEST,
    DICOMD_DURABLE,
    Kind,
    Receiver,
    running,
)

SMALL, LARGE = 5_000, 525_000
_SAMPLES = 20


@dataclass(frozen=True, slots=True)
class Sender:
    """Who sends, and over how many associations."""

    name: str
    command: tuple[str, ...] = ()
    associations: int = 1


FAST = Sender("a sender that is no bottleneck")
FAST_8 = Sender("8 such senders at once", associations=8)
DCMSEND = Sender("dcmsend as packaged", ("/usr/bin/dcmsend", "+sd", "-nh"))
STORESCU = Sender("storescu as packaged", ("/usr/bin/storescu", "+sd"))


@dataclass(frozen=True, slots=True)
class Case:
    """One row: who sends what to whom. ``counts`` are objects a run for us and for the peer."""

    sender: Sender
    size: int
    ours: Kind
    peer: Kind
    counts: tuple[int, int]
    least: float
    """The ratio to reach."""


CASES = (
    Case(DCMSEND, SMALL, DICOMD, DCMRECV, (400, 12), 20),
    Case(DCMSEND, LARGE, DICOMD, DCMRECV, (200, 20), 20),
    Case(STORESCU, SMALL, DICOMD, DCMRECV, (400, 12), 20),
    Case(STORESCU, LARGE, DICOMD, DCMRECV, (200, 20), 20),
    Case(DCMSEND, SMALL, DICOMD_DURABLE, DCMRECV_DISK, (200, 12), 5),
    Case(STORESCU, LARGE, DICOMD_DURABLE, DCMRECV_DISK, (100, 20), 5),
    Case(FAST, LARGE, DICOMD_BEST, DCMRECV_BEST, (300, 300), 0.9),
    Case(FAST, SMALL, DICOMD_BEST, DCMRECV_BEST, (4000, 4000), 0.9),
    Case(FAST_8, SMALL, DICOMD_BEST, DCMRECV_BEST, (8000, 8000), 2.0),
    Case(FAST_8, LARGE, DICOMD_BEST, DCMRECV_BEST, (400, 400), 1.0),
    Case(FAST, SMALL, DAEMON_JSON, DAEMON_SILENT, (8000, 8000), 0.95),
    Case(FAST_8, SMALL, DAEMON_JSON, DAEMON_SILENT, (16000, 16000), 0.95),
)


@dataclass(frozen=True, slots=True)
class Run:
    """What one run showed."""

    objects_per_second: float
    cpu_us: float
    sender_share: float
    """The sender's own processor time as a part of the run: near 1 it is the bottleneck."""


def fast_run(receiver: Receiver, sender: Sender, count: int, size: int) -> Run:
    """A run of our own sender."""
    before = receiver.cpu_seconds()
    done = subprocess.run(
        [
            *(sys.executable, "-m", "tests.bench.senders"),
            *("--port", str(receiver.port)),
            *("--associations", str(sender.associations)),
            *("--count", str(count)),
            *("--size", str(size)),
        ],
        check=True,
        capture_output=True,
        timeout=300,
    )
    used = receiver.cpu_seconds() - before
    said = json.loads(done.stdout)
    check(receiver, count, size)
    receiver.empty()
    seconds = said["seconds"]
    return Run(count / seconds, used / count * 1e6, said["cpu"] / seconds)


def dcmtk_run(receiver: Receiver, sender: Sender, count: int, size: int, sources: Path) -> Run:
    """A run of DCMTK's sender, less what one object takes: start and association are the same for
    all receivers."""
    one = write_files(sources / f"{size}-1", 1, size)
    many = write_files(sources / f"{size}-{count}", count, size)
    environment = {key: value for key, value in os.environ.items() if key != "TCP_NODELAY"}
    took: list[float] = []
    used = 0.0
    for folder in (one, many):
        before = receiver.cpu_seconds()
        began = time.perf_counter()
        subprocess.run(
            [*sender.command, "127.0.0.1", str(receiver.port), str(folder)],
            check=True,
            capture_output=True,
            timeout=300,
            env=environment,
        )
        took.append(time.perf_counter() - began)
        used = receiver.cpu_seconds() - before
        if folder == many:
            check(receiver, count, size)
        receiver.empty()
    seconds = max(took[1] - took[0], took[1] / 5)  # A slow first start must not flatter anybody.
    return Run((count - 1) / seconds, used / count * 1e6, 0.0)


def check(receiver: Receiver, count: int, size: int) -> None:
    """All objects are there, and hold what was sent."""
    deadline = time.monotonic() + 10
    while len(files := receiver.files()) < count and time.monotonic() < deadline:
        time.sleep(0.01)
    assert len(files) == count, f"{receiver.kind.name}: {len(files)} of {count} objects"
    for place in range(0, count, max(1, count // _SAMPLES)):
        content = files[place].read_bytes()
        assert content.endswith(data_set(place, size)), f"{files[place]} is not what was sent"


def run_case(case: Case, rounds: int, scale: float, places: tuple[Path, Path]) -> str:
    """One row of the table."""
    memory, disk = places
    speeds: dict[str, list[Run]] = {"ours": [], "peer": []}
    with contextlib.ExitStack() as stack:
        sides = {}
        for side, kind in (("ours", case.ours), ("peer", case.peer)):
            place = disk if kind.disk else memory
            sides[side] = stack.enter_context(running(kind, place / side))
        for turn in range(rounds + 1):
            for side in ("ours", "peer") if turn % 2 else ("peer", "ours"):
                receiver = sides[side]
                count = max(2, int(case.counts[side == "peer"] * scale))
                if turn == 0:
                    count = max(2, count // 10)  # a warm-up, not counted
                count -= count % case.sender.associations
                count = max(count, case.sender.associations)
                if case.sender.command:
                    run = dcmtk_run(receiver, case.sender, count, case.size, memory / "sources")
                else:
                    run = fast_run(receiver, case.sender, count, case.size)
                if turn:
                    speeds[side].append(run)
    ratios = [
        ours.objects_per_second / peer.objects_per_second
        for ours, peer in zip(speeds["ours"], speeds["peer"], strict=True)
    ]
    ratio = statistics.median(ratios)

    def figures(side: str) -> str:
        speed = statistics.median(run.objects_per_second for run in speeds[side])
        cpu = statistics.median(run.cpu_us for run in speeds[side])
        return f"{speed:,.0f} | {cpu:,.0f}"

    share = statistics.median(run.sender_share for run in speeds["ours"])
    busy = f" (sender {share:.0%} busy)" if share else ""
    verdict = "" if ratio >= case.least else " (missed)"
    return (
        f"| {case.sender.name}{busy} | {case.size // 1000} KB | {case.ours.name} |"
        f" {figures('ours')} | {case.peer.name} | {figures('peer')} | **{ratio:,.2f}**"
        f" ({min(ratios):,.2f} to {max(ratios):,.2f}) | {case.least:g}{verdict} |"
    )


def machine() -> str:
    """What the figures are of."""
    model = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if line.startswith("model name")
        ),
        platform.machine(),
    )
    return (
        f"{os.cpu_count()} processors ({model}), Linux {platform.release()}, Python"
        f" {platform.python_version()}, load {os.getloadavg()[0]:.1f} at the start"
    )


def main() -> None:
    """Run the cases and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--scale", type=float, default=1.0, help="objects a run, as a factor")
    parser.add_argument("--memory", type=Path, default=Path("/dev/shm"))
    parser.add_argument("--disk", type=Path, default=Path("/var/tmp"))
    parser.add_argument("--only", default="", help="cases whose sender has this in its name")
    options = parser.parse_args()
    print(f"{machine()}; medians of {options.rounds} interleaved rounds.\n")
    print(
        "| sender | object | receiver | objects/s | CPU us/object | against | objects/s |"
        " CPU us/object | ratio | to reach |"
    )
    print("|---|---|---|---:|---:|---|---:|---:|---|---|")
    with (
        tempfile.TemporaryDirectory(dir=options.memory, prefix="dicomd-bench-") as memory,
        tempfile.TemporaryDirectory(dir=options.disk, prefix="dicomd-bench-") as disk,
    ):
        for case in CASES:
            if options.only in case.sender.name:
                row = run_case(case, options.rounds, options.scale, (Path(memory), Path(disk)))
                print(row, flush=True)


if __name__ == "__main__":
    main()
