"""kill -9 of a whole daemon at random moments under load: ``python -m tests.soak_kill [ROUNDS]``.

Each round starts the daemon on the folders that the last one left, lets eight senders store objects
over it, and kills at a random moment: the supervisor, all of its processes at once, or a worker
first. Then every object that was answered with Success must lie there whole, and nothing else
under a final name may be anything but whole. The next start sweeps what was under way.
"""

import os
import random
import signal
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

from tests.bench.objects import data_set, instance_uid
from tests.journeys.running import Association, Daemon, descendants, is_alive, wait_until

SENDERS = 8
SIZES = (3000, 20_000, 150_000)
OBJECTS_A_SENDER = 10_000


def size_of(number: int) -> int:
    """The size that the object of a number has in all rounds."""
    return SIZES[number % len(SIZES)]


class Sender(threading.Thread):
    """Stores objects until the connection breaks. Mutable: what was acknowledged, what begun."""

    def __init__(self, port: int, first: int) -> None:
        super().__init__(daemon=True)
        self._port = port
        self._first = first
        self.begun: set[int] = set()
        self.acknowledged: set[int] = set()
        self.faults: list[str] = []

    def run(self) -> None:
        """Send."""
        association: Association | None = None
        try:
            association = Association(self._port)
            for number in range(self._first, self._first + OBJECTS_A_SENDER):
                self.begun.add(number)
                status = association.store(number, size_of(number))
                if status:
                    self.faults.append(f"object {number}: status {status:04X}")
                else:
                    self.acknowledged.add(number)
        except (OSError, AssertionError, ValueError):
            return  # The daemon was killed.
        finally:
            if association is not None:
                association.sock.close()


@dataclass
class Ledger:
    """What the rounds so far have seen. Mutable."""

    begun: set[int] = field(default_factory=set)
    acknowledged: set[int] = field(default_factory=set)

    def check(self, objects: Path) -> None:
        """AssertionError when an object is missing, cut, or was never sent."""
        found = {path.name: path for path in objects.iterdir() if path.name[0] != "."}
        known = {f"CT.{instance_uid(number)}": number for number in self.begun}
        for name, path in found.items():
            assert name in known, f"{name} was never sent"
            content = path.read_bytes()
            expected = data_set(known[name], size_of(known[name]))
            assert content[128:132] == b"DICM", f"{name} has no header"
            assert content.endswith(expected), f"{name} is cut: {len(content)} bytes"
        missing = [n for n in self.acknowledged if f"CT.{instance_uid(n)}" not in found]
        assert not missing, f"acknowledged, but not there: {missing[:10]}"


def play_round(daemon: Daemon, ledger: Ledger, number: int, chance: random.Random) -> str:
    """Start, load, kill, look. Returns what was killed."""
    daemon.start()
    left = sorted(daemon.objects.glob(".incoming/*.part"))
    assert not left, f"not swept at the start: {left}"
    port = daemon.port()
    senders = [
        Sender(port, (number * SENDERS + place) * OBJECTS_A_SENDER) for place in range(SENDERS)
    ]
    for sender in senders:
        sender.start()
    wait_until(lambda: any(sender.acknowledged for sender in senders), "the first object")
    moment = time.monotonic() + chance.random() * 0.5
    wait_until(lambda: time.monotonic() >= moment, "the moment")
    kind = chance.choice(("supervisor", "all", "worker first"))
    processes = descendants(daemon.pid)
    if kind == "worker first":
        os.kill(chance.choice(daemon.workers()), signal.SIGKILL)
    os.kill(daemon.pid, signal.SIGKILL)
    if kind == "all":
        for pid in processes:
            if is_alive(pid):
                os.kill(pid, signal.SIGKILL)
    daemon.wait()
    for sender in senders:
        sender.join(30)
        assert not sender.is_alive(), "a sender hangs on a daemon that is gone"
        assert not sender.faults, sender.faults[:3]
        ledger.begun |= sender.begun
        ledger.acknowledged |= sender.acknowledged
    wait_until(lambda: not any(map(is_alive, processes)), "the end of all processes")
    ledger.check(daemon.objects)
    return kind


def main() -> None:
    """As many rounds as the command line says."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 100
    chance = random.Random(time.time_ns())
    ledger = Ledger()
    with tempfile.TemporaryDirectory() as folder:
        daemon = Daemon(Path(folder))
        try:
            for number in range(rounds):
                kind = play_round(daemon, ledger, number, chance)
                sys.stdout.write(
                    f"round {number + 1}: killed {kind}, {len(ledger.acknowledged)} acknowledged\n"
                )
                sys.stdout.flush()
        finally:
            daemon.end()
    sys.stdout.write(f"{rounds} rounds, {len(ledger.acknowledged)} objects, none lost, none cut\n")


if __name__ == "__main__":
    main()
