"""The acceptor's process: one listener, one epoll loop, helper threads for what blocks."""

import socket
from collections.abc import Sequence
from dataclasses import dataclass

from dicomd.lifeline import Lifeline, Scoreboard
from dicomd.settings.listener import ListenerSettings
from dicomd.settings.storage import StoreSettings


@dataclass(kw_only=True)
class AcceptorBirth:
    """What a worker is born with, handed over at the fork.

    ``sockets`` are listening and non-blocking, and shared with the siblings. ``row`` is the
    worker's own row of the ``scoreboard``. ``receipts_directory`` is empty when nothing is kept
    of what was received.
    """

    name: str
    listener: ListenerSettings
    store: StoreSettings
    sockets: Sequence[socket.socket]
    lifeline: Lifeline
    scoreboard: Scoreboard
    row: int
    receipts_directory: str
    generation: int


def run(birth: AcceptorBirth) -> int:
    """Serve until the lifeline says otherwise; in the forked child. Returns the exit code."""
    birth.lifeline.send({"report": "failed", "text": "the acceptor is not built yet"})
    return 1
