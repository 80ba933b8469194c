"""The free-space floor, asked of the system a few times a second at most."""

import os
from collections.abc import Callable

from dicomd.storage.faults import StoreError

_ASK_EVERY_S = 0.25


class FreeSpace:
    """Whether a file system has room. Mutable: the last answer and until when it holds."""

    def __init__(self, floor_bytes: int, clock: Callable[[], float]) -> None:
        self._floor_bytes = floor_bytes
        self._clock = clock
        self._ask_at = float("-inf")
        self._room = True

    def check(self, descriptor: int) -> None:
        """StoreError when less than the floor is free where the folder lies. OSError."""
        now = self._clock()
        if now >= self._ask_at:
            status = os.fstatvfs(descriptor)
            self._room = status.f_bavail * status.f_frsize >= self._floor_bytes
            self._ask_at = now + _ASK_EVERY_S
        if not self._room:
            raise StoreError("floor", "Less free space than the store's floor")

    def forget(self) -> None:
        """Ask anew next time: something failed that may have to do with space."""
        self._ask_at = float("-inf")
