"""What a worker counts. Plain integers that only grow; the heartbeat carries them upwards."""

from collections import Counter
from typing import Any


class Counters:
    """Since the worker's birth. Written by the event loop only."""

    __slots__ = (
        "aborted",
        "accepted",
        "bytes",
        "connections",
        "duplicates",
        "echoes",
        "expired",
        "objects",
        "received_bytes",
        "refused",
        "rejected",
        "released",
        "statuses",
    )

    def __init__(self) -> None:
        self.connections = 0
        """TCP connections taken."""
        self.accepted = 0
        """Associations accepted."""
        self.rejected = 0
        self.released = 0
        self.aborted = 0
        """Associations that ended otherwise than by a release."""
        self.expired = 0
        """Connections that a clock has ended."""
        self.objects = 0
        """Objects answered with Success."""
        self.bytes = 0
        """Bytes of those objects' files."""
        self.duplicates = 0
        self.refused = 0
        """C-STOREs answered with a failure."""
        self.echoes = 0
        self.received_bytes = 0
        """Bytes read from sockets."""
        self.statuses: Counter[int] = Counter()
        """Answers by DIMSE status."""

    def report(self) -> dict[str, Any]:
        """As the heartbeat carries them."""
        return {
            "connections": self.connections,
            "associations": self.accepted,
            "rejected": self.rejected,
            "released": self.released,
            "aborted": self.aborted,
            "expired": self.expired,
            "objects": self.objects,
            "bytes": self.bytes,
            "duplicates": self.duplicates,
            "refused": self.refused,
            "echoes": self.echoes,
            "received_bytes": self.received_bytes,
            "statuses": {f"{status:04X}": count for status, count in self.statuses.items()},
        }
