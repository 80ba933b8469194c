"""Counters of many children, summed. Values in, values out.

A child's counters only grow while it lives. What those that have ended counted is kept, so that
the sums never fall. Keys with a dictionary (``statuses``) are summed key by key.
"""

from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any

Counters = dict[str, Any]

_WINDOW_S = 10.0


def add(total: Counters, more: Mapping[str, Any]) -> Counters:
    """Add to a total, in place; what isn't a number or a dictionary is left out."""
    for key, value in more.items():
        if isinstance(value, Mapping):
            inner = total.setdefault(key, {})
            if isinstance(inner, dict):
                add(inner, value)
        elif isinstance(value, (int, float)) and not isinstance(value, bool):
            total[key] = total.get(key, 0) + value
    return total


class Ledger:
    """What those that ended have counted, by listener or role name. Mutable."""

    def __init__(self) -> None:
        self._ended: dict[str, Counters] = {}

    def close_account(self, name: str, counters: Mapping[str, Any]) -> None:
        """A child is gone; its counters stay in the sums."""
        add(self._ended.setdefault(name, {}), counters)

    def total(self, name: str, living: Sequence[Mapping[str, Any]]) -> Counters:
        """The sum for a name, of the ended and the living."""
        total: Counters = {}
        add(total, self._ended.get(name, {}))
        for counters in living:
            add(total, counters)
        return total


class Rate:
    """Growth a second over the last ten seconds. Mutable: samples of (time, value)."""

    def __init__(self) -> None:
        self._samples: deque[tuple[float, float]] = deque()

    def sample(self, now: float, value: float) -> None:
        """Note a value; ``now`` is on the monotonic clock."""
        self._samples.append((now, value))
        while len(self._samples) > 2 and self._samples[0][0] < now - _WINDOW_S:
            self._samples.popleft()

    @property
    def per_second(self) -> float:
        """The rate; 0 before there are two samples."""
        if len(self._samples) < 2:
            return 0.0
        (first, low), (last, high) = self._samples[0], self._samples[-1]
        return max(0.0, (high - low) / (last - first)) if last > first else 0.0
