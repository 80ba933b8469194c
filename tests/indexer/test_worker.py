"""The clerk: indexes, sums up, answers, drains, outlives trouble."""

import contextlib
import hashlib
import select
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dicomd.indexer.worker import IndexerBirth, run
from dicomd.lifeline import Lifeline, Message
from dicomd.settings.daemon import DaemonSettings, IndexSettings
from dicomd.storage.index import Index
from dicomd.storage.receipts import ReceiptSpool
from tests.storage.objects import dataset, instance_of, sink_of, store

DEADLINE_S = 60.0


@dataclass
class Office:
    """A clerk at work on a thread, and the supervisor's end of the line."""

    state: Path
    line: Lifeline
    thread: threading.Thread
    codes: list[int]
    heard: list[Message]

    def wait(self, wanted: Callable[[Message], bool]) -> Message:
        deadline = time.monotonic() + DEADLINE_S
        while time.monotonic() < deadline:
            for message in self.heard:
                if wanted(message):
                    self.heard.remove(message)
                    return message
            select.select([self.line], [], [], 0.1)
            self.heard += self.line.receive()
        raise AssertionError(f"not heard; but {self.heard}")

    def ask(self, what: str) -> Any:
        self.line.send({"order": "ask", "id": 1, "what": what})
        answer = self.wait(lambda message: message.get("report") == "answer")
        return answer.get("result", answer.get("error"))

    def end(self, order: str) -> int:
        self.line.send({"order": order, "seconds": 5})
        self.thread.join(DEADLINE_S)
        assert not self.thread.is_alive()
        return self.codes[0]


@contextlib.contextmanager
def office(state: Path, *, checksums: bool = True) -> Iterator[Office]:
    ours, theirs = Lifeline.pair()
    settings = DaemonSettings(state_directory=str(state), index=IndexSettings(checksums=checksums))
    codes: list[int] = []
    thread = threading.Thread(
        target=lambda: codes.append(run(IndexerBirth(settings=settings, lifeline=theirs)))
    )
    thread.start()
    opened = Office(state, ours, thread, codes, [])
    try:
        yield opened
    finally:
        ours.close()
        thread.join(DEADLINE_S)
        theirs.close()
        assert not thread.is_alive()


def received(state: Path, count: int, *, first: int = 0) -> list[str]:
    """Store objects and note their receipts as an acceptor does; their paths."""
    folder = state / "objects"
    folder.mkdir(exist_ok=True)
    sink = sink_of(folder, durability="none")
    spool = ReceiptSpool(str(state / "receipts"))
    paths = []
    for number in range(first, first + count):
        name = f"1.2.{number}"
        receipt = store(sink, dataset(name), instance_of(name))
        spool.append(receipt, received_at=float(number), listener="l", store="s")
        paths.append(receipt.path)
    spool.close()
    return paths


def test_what_was_received_is_indexed_and_summed_up(tmp_path: Path) -> None:
    with office(tmp_path) as clerk:
        assert clerk.wait(lambda message: message["report"] == "ready")
        paths = received(tmp_path, 20)
        assert clerk.ask("flush")["indexed"] == 20
        clerk.wait(
            lambda message: (
                message["report"] == "alive" and message["counters"]["checksummed"] == 20
            )
        )
        assert clerk.end("drain") == 0
    with Index(str(tmp_path / "index.sqlite"), read_only=True) as index:
        assert index.count() == 20
        first = index.at(paths[0])
        assert first is not None
        assert first.sha256 == hashlib.sha256(Path(paths[0]).read_bytes()).hexdigest()


def test_flush_answers_when_everything_is_in_the_index(tmp_path: Path) -> None:
    with office(tmp_path, checksums=False) as clerk:
        for round_ in range(5):
            received(tmp_path, 10, first=round_ * 10)
            clerk.ask("flush")
            with Index(str(tmp_path / "index.sqlite"), read_only=True) as index:
                assert index.count() == (round_ + 1) * 10


def test_draining_takes_in_what_is_spooled(tmp_path: Path) -> None:
    with office(tmp_path, checksums=False) as clerk:
        clerk.wait(lambda message: message["report"] == "ready")
        received(tmp_path, 10)
        assert clerk.end("drain") == 0
    with Index(str(tmp_path / "index.sqlite"), read_only=True) as index:
        assert index.count() == 10


def test_a_clerk_that_was_killed_takes_nothing_twice_and_loses_nothing(tmp_path: Path) -> None:
    with office(tmp_path, checksums=False) as clerk:
        received(tmp_path, 10)
        clerk.ask("flush")
    received(tmp_path, 10, first=10)
    with office(tmp_path, checksums=False) as clerk:
        assert clerk.ask("flush")["indexed"] == 10
    with Index(str(tmp_path / "index.sqlite"), read_only=True) as index:
        assert index.count() == 20


def test_a_closed_lifeline_ends_it(tmp_path: Path) -> None:
    with office(tmp_path) as clerk:
        clerk.wait(lambda message: message["report"] == "ready")
        clerk.line.close()
        clerk.thread.join(DEADLINE_S)
        assert clerk.codes == [0]


def test_unknown_questions_are_answered_with_an_error(tmp_path: Path) -> None:
    with office(tmp_path) as clerk:
        assert "nothing" in clerk.ask("jobs.list")
        assert set(clerk.ask("snapshot")) == {"indexed", "checksummed", "broken", "backlog"}


def test_a_state_folder_that_cannot_be_made_is_a_failed_birth() -> None:
    with office(Path("/proc/none")) as clerk:
        failed = clerk.wait(lambda message: message["report"] == "failed")
        assert "/proc/none" in failed["text"]
        clerk.thread.join(DEADLINE_S)
        assert clerk.codes == [1]
