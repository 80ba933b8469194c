"""200 reloads in 60 s under the load of 8 senders: ``python -m tests.soak_reload``.

Every reload changes something, so that each one replaces all workers. Nothing may fail, and
nothing may stay behind: no process, no descriptor, no memory.
"""

import argparse
import json
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.journeys.running import (
    REPOSITORY,
    Daemon,
    descendants,
    environment,
    running,
    wait_until,
)


@dataclass(frozen=True, slots=True)
class Footprint:
    """What a daemon holds."""

    processes: int
    descriptors: int
    rss_kib: int


def footprint(daemon: Daemon) -> Footprint:
    """What it holds now."""
    status = Path(f"/proc/{daemon.pid}/status").read_text()
    rss = next(line.split()[1] for line in status.splitlines() if line.startswith("RssAnon"))
    return Footprint(
        processes=len(descendants(daemon.pid)),
        descriptors=len(list(Path(f"/proc/{daemon.pid}/fd").iterdir())),
        rss_kib=int(rss),
    )


def reload_under_load(daemon: Daemon, *, reloads: int, seconds: float) -> dict[str, Any]:
    """Reload so many times within so many seconds while eight senders send; their sums."""
    load = subprocess.Popen(
        [sys.executable, "-m", "tests.journeys.load", "--port", str(daemon.port())],
        cwd=REPOSITORY,
        env={**environment(), "PYTHONPATH": f"{REPOSITORY}/daemon:{REPOSITORY}"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    try:
        wait_until(lambda: daemon.status()["throughput"]["objects"] > 20, "the load")
        began = time.monotonic()
        for number in range(reloads):
            listener = daemon.tree["listeners"]["one"]
            listener["max_pdu"] = 32768 if listener.get("max_pdu") == 16384 else 16384
            daemon.write()
            answer = daemon.ask("reload", timeout_s=30)
            assert answer["ok"], answer
            assert answer["result"]["listeners"]["replaced"] == ["one"], answer
            time.sleep(max(0.0, began + seconds * (number + 1) / reloads - time.monotonic()))
        took = time.monotonic() - began
        out, _ = load.communicate(b"", timeout=60)
    finally:
        load.kill()
        load.wait()
    sums: dict[str, Any] = json.loads(out)
    return {**sums, "seconds": round(took, 1)}


def main() -> int:
    """Run it; 1 when anything failed or stayed."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--reloads", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=60.0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, running(Path(folder)) as daemon:
        daemon.ask("reload")
        reload_under_load(daemon, reloads=5, seconds=1)
        expected = 5  # two workers, the clerk, the log writer, and the one being waited for
        wait_until(lambda: len(descendants(daemon.pid)) < expected, "the old workers' end")
        before = footprint(daemon)
        sums = reload_under_load(daemon, reloads=options.reloads, seconds=options.seconds)
        wait_until(lambda: len(descendants(daemon.pid)) <= before.processes, "the old workers' end")
        after = footprint(daemon)
        daemon.signal(signal.SIGTERM)
        code = daemon.wait()
    faults = sums.pop("faults")
    sys.stdout.write(f"{json.dumps(sums)}\nbefore {before}\nafter  {after}\n")
    for fault in sorted(set(faults)):
        sys.stdout.write(f"{faults.count(fault)} x {fault}\n")
    return int(bool(faults) or code != 0)


if __name__ == "__main__":
    sys.exit(main())
