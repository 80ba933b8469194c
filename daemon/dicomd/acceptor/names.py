"""Names of peers, for the log only: looked up behind the receiving path, never waited for.

The answer of a reverse look-up belongs to whoever owns the address, so nothing is decided by it.
"""

import socket
from collections.abc import Callable
from typing import Protocol

_MOST_NAMES = 4096
_KEPT_S = 300.0


class Submits(Protocol):
    """Who runs a step on a thread, and another on the loop afterwards (``Helpers``)."""

    def submit(self, work: Callable[[], None], afterwards: Callable[[], None]) -> None:
        """Run the first there, then the second here."""


class PeerNames:
    """Host names by address. Mutable: what is known, until when, and what is being asked."""

    def __init__(
        self,
        helpers: Submits,
        *,
        clock: Callable[[], float],
        look_up: Callable[[str], str] | None = None,
    ) -> None:
        self._helpers = helpers
        self._clock = clock
        self._look_up = look_up or reverse_name
        self._known: dict[str, tuple[str, float]] = {}
        self._asked: set[str] = set()

    def name_of(self, host: str) -> str:
        """The name, or "" while it is not known; then a look-up is under way."""
        name, until = self._known.get(host, ("", 0.0))
        if self._clock() >= until and host not in self._asked:
            self._ask(host)
        return name

    def _ask(self, host: str) -> None:
        self._asked.add(host)
        found: list[str] = []

        def keep() -> None:
            self._asked.discard(host)
            if len(self._known) >= _MOST_NAMES:
                self._known.clear()
            self._known[host] = (found[0] if found else "", self._clock() + _KEPT_S)

        self._helpers.submit(lambda: found.append(self._look_up(host)), keep)


def reverse_name(host: str) -> str:
    """What the system's resolver says; "" without a name."""
    try:
        return socket.getnameinfo((host, 0), socket.NI_NAMEREQD)[0]
    except OSError:
        return ""
