"""Helper threads for what may wait: fsync, slow file systems, name look-ups.

The event loop submits work and what to do afterwards; a thread does the work, and the loop, woken
through a descriptor, does the rest. Threads are started as they are needed, up to a bound; work
beyond that waits its turn.
"""

import os
import threading
from collections import deque
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any

Step = Callable[[], None]


class Helpers:
    """A pool of threads. Mutable: the queue, what is done, how many threads wait for work."""

    def __init__(self, *, name: str, threads: int, log: Any) -> None:
        self._name = name
        self._most = threads
        self._log = log
        self._queue: SimpleQueue[tuple[Step, Step] | None] = SimpleQueue()
        self._done: deque[Step] = deque()
        self._threads: list[threading.Thread] = []
        self._wake = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self.unfinished = 0
        """Work that was submitted and is not finished on the loop yet."""

    def fileno(self) -> int:
        """Readable when something is done."""
        return self._wake

    def submit(self, work: Step, afterwards: Step) -> None:
        """Run ``work`` on a thread, then ``afterwards`` on the loop. On the loop."""
        self.unfinished += 1
        if self.unfinished > len(self._threads) < self._most:
            thread = threading.Thread(target=self._serve, name=self._name, daemon=True)
            self._threads.append(thread)
            thread.start()
        self._queue.put((work, afterwards))

    def finish(self) -> None:
        """Do what comes after the work that is done. On the loop, when readable."""
        try:
            os.eventfd_read(self._wake)
        except BlockingIOError:
            return
        while self._done:
            afterwards = self._done.popleft()
            self.unfinished -= 1
            afterwards()

    def close(self) -> None:
        """End the threads that are idle; one that waits for a disk ends with the process."""
        for _ in self._threads:
            self._queue.put(None)
        if not self.unfinished:
            for thread in self._threads:
                thread.join(1.0)
            os.close(self._wake)

    def _serve(self) -> None:
        while True:
            step = self._queue.get()
            if step is None:
                return
            work, afterwards = step
            try:
                work()
            except Exception as error:  # the one place of this thread that catches broadly
                self._log.error("worker.stumbled", error=type(error).__name__, exc_info=error)
            self._done.append(afterwards)
            os.eventfd_write(self._wake, 1)
