"""How many associations there may be, counted over all workers of a listener by the scoreboard."""

from hashlib import blake2b

from dicomd.acceptor.negotiation import Refusal
from dicomd.lifeline import Scoreboard
from dicomd.settings.listener import LimitSettings

LIMIT_EXCEEDED = (2, 3, 2)  # PS3.8 9.3.4: transient, service provider (presentation)
TEMPORARY_CONGESTION = (2, 3, 1)


class AssociationLimits:
    """The slots of one worker. Mutable: ``stopping``, after which there are none."""

    def __init__(self, scoreboard: Scoreboard, row: int, limits: LimitSettings) -> None:
        self._scoreboard = scoreboard
        self._row = row
        self._limits = limits
        self.stopping = False

    def enter(self, host: str) -> int | Refusal:
        """A slot for one association more, or why there is none.

        The slot is taken before it is counted: two workers that take the last one at the same
        moment may both give it back, but the limit is never passed over.
        """
        if self.stopping:
            return Refusal(*TEMPORARY_CONGESTION, "stopping")
        key = host_key(host)
        slot = self._scoreboard.add(self._row, key)
        if slot < 0:
            return Refusal(*LIMIT_EXCEEDED, "association limit")
        if self._scoreboard.associations() > self._limits.associations:
            self._scoreboard.remove(slot)
            return Refusal(*LIMIT_EXCEEDED, "association limit")
        if self._scoreboard.associations_of(key) > self._limits.associations_per_host:
            self._scoreboard.remove(slot)
            return Refusal(*LIMIT_EXCEEDED, "association limit of the host")
        return slot

    def leave(self, slot: int) -> None:
        """The association in that slot has ended."""
        self._scoreboard.remove(slot)


def host_key(host: str) -> int:
    """A number for a host that all workers agree on; never 0, which marks a free slot."""
    return int.from_bytes(blake2b(host.encode(), digest_size=8).digest()) or 1
