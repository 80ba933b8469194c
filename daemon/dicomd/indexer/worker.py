"""The clerk's process: receipts into the index, checksums behind them.

It never stands in the way of a Success: it reads what the acceptors have spooled, a few times a
second, and computes checksums on a thread of low priority.
``flush`` among the questions reads everything that is spooled at that moment, then answers.
"""

import os
import select
import sqlite3
import time
from dataclasses import dataclass
from typing import Any

import structlog

from dicomd.errors import DicomdError
from dicomd.indexer.checksums import Checksums
from dicomd.lifeline import HEARTBEAT_S, Lifeline, Message
from dicomd.settings.daemon import DaemonSettings
from dicomd.storage.index import INDEX_NAME, Index
from dicomd.storage.receipts import read_spools, spool_bytes

POLL_S = 0.2
_TROUBLE_PAUSE_S = 5.0

_log = structlog.get_logger("dicomd.indexer")


@dataclass(kw_only=True)
class IndexerBirth:
    """What the clerk is born with, handed over at the fork."""

    settings: DaemonSettings
    lifeline: Lifeline


def run(birth: IndexerBirth) -> int:
    """Keep the index until the lifeline says otherwise; in the forked child. Returns the exit
    code."""
    lifeline = birth.lifeline
    state = birth.settings.state_directory
    try:
        os.makedirs(os.path.join(state, "receipts"), mode=0o750, exist_ok=True)
        index = Index(os.path.join(state, INDEX_NAME))
    except (OSError, DicomdError) as exc:
        text = exc.strerror if isinstance(exc, OSError) else str(exc)
        lifeline.send({"report": "failed", "text": f"the index in {state}: {text}"})
        return 1
    with index:
        clerk = Clerk(index, os.path.join(state, "receipts"), birth.settings, lifeline)
        lifeline.send({"report": "ready"})
        return clerk.serve()


class Clerk:
    """Mutable: counters, what was read of each spool."""

    def __init__(
        self, index: Index, receipts: str, settings: DaemonSettings, lifeline: Lifeline
    ) -> None:
        self._index = index
        self._receipts = receipts
        self._lifeline = lifeline
        self._offsets = index.offsets()
        self._checksums = Checksums() if settings.index.checksums else None
        self._counters = {"indexed": 0, "checksummed": 0, "broken": 0}
        self._draining = False
        self._stopping = False
        self._troubled = False
        self._read_at = 0.0
        self._checksums_after = ""

    def serve(self) -> int:
        """The loop."""
        beat_at = 0.0
        try:
            while not self._lifeline.closed and not self._stopping:
                now = time.monotonic()
                if now >= self._read_at:
                    self._try_to_work(now)
                if self._draining:
                    break
                if now >= beat_at:
                    self._lifeline.send({"report": "alive", "counters": self._snapshot()})
                    beat_at = now + HEARTBEAT_S
                wait = max(0.0, min(beat_at, self._read_at) - time.monotonic())
                writers = [self._lifeline] if self._lifeline.wants_write else []
                readable, writable, _ = select.select([self._lifeline], writers, [], wait)
                if writable:
                    self._lifeline.flush()
                if readable:
                    for message in self._lifeline.receive():
                        self._obey(message)
        finally:
            if self._checksums is not None:
                self._checksums.close()
        return 0

    def _obey(self, message: Message) -> None:
        match message.get("order"):
            case "drain":
                self._try_to_work(time.monotonic())
                self._draining = True
            case "stop":
                self._try_to_work(time.monotonic())
                self._stopping = True
            case "ask":
                answer: dict[str, Any] = {"report": "answer", "id": message.get("id")}
                match message.get("what"):
                    case "snapshot":
                        answer["result"] = self._snapshot()
                    case "flush":
                        self._try_to_work(time.monotonic())
                        if self._troubled:
                            answer["error"] = "the index cannot be written"
                        else:
                            answer["result"] = self._snapshot()
                    case what:
                        answer["error"] = f"the indexer knows nothing of {what!r}"
                self._lifeline.send(answer)
            case _:
                pass

    def _snapshot(self) -> dict[str, int]:
        counters = dict(self._counters)
        counters["backlog"] = spool_bytes(self._receipts, self._offsets)
        return counters

    def _try_to_work(self, now: float) -> None:
        """Read and note; a full disk or a locked index only makes it later."""
        self._read_at = now + POLL_S
        try:
            self._read()
            self._sum_up()
        except (sqlite3.Error, OSError, DicomdError) as exc:
            self._read_at = now + _TROUBLE_PAUSE_S
            if not self._troubled:
                self._troubled = True
                _log.error("index.failing", error=type(exc).__name__)
            return
        if self._troubled:
            self._troubled = False
            _log.info("index.recovered")

    def _read(self) -> None:
        for piece in read_spools(self._receipts, self._offsets):
            self._index.add(piece.entries, spool=piece.spool, offset=piece.end)
            self._offsets[piece.spool] = piece.end
            self._counters["indexed"] += len(piece.entries)
            if piece.broken:
                self._counters["broken"] += piece.broken
                _log.warning("receipt.broken", path=piece.spool, lines=piece.broken)
            if piece.finished:
                os.unlink(os.path.join(self._receipts, piece.spool))
                self._index.forget_spool(piece.spool)
                del self._offsets[piece.spool]

    def _sum_up(self) -> None:
        """Take finished checksums in, hand new work out."""
        if self._checksums is None:
            return
        sums = self._checksums.finished()
        if sums:
            self._index.set_checksums(sums)
            self._counters["checksummed"] += len(sums)
        room = self._checksums.room()
        if room:
            work = self._index.without_checksum(room, after=self._checksums_after)
            # Round and round by path: what cannot be read is asked for again a round later.
            self._checksums_after = work[-1].path if len(work) == room else ""
            for entry in work:
                self._checksums.ask(entry.path, entry.received_at)
