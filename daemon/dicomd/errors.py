"""The error family. Each error knows what to tell the peer, or the operator.

Expected answers (a rejected association, a failed sub-operation) are values, not errors. Errors of
libraries are translated into these at the door they come in by.
"""

from collections.abc import Sequence
from dataclasses import dataclass


class DicomdError(Exception):
    """Root of the family. Its text never holds a value of a data set."""


@dataclass(frozen=True, slots=True, order=True)
class Fault:
    """One thing that is wrong in a file or on a command line.

    ``line`` and ``column`` count from 1; 0 means that the place is not known.
    """

    file: str
    line: int
    column: int
    text: str

    def __str__(self) -> str:
        place = ":".join(str(part) for part in (self.file, self.line, self.column) if part)
        return f"{place}: {self.text}" if place else self.text


class ConfigError(DicomdError):
    """Files or options do not make settings. Carries every fault that was found."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        self.faults = tuple(faults)
        super().__init__("\n".join(str(fault) for fault in self.faults))


class RemoteProtocolError(DicomdError):
    """The peer broke PS3.8 or PS3.7. The association's state is final when this is raised.

    ``source`` and ``reason`` are those of the A-ABORT (PS3.8 9.3.8): source 2 is the service
    provider, source 0 the service user.
    """

    def __init__(self, text: str, *, source: int = 2, reason: int = 0) -> None:
        self.source = source
        self.reason = reason
        super().__init__(text)


class LocalProtocolError(DicomdError):
    """Our own call was out of order: a bug of ours, not of the peer."""

    def __init__(self, text: str, *, state: str) -> None:
        self.state = state
        super().__init__(f"{text} (in state {state})")


class StorageError(DicomdError):
    """A delivery cannot be kept.

    ``status`` is the DIMSE status to answer with (PS3.4 B.2.3), ``comment`` the Error Comment: it
    names no path and no patient. With ``abort`` the association is aborted and no response is
    sent, as dcmrecv does for a data set that it cannot parse.
    """

    def __init__(self, text: str, *, status: int, comment: str = "", abort: bool = False) -> None:
        self.status = status
        self.comment = comment
        self.abort = abort
        super().__init__(text)


class MoveError(DicomdError):
    """A C-MOVE could not be run at all. ``retryable`` says whether trying again can help."""

    def __init__(self, text: str, *, retryable: bool) -> None:
        self.retryable = retryable
        super().__init__(text)


class StartError(DicomdError):
    """The service could not bind or start. The daemon's exit code is 71 (sysexits EX_OSERR)."""


class BindError(StartError):
    """A listening socket could not be opened. ``errno`` and ``reason`` are the system's; recv's
    exit code for it is 64, as dcmrecv's."""

    def __init__(self, place: str, error: OSError) -> None:
        self.place = place
        self.errno = error.errno or 0
        self.reason = error.strerror or str(error)
        super().__init__(f"cannot listen on {place}: {self.reason}")
