"""The log service: reload, reopening, a writer that dies, lines of many processes."""

import json
import os
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import structlog
from tests.logs.speaking import lines_of, speak, to_file

from dicomd.logs.configure import LogService, prepare
from dicomd.settings.log import LogFileSettings, LogSettings, RotateSettings


def wait_for(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def chatter(service: LogService, processes: int, lines: int) -> list[int]:
    """Fork processes that log numbered lines as fast as they can."""
    children = []
    for _ in range(processes):
        pid = os.fork()
        if pid:
            children.append(pid)
            continue
        turn = service.batch()
        log = structlog.get_logger("dicomd.x")
        for number in range(lines):
            log.info("object.stored", objects=number, path="/data/" + "x" * 150)
            if number % 50 == 0:
                turn()
                service.flush(5)
        service.flush(10)
        os._exit(0)
    return children


def assert_all_there(paths: list[Path], processes: int, lines: int) -> None:
    """No line lost, none torn, and those of each process in order."""
    seen: dict[int, list[int]] = {}
    for path in paths:
        for text in path.read_text().splitlines():
            line = json.loads(text)
            if line["event"] == "object.stored":
                seen.setdefault(line["pid"], []).append(line["objects"])
    assert len(seen) == processes
    for numbers in seen.values():
        assert numbers == list(range(lines))


def test_four_processes_and_ten_rotations_a_second_lose_and_tear_no_line(tmp_path: Path) -> None:
    processes, lines = 4, 5000
    path = tmp_path / "x.log"
    settings = LogSettings(
        file=LogFileSettings(path=str(path), rotate=RotateSettings(size=100_000, keep=200)),
        queue=1_000_000,
    )

    def body(service: LogService) -> None:
        for pid in chatter(service, processes, lines):
            os.waitpid(pid, 0)

    speak(settings, body)
    rotated = sorted(tmp_path.glob("x.log.*"), key=lambda one: -int(one.name.split(".")[2]))
    assert len(rotated) > 20
    assert_all_there([*rotated, path], processes, lines)


def test_logrotate_ten_times_a_second_loses_and_tears_no_line(tmp_path: Path) -> None:
    processes, lines = 4, 5000
    path = tmp_path / "x.log"

    def body(service: LogService) -> None:
        children = chatter(service, processes, lines)
        moved = 0
        while children:
            if os.waitpid(children[0], os.WNOHANG)[0]:
                children.pop(0)
            moved += 1
            path.rename(tmp_path / f"moved.{moved:05d}")
            service.reopen()
            wait_for(path.exists)

    speak(to_file(path, queue=1_000_000), body)
    assert_all_there([*sorted(tmp_path.glob("moved.*")), path], processes, lines)


def test_reloads_lose_no_line(tmp_path: Path) -> None:
    processes, lines = 2, 5000
    paths = [tmp_path / f"{number}.log" for number in range(2)]

    def body(service: LogService) -> None:
        children = chatter(service, processes, lines)
        for number in range(10):
            service.swap(prepare(to_file(paths[number % 2], queue=1_000_000)))
        for pid in children:
            os.waitpid(pid, 0)

    speak(to_file(paths[0], queue=1_000_000), body)
    seen: dict[int, set[int]] = {}
    for path in paths:
        for line in lines_of(path):
            if line["event"] == "object.stored":
                seen.setdefault(line["pid"], set()).add(line["objects"])
    assert [len(numbers) for numbers in seen.values()] == [lines] * processes


def test_a_new_level_counts_after_a_reload(tmp_path: Path) -> None:
    path = tmp_path / "x.log"

    def body(service: LogService) -> None:
        log = structlog.get_logger("dicomd.x")
        log.debug("hidden.line")
        service.swap(prepare(to_file(path, level="debug")))
        log.debug("shown.line")

    speak(to_file(path), body)
    events = [line["event"] for line in lines_of(path)]
    assert "hidden.line" not in events
    assert "shown.line" in events


def test_a_writer_that_is_killed_is_replaced_and_the_channel_keeps_its_lines(
    tmp_path: Path,
) -> None:
    path = tmp_path / "x.log"

    def body(service: LogService) -> None:
        log = structlog.get_logger("dicomd.x")
        log.info("before.death")
        wait_for(lambda: "before.death" in path.read_text())
        first = service._writer
        os.kill(first, signal.SIGKILL)
        os.waitpid(first, 0)
        log.info("while.dead")
        assert service.owns(first)
        service.reaped(first)

        def replaced() -> int:
            service.turn()
            return service._writer

        wait_for(replaced)
        log.info("after.death")

    speak(to_file(path), body)
    assert [line["event"] for line in lines_of(path)] == [
        "before.death",
        "while.dead",
        "after.death",
    ]


def test_when_the_supervisor_is_killed_the_writer_writes_what_came_and_ends(
    tmp_path: Path,
) -> None:
    path = tmp_path / "x.log"
    pids = tmp_path / "pid"
    pid = os.fork()
    if not pid:
        service = LogService()
        service.start(prepare(to_file(path)))
        pids.write_text(str(service._writer))
        structlog.get_logger("dicomd.x").info("last.words")
        os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(pid, 0)
    writer = int(pids.read_text())
    wait_for(lambda: not Path(f"/proc/{writer}").exists())
    assert [line["event"] for line in lines_of(path)] == ["last.words"]


def opened(folder: Path) -> set[str]:
    """What the descriptors in a folder of /proc point to; one may close while we look."""
    found: set[str] = set()
    for descriptor in folder.iterdir():
        with suppress(FileNotFoundError):
            found.add(os.readlink(descriptor))
    return found


def test_the_writer_holds_no_descriptor_of_others(tmp_path: Path) -> None:
    """A listening socket or a lifeline in the writer would outlive the supervisor."""
    found = tmp_path / "found"

    def body(service: LogService) -> None:
        secret = os.open(__file__, os.O_RDONLY)
        service.swap(prepare(to_file(tmp_path / "y.log")))
        writer = service._writer
        wait_for(lambda: (tmp_path / "y.log").exists())
        folder = Path(f"/proc/{writer}/fd")
        wait_for(lambda: __file__ not in opened(folder))
        found.write_text(str(len(list(folder.iterdir()))))
        os.close(secret)

    speak(to_file(tmp_path / "x.log"), body)
    assert int(found.read_text()) <= 8


def test_counts_reach_the_supervisor(tmp_path: Path) -> None:
    def body(service: LogService) -> None:
        structlog.get_logger("dicomd.x").info("one.line")
        wait_for(lambda: service.counts()["lines"] >= 1)
        assert service.counts()["dropped"] == 0

    speak(to_file(tmp_path / "x.log"), body)


def test_the_salt_stays_with_the_state_directory(tmp_path: Path) -> None:
    first = prepare(LogSettings(), state_directory=str(tmp_path))
    second = prepare(LogSettings(), state_directory=str(tmp_path))
    assert first.salt == second.salt
    assert (tmp_path / "log-salt").stat().st_mode & 0o777 == 0o600
    assert prepare(LogSettings()).salt != prepare(LogSettings()).salt


def test_fifty_reloads_leave_no_descriptor_and_no_process(tmp_path: Path) -> None:
    def body(service: LogService) -> None:
        def descriptors() -> int:
            return len(os.listdir("/proc/self/fd"))

        before = descriptors()
        for number in range(50):
            service.swap(prepare(to_file(tmp_path / f"{number % 3}.log")))
            structlog.get_logger("dicomd.x").info("one.line")
        assert descriptors() == before
        former = 0
        while former < 50:
            pid, _ = os.waitpid(-1, 0)
            assert pid != service._writer
            assert service.owns(pid)
            service.reaped(pid)
            former += 1
        assert not service._former

    speak(to_file(tmp_path / "x.log"), body)
    lines = [line for path in tmp_path.glob("*.log") for line in lines_of(path)]
    assert sum(1 for line in lines if line["event"] == "one.line") == 50
