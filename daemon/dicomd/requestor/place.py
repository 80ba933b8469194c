"""A remote on this daemon: its limit, its pause, and who waits for a place there."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from dicomd.requestor.remote import Remote
from dicomd.requestor.study_pass import Interrupted

_TURN_S = 0.5


@dataclass(slots=True)
class Place:
    """A remote with its limit on this daemon. Mutable: who uses it, when the last ended."""

    remote: Remote
    slots: threading.Semaphore
    ahead: threading.Semaphore
    """Who may ask already what the next study holds, while others are transferred."""
    running: int = 0
    pause_until: float = 0.0
    """Unix seconds."""
    lock: threading.Lock = field(default_factory=threading.Lock)
    closed: threading.Event = field(default_factory=threading.Event)
    """Nothing new is begun any more; what runs may end."""


def acquire(semaphore: threading.Semaphore, stop: Callable[[], str]) -> None:
    """Wait for a place; Interrupted as soon as ``stop`` gives a reason."""
    while not semaphore.acquire(timeout=_TURN_S):
        if reason := stop():
            raise Interrupted(reason)
