"""The scoreboard that workers of one listener share."""

import os

from dicomd.lifeline import Lifeline, Scoreboard


def test_associations_are_counted_over_all_rows() -> None:
    board = Scoreboard(rows=3, associations=2)
    cells = [board.add(0, 7), board.add(0, 8), board.add(2, 7)]
    assert board.add(0, 9) == -1
    assert board.associations() == 3
    assert board.associations_of(7) == 2
    for cell in cells:
        board.remove(cell)
        board.remove(cell)
    assert board.associations() == 0
    assert board.add(0, 9) in cells
    board.close()


def test_a_worker_that_is_gone_is_forgotten() -> None:
    board = Scoreboard(rows=2, associations=4)
    board.add(0, 7)
    board.add(1, 7)
    board.set_connections(1, 5)
    board.set_load(1, 2)
    board.clear(1)
    assert board.associations() == 1
    assert board.connections() == 0
    assert board.lightest_load(0) is None
    board.close()


def test_other_processes_see_it() -> None:
    board = Scoreboard(rows=2, associations=4)
    pid = os.fork()
    if pid == 0:
        board.add(1, 7)
        os._exit(0)
    os.waitpid(pid, 0)
    assert board.associations_of(7) == 1
    board.close()


def test_the_lightest_sibling_that_takes_calls() -> None:
    board = Scoreboard(rows=3, associations=1)
    board.set_load(0, 4)
    board.set_load(1, 2)
    board.set_load(2, None)
    assert board.lightest_load(0) == 2
    assert board.lightest_load(1) == 4
    board.close()


def test_a_large_limit_costs_no_memory_until_it_is_used() -> None:
    before = _resident_kib()
    board = Scoreboard(rows=64, associations=1_000_000)
    board.add(5, 7)
    assert board.associations() == 1
    assert board.associations_of(7) == 1
    assert _resident_kib() - before < 8192
    board.close()


def test_lifeline_keeps_messages_whole_and_ends_with_the_other_side() -> None:
    left, right = Lifeline.pair()
    for number in range(50):
        left.send({"report": "alive", "counters": {"n": number, "text": "x" * 5000}})
    got: list[int] = []
    while len(got) < 50:
        got += [message["counters"]["n"] for message in right.receive()]
        left.flush()
    assert got == list(range(50))
    left.close()
    assert right.receive() == []
    assert right.closed
    right.send({"order": "stop"})
    right.close()


def test_lifeline_is_bounded_when_nobody_reads() -> None:
    left, right = Lifeline.pair()
    for _ in range(40):
        left.send({"report": "x", "text": "x" * 1_000_000})
    assert left.wants_write
    assert len(left._unsent) < 12 << 20
    left.close()
    right.close()


def _resident_kib() -> int:
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("VmRSS"))
