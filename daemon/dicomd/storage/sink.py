"""The Sink and Delivery protocols, and Receipt: what every place that keeps objects looks like.

A sink is opened once in a worker. Each C-STORE gets a delivery: ``write`` is called with the lent
spans of each read, then ``commit`` once, or ``discard``. ``write`` and ``discard`` run on the event
loop and never wait; ``commit`` may wait (fsync) and, when the sink says ``blocking``, runs on a
helper thread. All raise StorageError and leave nothing behind when they do.

What is made for each object is a named tuple: a frozen dataclass takes six times as long to make.
"""

from collections.abc import Sequence
from typing import NamedTuple, Protocol


class Instance(NamedTuple):
    """The SOP instance that a C-STORE announces, and who sends it."""

    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax_uid: str
    calling_ae_title: str
    called_ae_title: str
    peer: str
    association: str


class Receipt(NamedTuple):
    """One object that is kept. ``path`` is its final name, absolute, or empty if discarded.

    ``bytes`` is the size of the file. Study and series UID are "" where the sink did not look.
    ``outcome``: stored, overwritten (a file of that name was replaced), kept (an earlier object
    with identical content stays, see ``duplicates``) or discarded.
    """

    instance: Instance
    path: str
    bytes: int
    study_instance_uid: str = ""
    series_instance_uid: str = ""
    outcome: str = "stored"
    warnings: tuple[str, ...] = ()
    """What was odd but kept, in words without data set values."""


class Delivery(Protocol):
    """One object on its way."""

    @property
    def blocking(self) -> bool:
        """Whether this ``commit`` may wait for a disk or work for long, so that it belongs on a
        helper thread; asked after the last ``write``."""

    def write(self, spans: Sequence[memoryview]) -> None:
        """Keep the next bytes of the data set. After a StorageError only ``discard`` follows."""

    def commit(self) -> Receipt:
        """Check, name and keep the object; when this returns, the promise of the sink's
        durability holds. May run on another thread than ``write``."""

    def discard(self) -> None:
        """Forget it: the association broke, or a write failed. Safe to call twice."""


class Sink(Protocol):
    """Where the objects of one listener go."""

    @property
    def blocking(self) -> bool:
        """Whether every ``commit`` can wait for a disk, so that it belongs on a helper thread.
        False: ask the delivery, most commits take microseconds and are best done in place."""

    def begin(self, instance: Instance) -> Delivery:
        """Start a delivery. StorageError when there is no room or no folder."""

    def close(self) -> None:
        """Let go of folders and locks; deliveries under way are discarded first."""
