"""Shared folder syncs: everyone's waits for one that began after their rename; failures reach all
whom they concern."""

import errno
import os
import threading
import time
from pathlib import Path

import pytest

from dicomd.storage.folders import FolderSync, Output

DEADLINE_S = 10.0


class Gate:
    """An fsync that waits to be let through. Mutable: the calls, what the next one raises."""

    def __init__(self) -> None:
        self.calls = 0
        self.entered = threading.Semaphore(0)
        self.open = threading.Semaphore(0)
        self.fails: set[int] = set()

    def __call__(self, descriptor: int) -> None:
        self.calls += 1
        number = self.calls
        self.entered.release()
        assert self.open.acquire(timeout=DEADLINE_S)
        if number in self.fails:
            raise OSError(errno.EIO, "I/O error")


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> Gate:
    made = Gate()
    monkeypatch.setattr(os, "fsync", made)
    return made


def waiters(syncs: FolderSync, count: int, results: list[str]) -> list[threading.Thread]:
    started = threading.Barrier(count + 1)

    def wait() -> None:
        started.wait(DEADLINE_S)
        try:
            syncs.sync(0)
            results.append("synced")
        except OSError:
            results.append("failed")

    threads = [threading.Thread(target=wait) for _ in range(count)]
    for thread in threads:
        thread.start()
    started.wait(DEADLINE_S)
    return threads


def test_who_comes_during_a_sync_shares_the_next_one(gate: Gate) -> None:
    syncs = FolderSync()
    results: list[str] = []
    first = waiters(syncs, 1, results)
    assert gate.entered.acquire(timeout=DEADLINE_S)
    late = waiters(syncs, 20, results)
    deadline = time.monotonic() + DEADLINE_S
    while syncs.waiting < 21:
        assert time.monotonic() < deadline, "twenty threads wait"
        time.sleep(0.001)
    gate.open.release()
    assert gate.entered.acquire(timeout=DEADLINE_S)
    for _ in range(30):
        gate.open.release()
    for thread in first + late:
        thread.join(DEADLINE_S)
    assert results == ["synced"] * 21
    assert gate.calls == 2, "twenty waiters share one sync"


def test_a_failed_sync_fails_those_it_was_for_and_no_others(gate: Gate) -> None:
    syncs = FolderSync()
    gate.fails = {1}
    early: list[str] = []
    later: list[str] = []
    first = waiters(syncs, 1, early)
    assert gate.entered.acquire(timeout=DEADLINE_S)
    second = waiters(syncs, 3, later)
    for _ in range(30):
        gate.open.release()
    for thread in first + second:
        thread.join(DEADLINE_S)
    assert early == ["failed"]
    assert later == ["synced"] * 3


def test_threads_that_open_the_folder_at_once_share_it(tmp_path: Path) -> None:
    output = Output(str(tmp_path), create=False, mode=0o750, durable=True)
    found: list[object] = []
    barrier = threading.Barrier(8)

    def look() -> None:
        barrier.wait(DEADLINE_S)
        found.append(output.current())

    threads = [threading.Thread(target=look) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(DEADLINE_S)
    assert len({id(folder) for folder in found}) == 1
