"""The control socket's protocol."""

import json
import os
import selectors
import socket
import stat
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from dicomd.errors import StartError
from dicomd.supervisor.control import Control, Message, Reply, bind_control_socket, connect


class Loop:
    """A supervisor's loop around a control socket."""

    def __init__(self, path: Path) -> None:
        self.path = str(path)
        self.selector = selectors.DefaultSelector()
        self.requests: list[tuple[Message, Reply]] = []
        self.control = Control(self.selector, self.handle)
        self.control.open(bind_control_socket(self.path), self.path)

    def handle(self, request: Message, reply: Reply) -> None:
        self.requests.append((request, reply))
        if request.get("command") == "echo":
            reply({"ok": True, "result": request.get("text")})

    def run_until(self, condition: Callable[[], object]) -> None:
        deadline = time.monotonic() + 10
        while not condition():
            assert time.monotonic() < deadline
            for key, mask in self.selector.select(0.02):
                key.data(mask)

    def lines(self, sock: socket.socket, count: int) -> list[Message]:
        data = b""
        sock.setblocking(False)

        def whole() -> bool:
            nonlocal data
            try:
                data += sock.recv(1 << 20)
            except BlockingIOError:
                return False
            return data.count(b"\n") >= count

        self.run_until(whole)
        return [json.loads(line) for line in data.splitlines()]


@pytest.fixture
def loop(tmp_path: Path) -> Iterator[Loop]:
    loop = Loop(tmp_path / "control.sock")
    yield loop
    loop.control.close()
    loop.selector.close()


def test_mode_and_name(loop: Loop) -> None:
    assert stat.S_IMODE(os.stat(loop.path).st_mode) == 0o660
    loop.control.close()
    assert not os.path.exists(loop.path)


def test_requests_are_answered_in_order(loop: Loop) -> None:
    with connect(loop.path) as sock:
        for text in ("a", "b"):
            sock.sendall(json.dumps({"command": "echo", "text": text}).encode() + b"\n")
        assert [line["result"] for line in loop.lines(sock, 2)] == ["a", "b"]


def test_a_request_waits_for_the_one_before(loop: Loop) -> None:
    with connect(loop.path) as sock:
        sock.sendall(b'{"command": "slow"}\n{"command": "echo", "text": "x"}\n')
        loop.run_until(lambda: loop.requests)
        assert len(loop.requests) == 1
        loop.requests[0][1]({"ok": True, "result": "late"})
        assert [line["result"] for line in loop.lines(sock, 2)] == ["late", "x"]


@pytest.mark.parametrize("nonsense", [b"[]\n", b"{\n", b"\xff\n", b'"text"\n'])
def test_nonsense_is_answered(loop: Loop, nonsense: bytes) -> None:
    with connect(loop.path) as sock:
        sock.sendall(nonsense)
        (answer,) = loop.lines(sock, 1)
        assert not answer["ok"]
    assert not loop.requests


def test_large_answers_arrive_whole(loop: Loop) -> None:
    text = "x" * 3_000_000
    with connect(loop.path) as sock:
        sock.sendall(b'{"command": "slow"}\n')
        loop.run_until(lambda: loop.requests)
        loop.requests[0][1]({"ok": True, "result": text})
        (answer,) = loop.lines(sock, 1)
    assert answer["result"] == text


def test_a_caller_that_goes_is_no_hindrance(loop: Loop) -> None:
    with connect(loop.path) as sock:
        sock.sendall(b'{"command": "slow"}\n')
        loop.run_until(lambda: loop.requests)
    reply = loop.requests[0][1]
    reply({"ok": True})
    with connect(loop.path) as sock:
        sock.sendall(b'{"command": "echo", "text": 1}\n')
        assert loop.lines(sock, 1)[0]["ok"]


def test_abandoned_socket_file_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "control.sock"
    bind_control_socket(str(path)).close()
    assert path.exists()
    bind_control_socket(str(path)).close()


def test_a_socket_that_answers_is_left_alone(loop: Loop) -> None:
    with pytest.raises(StartError, match="another dicomd answers there"):
        bind_control_socket(loop.path)
    assert os.path.exists(loop.path)


def test_a_file_that_is_no_socket_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "control.sock"
    path.write_text("precious")
    with pytest.raises(StartError, match="not a socket"):
        bind_control_socket(str(path))
    assert path.read_text() == "precious"


def test_long_paths_work(tmp_path: Path) -> None:
    folder = tmp_path / ("x" * 100)
    folder.mkdir()
    loop = Loop(folder / "control.sock")
    with connect(loop.path) as sock:
        sock.sendall(b'{"command": "echo", "text": 1}\n')
        assert loop.lines(sock, 1)[0]["ok"]
    loop.control.close()
    loop.selector.close()


def test_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    with pytest.raises(StartError, match=r"control_socket .*nowhere/deep"):
        bind_control_socket(str(tmp_path / "nowhere" / "deep" / "control.sock"))
