"""What arrives, as it arrives: the receipts of the acceptors, read while they are written.

The index follows within a second; this is for the clocks of retrievals under way, which a single
object keeps alive, and for a verdict without waiting. It only reads: spools are the indexer's.
"""

import os
import threading
import time
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

import structlog

from dicomd.storage.index import Index, StoreIndexError
from dicomd.storage.receipts import Entry, read_spools

log = structlog.get_logger("dicomd.requestor")

_POLL_S = 0.2
_IDLE_POLL_S = 0.5
_INDEX_LAG_S = 5.0
_RECENT = 50_000
"""Arrivals remembered; a bound on memory."""


@dataclass(slots=True)
class Expectation:
    """Instances that a retrieval waits for. Mutable: what of it has come, and when the last did.

    An object of one of its studies keeps the clock alive even when nobody promised it.
    """

    instances: frozenset[str]
    studies: frozenset[str]
    arrived: dict[str, str] = field(default_factory=dict)
    """Instance -> path."""
    last: float = 0.0
    """Monotonic seconds; 0 for never."""
    others: int = 0
    """Objects of the studies that were not promised."""


class Arrivals:
    """Follows the spools in a thread of its own while somebody expects something."""

    def __init__(self, receipts_directory: str, index_path: str) -> None:
        self._directory = receipts_directory
        self._index_path = index_path
        self._expectations: list[Expectation] = []
        self._offsets: dict[str, int] = {}
        self._recent: dict[str, str] = {}
        self._credits: deque[tuple[float, tuple[str, ...], str, str]] = deque()
        self._lock = threading.Lock()
        self._reading = threading.Lock()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="arrivals", daemon=True)

    def start(self) -> None:
        """Begin to follow, from where the index has read to."""
        with self._open_index() as index:
            if index is not None:
                self._offsets = index.offsets()
        self._thread.start()

    def stop(self) -> None:
        """End the thread."""
        self._stop.set()

    def credit(self, instances: Iterable[str], job: str, run: str) -> None:
        """Have the manifest say which retrieval brought them, once the index has their rows."""
        self._credits.append((time.monotonic() + _INDEX_LAG_S, tuple(instances), job, run))

    def _settle_credits(self) -> None:
        while self._credits and self._credits[0][0] <= time.monotonic():
            _, instances, job, run = self._credits.popleft()
            if os.path.exists(self._index_path):
                with Index(self._index_path) as index:
                    index.set_job(instances, job, run)

    @contextmanager
    def expect(self, instances: Iterable[str], studies: Iterable[str]) -> Iterator[Expectation]:
        """Watch for these while the block runs."""
        expectation = Expectation(frozenset(instances), frozenset(studies))
        with self._lock:
            self._expectations.append(expectation)
        try:
            yield expectation
        finally:
            with self._lock:
                self._expectations.remove(expectation)

    def on_disk(self, instances: Iterable[str], arrived: Mapping[str, str]) -> set[str]:
        """Those of the instances that have a file, by what has just come and by the index."""
        self.read_now()
        found: set[str] = set()
        unknown: list[str] = []
        for uid in instances:
            path = arrived.get(uid) or self._recent.get(uid)
            if path is not None and os.path.isfile(path):
                found.add(uid)
            else:
                unknown.append(uid)
        if not unknown:
            return found
        with self._open_index() as index:
            if index is not None:
                for uid in index.present(unknown):
                    if any(os.path.isfile(entry.path) for entry in index.of_instance(uid)):
                        found.add(uid)
        return found

    def count(self, study: str) -> int:
        """Instances of a study that the index has and that have a file."""
        with self._open_index() as index:
            if index is None:
                return 0
            return len(
                {
                    entry.sop_instance_uid
                    for entry in index.manifest(study)
                    if os.path.isfile(entry.path)
                }
            )

    @contextmanager
    def _open_index(self) -> Iterator[Index | None]:
        try:
            index = Index(self._index_path, read_only=True)
        except StoreIndexError:  # nothing was ever received
            yield None
            return
        try:
            yield index
        finally:
            index.close()

    def _follow(self) -> None:
        while not self._stop.wait(_POLL_S if self._expectations else _IDLE_POLL_S):
            try:
                self.read_now()
                self._settle_credits()
            except Exception as exc:  # the one place of this thread that catches broadly
                log.exception("engine.failing", error=type(exc).__name__)
                self._stop.wait(1.0)

    def read_now(self) -> None:
        """Look at the spools at once, instead of when the thread does next."""
        with self._reading:
            self._read()

    def _read(self) -> None:
        for piece in read_spools(self._directory, self._offsets):
            self._offsets[piece.spool] = piece.end
            with self._lock:
                for entry in piece.entries:
                    self._note(entry)
        if len(self._offsets) > 1000:
            present = set(os.listdir(self._directory))
            self._offsets = {name: at for name, at in self._offsets.items() if name in present}

    def _note(self, entry: Entry) -> None:
        # The index follows a moment later; until then these are known here alone.
        self._recent.pop(entry.sop_instance_uid, None)
        self._recent[entry.sop_instance_uid] = entry.path
        if len(self._recent) > _RECENT:
            del self._recent[next(iter(self._recent))]
        for expectation in self._expectations:
            wanted = entry.sop_instance_uid in expectation.instances
            if wanted:
                expectation.arrived[entry.sop_instance_uid] = entry.path
            elif entry.study_instance_uid in expectation.studies:
                expectation.others += 1
            else:
                continue
            expectation.last = time.monotonic()
