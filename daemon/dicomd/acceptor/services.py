"""What all sessions of a worker share, and what they ask of those who made them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from dicomd.acceptor.access import Access
from dicomd.acceptor.counters import Counters
from dicomd.acceptor.negotiation import Negotiator, Refusal
from dicomd.acceptor.storage_scp import Recorder
from dicomd.storage.sink import Sink


class Admission(Protocol):
    """Who counts associations over all workers (``limits``)."""

    def enter(self, host: str) -> int | Refusal:
        """A slot for one association more, or why there is none."""

    def leave(self, slot: int) -> None:
        """The association in that slot has ended."""


@dataclass(slots=True, kw_only=True)
class Services:
    """What all sessions of a worker share."""

    sink: Sink
    negotiator: Negotiator
    access: Access
    admission: Admission
    admits_host: Callable[[str], bool] | None
    """hosts_access(5), when asked for."""
    counters: Counters
    submit: Callable[[Callable[[], None], Callable[[], None]], None]
    """Run the first on a helper thread, then the second on the event loop."""
    recorder: Recorder | None
    log: Any
    negotiation_log: Any
    max_pdu: int
    strict: bool
