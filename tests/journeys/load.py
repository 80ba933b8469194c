"""Senders that never rest: a process of its own, eight associations at once, told to stop by ^D.

Each sender opens an association, stores a few objects, releases, and begins again. Whatever does
not go as it should is counted with its text. The sums are printed as JSON at the end.
"""

import argparse
import json
import sys
import threading

from tests.journeys.running import Association

OBJECTS_AN_ASSOCIATION = 5


class Sender(threading.Thread):
    """One of them. Mutable: its counts and faults."""

    def __init__(self, port: int, first: int, stop: threading.Event) -> None:
        super().__init__(daemon=True)
        self._port = port
        self._first = first
        self._stop_it = stop
        self.objects = 0
        self.associations = 0
        self.faults: list[str] = []

    def run(self) -> None:
        """Send until told to stop."""
        number = self._first
        while not self._stop_it.is_set():
            try:
                association = Association(self._port)
                for _ in range(OBJECTS_AN_ASSOCIATION):
                    number += 1
                    status = association.store(self._first + number % 50, 5000)
                    if status:
                        self.faults.append(f"status {status:04X}")
                    self.objects += 1
                answer = association.release()
                if answer[:1] != b"\x06":
                    self.faults.append(f"release answered with {answer[:1]!r}")
                self.associations += 1
            except (OSError, AssertionError, ValueError) as error:
                self.faults.append(f"{type(error).__name__}: {error}")


def main() -> None:
    """Send until standard input ends."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--senders", type=int, default=8)
    options = parser.parse_args()
    stop = threading.Event()
    senders = [Sender(options.port, index * 100, stop) for index in range(options.senders)]
    for sender in senders:
        sender.start()
    sys.stdin.read()
    stop.set()
    for sender in senders:
        sender.join(30)
    sums = {
        "objects": sum(sender.objects for sender in senders),
        "associations": sum(sender.associations for sender in senders),
        "faults": [fault for sender in senders for fault in sender.faults],
    }
    sys.stdout.write(json.dumps(sums))


if __name__ == "__main__":
    main()
