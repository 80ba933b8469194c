"""Progress of one retrieval on a terminal: movescu's dots, or a bar.

Both are fed with what the archive says (responses) and with what arrives (the activity page).
"""

import time
from typing import TextIO

from dicomd.requestor.messages import Response

_WIDTH = 30
_REDRAW_S = 0.2


class Progress:
    """Shows nothing; the form for scripts. ``response`` and ``arrived`` feed it."""

    def response(self, response: Response) -> None:
        """The archive has said something."""

    def arrived(self, reads: int, objects: int) -> None:
        """Sums of what has come so far."""

    def finish(self) -> None:
        """The last request has ended."""


class Dots(Progress):
    """``RECV: .....``: a dot for each read of an object's data, a line for each object."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._reads = 0
        self._objects = 0
        self._in_line = False

    def arrived(self, reads: int, objects: int) -> None:
        """Print what is new."""
        if reads == self._reads and objects == self._objects:
            return
        new_objects = objects - self._objects
        dots = reads - self._reads
        for _ in range(max(new_objects, 1)):
            if not self._in_line:
                self._out.write("RECV: ")
                self._in_line = True
            share = dots if new_objects <= 1 else -(-dots // new_objects)
            self._out.write("." * min(share, dots))
            dots -= min(share, dots)
            if new_objects:
                self._out.write("\n")
                self._in_line = False
        self._out.flush()
        self._reads, self._objects = reads, objects

    def finish(self) -> None:
        """End an open line."""
        if self._in_line:
            self._out.write("\n")
            self._out.flush()
            self._in_line = False


class Bar(Progress):
    """One line that is drawn over: how many objects of how many, how many failed, how fast."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._started = self._drawn = time.monotonic()
        self._objects = 0
        self._done = self._total = self._failed = 0

    def response(self, response: Response) -> None:
        """Counts of a response make the length of the bar."""
        done = (response.completed or 0) + (response.warning or 0)
        self._failed = response.failed or 0
        self._done = max(self._done, done)
        self._total = max(self._total, done + self._failed + (response.remaining or 0))
        self._draw()

    def arrived(self, reads: int, objects: int) -> None:
        """Objects fill it."""
        del reads
        if objects != self._objects:
            self._objects = objects
            self._draw()

    def finish(self) -> None:
        """Leave the last state on its line."""
        self._draw(final=True)
        self._out.write("\n")
        self._out.flush()

    def _draw(self, *, final: bool = False) -> None:
        now = time.monotonic()
        if not final and now - self._drawn < _REDRAW_S:
            return
        self._drawn = now
        have = max(self._done, self._objects)
        self._out.write("\r" + bar_line(have, self._total, self._failed, now - self._started))
        self._out.flush()


def bar_line(have: int, total: int, failed: int, seconds: float) -> str:
    """The text of a bar, as wide as ever so that it covers what stood there."""
    share = min(1.0, have / total) if total else 0.0
    filled = round(share * _WIDTH)
    rate = have / seconds if seconds > 0 else 0.0
    line = f"[{'#' * filled}{'.' * (_WIDTH - filled)}] {have}/{total or '?'} objects {rate:.1f}/s"
    if failed:
        line += f" {failed} failed"
    return f"{line:<78}"
