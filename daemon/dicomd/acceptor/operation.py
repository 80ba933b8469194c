"""What every service looks like to a session: one message being received and answered.

A session has at most one operation at a time (DIMSE is synchronous here). ``write`` gets the data
set's spans, then ``commit`` runs once: on the event loop, or, when ``waits`` says so, on a helper
thread. ``conclude`` gives the answer, on the event loop again.
"""

from collections.abc import Sequence
from typing import Protocol


class Operation(Protocol):
    """A request whose data set is on its way."""

    command: str
    """How the log calls the request."""

    @property
    def status(self) -> int:
        """The DIMSE status of the answer, once there is one."""

    @property
    def waits(self) -> bool:
        """Whether ``commit`` may wait for a disk."""

    def write(self, spans: Sequence[memoryview]) -> None:
        """Take the next bytes of the data set, lent until this returns."""

    def commit(self) -> None:
        """Do what the request asks for. Never raises: a failure is kept for ``conclude``."""

    def conclude(self) -> bytes | None:
        """The response, encoded; b"" for none, None when the association must be aborted."""

    def discard(self) -> None:
        """The association broke: forget it."""


class Dropped:
    """A message that is not for us: its data set is read and dropped, then it is answered."""

    def __init__(self, command: str, status: int, response: bytes) -> None:
        self.command = command
        self.status = status
        self._response = response
        self.waits = False

    def write(self, spans: Sequence[memoryview]) -> None:
        """Drop them."""

    def commit(self) -> None:
        """Nothing to do."""

    def conclude(self) -> bytes:
        """What was decided when the command came."""
        return self._response

    def discard(self) -> None:
        """Nothing to forget."""
