"""SHA-256 of files, on a thread of low priority."""

import contextlib
import os
import queue
import threading

from dicomd.storage.verification import checksum

_WAITING = 256
_NICE = 10


class Checksums:
    """Files go in, sums come out. Mutable: what is under way. One thread asks, one computes."""

    def __init__(self) -> None:
        self._work: queue.SimpleQueue[tuple[str, float] | None] = queue.SimpleQueue()
        self._done: queue.SimpleQueue[tuple[str, float, str]] = queue.SimpleQueue()
        self._under_way: set[tuple[str, float]] = set()
        self._closing = False
        self._thread = threading.Thread(target=self._compute, name="checksums", daemon=True)
        self._thread.start()

    def room(self) -> int:
        """How many more may be asked for."""
        return max(0, _WAITING - len(self._under_way))

    def ask(self, path: str, received_at: float) -> None:
        """Have a file summed; asked twice it is summed once."""
        key = (path, received_at)
        if key not in self._under_way:
            self._under_way.add(key)
            self._work.put(key)

    def finished(self) -> list[tuple[str, float, str]]:
        """(path, received_at, sum) of what was finished since; files that cannot be read are
        left out."""
        sums = []
        with contextlib.suppress(queue.Empty):
            while True:
                path, received_at, digest = self._done.get_nowait()
                self._under_way.discard((path, received_at))
                if digest:
                    sums.append((path, received_at, digest))
        return sums

    def close(self) -> None:
        """Stop after the file that is being read; the rest is summed after the next start."""
        self._closing = True
        self._work.put(None)

    def _compute(self) -> None:
        # Linux sets it for this thread alone. Not lower: a thread that holds the interpreter's lock
        # and is never scheduled would hold up the indexing.
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICE)
        while (item := self._work.get()) is not None and not self._closing:
            path, received_at = item
            try:
                digest = checksum(path)
            except OSError:
                digest = ""
            self._done.put((path, received_at, digest))
