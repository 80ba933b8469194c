"""Acceptor workers in forked processes, on a port from the kernel, for tests that need peers."""

import logging
import os
import select
import socket
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any

import structlog

from dicomd.acceptor.worker import AcceptorBirth, run
from dicomd.lifeline import Lifeline, Message, Scoreboard
from dicomd.settings.listener import ListenerSettings
from dicomd.settings.profile import (
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
    VERIFICATION,
    AssociationProfile,
    PresentationContext,
)
from dicomd.settings.storage import StoreSettings

CT = "1.2.840.10008.5.1.4.1.1.2"
MR = "1.2.840.10008.5.1.4.1.1.4"
SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
JPEG_BASELINE = "1.2.840.10008.1.2.4.50"
_UNCOMPRESSED = (EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN)

PROFILE = AssociationProfile(
    contexts=(
        PresentationContext(abstract_syntax=VERIFICATION, transfer_syntaxes=_UNCOMPRESSED),
        PresentationContext(abstract_syntax=CT, transfer_syntaxes=(*_UNCOMPRESSED, JPEG_BASELINE)),
        PresentationContext(abstract_syntax=MR, transfer_syntaxes=_UNCOMPRESSED),
        PresentationContext(abstract_syntax=SECONDARY_CAPTURE, transfer_syntaxes=_UNCOMPRESSED),
    )
)
DEADLINE_S = 20.0


def wait_until(condition: Callable[[], bool], what: str, seconds: float = DEADLINE_S) -> None:
    """Look until the condition holds; an AssertionError that says what did not happen."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not in time: {what}"
        select.select([], [], [], 0.005)


class Service:
    """A listener with its workers; a context manager. ``directory`` holds what was received."""

    def __init__(
        self,
        directory: Path,
        *,
        listener: ListenerSettings | None = None,
        store: StoreSettings | None = None,
        workers: int = 1,
        receipts_directory: Path | None = None,
        in_child: Callable[[], None] | None = None,
    ) -> None:
        self.directory = directory
        settings = listener or ListenerSettings()
        if settings.negotiation is None:
            settings = replace(settings, negotiation=PROFILE)
        self.listener = settings
        self.store = replace(
            store or StoreSettings(durability="none", mode="bit-preserving", min_free_space=0),
            directory=str(directory),
        )
        self._in_child = in_child
        self._receipts_directory = str(receipts_directory or "")
        self.scoreboard = Scoreboard(rows=workers + 1, associations=settings.limits.associations)
        self.socket = socket.create_server(("127.0.0.1", 0), backlog=1024)
        self.port: int = self.socket.getsockname()[1]
        self.lifelines: list[Lifeline] = []
        self.pids: list[int] = []
        self.heard: list[list[Message]] = []
        for _ in range(workers):
            self.fork_worker()

    def fork_worker(self, **changes: Any) -> int:
        """One worker more; returns its index, once it is ready."""
        ours, theirs = Lifeline.pair()
        row = len(self.pids)
        birth = AcceptorBirth(
            name="test",
            listener=self.listener,
            store=self.store,
            sockets=[self.socket],
            lifeline=theirs,
            scoreboard=self.scoreboard,
            row=row,
            receipts_directory=self._receipts_directory,
            generation=1,
        )
        for key, value in changes.items():
            setattr(birth, key, value)
        pid = os.fork()
        if pid == 0:
            code = 70
            try:
                ours.close()
                for other in self.lifelines:
                    other.close()
                structlog.configure(
                    wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING)
                )
                if self._in_child is not None:
                    self._in_child()
                code = run(birth)
            finally:
                os._exit(code)
        theirs.close()
        self.lifelines.append(ours)
        self.pids.append(pid)
        self.heard.append([])
        wait_until(lambda: bool(self.listen_to(row)), "a worker's first report")
        return row

    def listen_to(self, index: int) -> list[Message]:
        """All that a worker has said so far."""
        self.heard[index].extend(self.lifelines[index].receive())
        return self.heard[index]

    def ask(self, index: int = 0) -> list[dict[str, Any]]:
        """A worker's snapshot."""
        number = len(self.heard[index]) + 1000
        self.lifelines[index].send({"order": "ask", "id": number, "what": "snapshot"})
        answer: list[dict[str, Any]] = []

        def answered() -> bool:
            for message in self.listen_to(index):
                if message.get("id") == number:
                    answer.extend(message["result"])
                    return True
            return False

        wait_until(answered, "a snapshot")
        return answer

    def counters(self, index: int = 0) -> dict[str, Any]:
        """What the worker's last heartbeat said; waits for a new one."""
        known = len(self.listen_to(index))

        def beats() -> list[Message]:
            return [m for m in self.listen_to(index)[known:] if m.get("report") == "alive"]

        wait_until(lambda: bool(beats()), "a heartbeat")
        counters: dict[str, Any] = beats()[-1]["counters"]
        return counters

    def order(self, index: int = 0, **message: Any) -> None:
        """Send an order."""
        self.lifelines[index].send(message)

    def wait_for_exit(self, index: int = 0) -> int:
        """The worker's exit code."""
        pid, codes = self.pids[index], list[int]()

        def ended() -> bool:
            found, status = os.waitpid(pid, os.WNOHANG)
            if found:
                codes.append(os.waitstatus_to_exitcode(status))
            return bool(found)

        wait_until(ended, "a worker's end")
        self.pids[index] = 0
        return codes[0]

    def files(self) -> list[Path]:
        """The objects that are stored."""
        return sorted(
            path
            for path in self.directory.rglob("*")
            if path.is_file() and not any(part.startswith(".") for part in path.parts)
        )

    def leftovers(self) -> list[Path]:
        """Temporary files."""
        return [path for path in self.directory.glob(".*/**/*") if path.is_file()]

    def close(self) -> None:
        """End the workers."""
        for lifeline in self.lifelines:
            lifeline.close()
        for index, pid in enumerate(self.pids):
            if pid:
                self.wait_for_exit(index)
        self.socket.close()

    def __enter__(self) -> "Service":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
