"""Fork, reap, replace."""

import os
import selectors
import signal
import time
from collections.abc import Callable, Iterator, Sized
from functools import partial

import pytest

from dicomd.lifeline import Lifeline, Message
from dicomd.supervisor import children as module
from dicomd.supervisor.children import Child, Children, Role

DEADLINE_S = 10.0


class Parent:
    """A supervisor that takes notes."""

    def __init__(self) -> None:
        self.selector = selectors.DefaultSelector()
        self.children = Children(self, self.selector)
        self.ready: list[int] = []
        self.gone: list[tuple[Child, int]] = []
        self.said: list[Message] = []

    def child_ready(self, child: Child) -> None:
        self.ready.append(child.pid)

    def child_gone(self, child: Child, code: int) -> None:
        self.gone.append((child, code))

    def child_said(self, child: Child, message: Message) -> None:
        del child
        self.said.append(message)

    def stranger_gone(self, pid: int, code: int) -> None:
        raise AssertionError(pid, code)

    def release_in_child(self, role: Role) -> None:
        del role

    def leave_in_child(self) -> None:
        pass

    def run_until(self, condition: Callable[[], object]) -> None:
        deadline = time.monotonic() + DEADLINE_S
        while not condition():
            assert time.monotonic() < deadline
            for key, mask in self.selector.select(min(0.02, self.children.due_in())):
                key.data(mask)
            self.children.reap()
            self.children.turn()

    def close(self) -> None:
        for child in self.children:
            child.role.retired = True
            self.children.kill(child, "the test ends")
        self.run_until(lambda: not len(self.children))
        self.selector.close()


@pytest.fixture
def parent() -> Iterator[Parent]:
    parent = Parent()
    yield parent
    parent.close()


def obedient(lifeline: Lifeline) -> int:
    """Beats, answers, and ends when told to."""
    lifeline.send({"report": "ready"})
    while not lifeline.closed:
        for message in lifeline.receive():
            match message["order"]:
                case "drain":
                    lifeline.send({"report": "alive", "counters": {"last": 1}})
                    return 0
                case "stop":
                    return 3
                case "ask":
                    lifeline.send({"report": "answer", "id": message["id"], "result": "here"})
        lifeline.send({"report": "alive", "counters": {"beats": 1}})
        time.sleep(0.02)
    return 4


def silent(lifeline: Lifeline) -> int:
    """Is ready, and never heard of again; reads no order."""
    lifeline.send({"report": "ready"})
    time.sleep(60)
    return 0


def stillborn(lifeline: Lifeline) -> int:
    """Cannot do its work."""
    lifeline.send({"report": "failed", "text": "no certificate"})
    return 1


def raising(lifeline: Lifeline) -> int:
    """Is broken."""
    del lifeline
    raise RuntimeError("PatientName=Doe^Jane")


def unborn(lifeline: Lifeline) -> int:
    """Never gets ready."""
    del lifeline
    time.sleep(60)
    return 0


def more_than(items: Sized, number: int) -> bool:
    return len(items) > number


def role(birth: Callable[[Lifeline], int], **more: object) -> Role:
    return Role(kind="test", name="test", birth=birth, **more)  # type: ignore[arg-type]  # keys


def test_child_says_ready_and_beats(parent: Parent) -> None:
    child = parent.children.employ(role(obedient))
    assert child.state == "starting"
    parent.run_until(lambda: child.counters)
    assert child.state == "running"
    assert parent.ready == [child.pid]
    assert child.counters == {"beats": 1}


def test_drained_child_is_not_replaced_and_its_last_words_count(parent: Parent) -> None:
    employed = role(obedient)
    child = parent.children.employ(employed)
    parent.run_until(lambda: parent.ready)
    parent.children.dismiss(employed, seconds=5, reason="stop")
    parent.run_until(lambda: parent.gone)
    assert parent.gone == [(child, 0)]
    assert child.counters == {"last": 1}
    assert not parent.children.roles


def test_no_time_means_stop(parent: Parent) -> None:
    employed = role(obedient)
    parent.children.employ(employed)
    parent.run_until(lambda: parent.ready)
    parent.children.dismiss(employed, seconds=0, reason="stop")
    parent.run_until(lambda: parent.gone)
    assert parent.gone[0][1] == 3


def test_killed_child_is_replaced_at_once_then_with_pauses(
    parent: Parent, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "FIRST_PAUSES_S", (0.0, 0.2, 0.4))
    employed = role(obedient)
    times: list[float] = []
    parent.children.employ(employed)
    for number in range(3):
        parent.run_until(partial(more_than, parent.ready, number))
        assert employed.child is not None
        os.kill(employed.child.pid, signal.SIGKILL)
        before = time.monotonic()
        parent.run_until(partial(more_than, parent.gone, number))
        parent.run_until(lambda: employed.child is not None)
        times.append(time.monotonic() - before)
    assert [code for _, code in parent.gone] == [-9] * 3
    assert times[0] < 0.2 <= times[1] < 0.4 <= times[2]


def test_child_without_heartbeat_is_killed_and_replaced(parent: Parent) -> None:
    employed = role(silent, silence_s=0.3)
    first = parent.children.employ(employed)
    parent.run_until(lambda: parent.gone)
    assert parent.gone[0] == (first, -9)
    assert first.killed_because == "its heartbeat stayed away"
    parent.run_until(lambda: employed.child is not None)


def test_child_that_is_not_ready_in_time_is_killed(parent: Parent) -> None:
    child = parent.children.employ(role(unborn, birth_s=0.2))
    parent.run_until(lambda: parent.gone)
    assert child.killed_because == "it was not ready in time"


def test_child_that_does_not_end_is_killed_after_its_drain(
    parent: Parent, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "GRACE_S", 0.2)
    employed = role(silent)
    child = parent.children.employ(employed)
    parent.run_until(lambda: parent.ready)
    parent.children.dismiss(employed, seconds=0.1, reason="stop")
    parent.run_until(lambda: parent.gone)
    assert child.killed_because == "it did not end in time"
    assert not parent.children.roles


def test_failure_at_birth_is_known_by_its_words(parent: Parent) -> None:
    child = parent.children.employ(role(stillborn))
    parent.run_until(lambda: parent.gone)
    assert child.failure == "no certificate"
    assert parent.gone[0][1] == 1


def test_exception_is_told_by_its_type_alone(
    parent: Parent, capfd: pytest.CaptureFixture[str]
) -> None:
    child = parent.children.employ(role(raising, once=True))
    parent.run_until(lambda: parent.gone)
    capfd.readouterr()
    assert parent.gone[0][1] == 70
    assert child.failure == "test: RuntimeError"


def test_once_is_not_replaced(parent: Parent) -> None:
    employed = role(stillborn, once=True)
    parent.children.employ(employed)
    parent.run_until(lambda: parent.gone)
    assert employed.retry_at is None
    assert not parent.children.roles


def test_ask_is_answered(parent: Parent) -> None:
    child = parent.children.employ(role(obedient))
    answers: list[Message | None] = []
    parent.run_until(lambda: parent.ready)
    parent.children.ask(child, "snapshot", answers.append)
    parent.run_until(lambda: answers)
    assert answers[0] is not None
    assert answers[0]["result"] == "here"


@pytest.mark.parametrize("end", ["silence", "death"])
def test_ask_that_nobody_answers_comes_to_an_end(parent: Parent, end: str) -> None:
    child = parent.children.employ(role(silent))
    answers: list[Message | None] = []
    parent.run_until(lambda: parent.ready)
    parent.children.ask(child, "snapshot", answers.append, seconds=0.2 if end == "silence" else 60)
    if end == "death":
        child.role.retired = True
        parent.children.kill(child, "the test")
    parent.run_until(lambda: answers)
    assert answers == [None]


def test_children_ignore_the_signals_that_are_the_supervisors(parent: Parent) -> None:
    child = parent.children.employ(role(obedient))
    parent.run_until(lambda: parent.ready)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2):
        os.kill(child.pid, number)
    child.counters = {}
    parent.run_until(lambda: child.counters)
    assert child.state == "running"


def test_child_dies_with_its_parent() -> None:
    """The parent is killed; its child, which reads no lifeline, goes with it."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            middle = Parent()
            child = middle.children.employ(role(silent))
            middle.run_until(lambda: middle.ready)
            os.write(writer, str(child.pid).encode())
            time.sleep(60)
        finally:
            os._exit(1)
    grandchild = int(os.read(reader, 20))
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    deadline = time.monotonic() + DEADLINE_S
    while _is_alive(grandchild):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    os.close(reader)
    os.close(writer)


def _is_alive(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
