"""dicomd status, reload, stop: how the daemon is found, what is said, how it exits."""

import argparse
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from dicomd.cli import client
from dicomd.cli.client import ControlError, plan_lines, request, status_lines
from dicomd.cli.main import main
from dicomd.supervisor.control import bind_control_socket

STATUS: dict[str, Any] = {
    "version": "1.2.3",
    "pid": 4711,
    "state": "running",
    "healthy": True,
    "uptime_seconds": 3700.0,
    "throughput": {
        "objects": 12,
        "bytes": 5 << 30,
        "objects_per_second": 1.5,
        "bytes_per_second": 2048,
    },
    "reload": {
        "result": "rejected",
        "time": "2026-01-02T03:04:05.000Z",
        "faults": [{"file": "a.cfg", "line": 41, "column": 0, "text": "no such list"}],
    },
    "log": {"dropped": 3, "failing": {"file": "No space left on device"}},
    "listeners": {
        "one": {
            "addresses": ["0.0.0.0:11112"],
            "tls": True,
            "ae_title": "DICOMD",
            "profile": "",
            "workers": 1,
            "workers_wanted": 2,
            "associations": 1,
            "associations_limit": 256,
            "counters": {"objects": 12, "refused": 1},
        }
    },
    "associations": [
        {
            "association": "abc-1",
            "listener": "one",
            "peer": "192.0.2.7",
            "calling_ae": "CT1",
            "called_ae": "DICOMD",
            "age_seconds": 65.0,
            "objects": 4,
            "objects_per_second": 0.1,
        }
    ],
    "stores": {
        "archive": {"directory": "/nowhere", "min_free_bytes": 1 << 30},
    },
    "workers": [
        {
            "name": "one",
            "pid": 4712,
            "role": "acceptor",
            "state": "running",
            "generation": 2,
            "age_seconds": 5.0,
            "restarts": 0,
        }
    ],
    "jobs": [{"name": "nightly", "state": "idle", "next": "2026-01-03T02:15:00+00:00"}],
}


@contextmanager
def answering(path: Path, *answers: bytes) -> Iterator[list[dict[str, Any]]]:
    """A daemon that gives these answers, one a connection; what it was asked."""
    asked: list[dict[str, Any]] = []
    listening = bind_control_socket(str(path))
    listening.setblocking(True)
    listening.settimeout(10)

    def serve() -> None:
        for answer in answers:
            sock, _ = listening.accept()
            with sock, sock.makefile("rb") as lines:
                asked.append(json.loads(lines.readline()))
                sock.sendall(answer)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield asked
    finally:
        thread.join(10)
        listening.close()


def arguments(**more: str | None) -> argparse.Namespace:
    return argparse.Namespace(**{"config": None, "socket": None, **more})


@pytest.mark.parametrize(
    "line",
    [
        "control_socket: /run/x.sock",
        'control_socket: "/run/x.sock"',
        "control_socket: '/run/x.sock'   # here",
        '  "control_socket": "/run/x.sock",',
    ],
)
def test_socket_is_found_in_a_file_that_is_broken_elsewhere(tmp_path: Path, line: str) -> None:
    config = tmp_path / "dicomd.yaml"
    config.write_text(f"a: [1\n{line}\nb: }}{{\n")
    assert client.find_socket(arguments(config=str(config))) == "/run/x.sock"


def test_socket_is_found_by_the_state_directory_of_a_broken_file(tmp_path: Path) -> None:
    config = tmp_path / "d.yaml"
    config.write_text("state_directory: state\nlistners: {}\n")
    expected = str(tmp_path / "state" / "control.sock")
    assert client.find_socket(arguments(config=str(config))) == expected


def test_socket_beside_the_file_is_relative_to_it(tmp_path: Path) -> None:
    config = tmp_path / "dicomd.yaml"
    config.write_text("control_socket: run/x.sock\n")
    assert client.find_socket(arguments(config=str(config))) == str(tmp_path / "run" / "x.sock")


def test_socket_of_an_included_file_is_found(tmp_path: Path) -> None:
    (tmp_path / "more.yaml").write_text("control_socket: /run/y.sock\n")
    config = tmp_path / "dicomd.yaml"
    objects = tmp_path / "objects"
    objects.mkdir()
    config.write_text(
        f"include: more.yaml\nstate_directory: {tmp_path}\n"
        f"listeners: {{one: {{port: 0}}}}\nstores: {{a: {{directory: {objects}}}}}\n"
    )
    assert client.find_socket(arguments(config=str(config))) == "/run/y.sock"


def test_named_socket_wins(tmp_path: Path) -> None:
    named = arguments(config=str(tmp_path / "missing"), socket="/run/z.sock")
    assert client.find_socket(named) == "/run/z.sock"


def test_missing_file_that_was_named_is_said(tmp_path: Path) -> None:
    with pytest.raises(ControlError, match="--socket"):
        client.find_socket(arguments(config=str(tmp_path / "missing")))


def test_answers_and_refusals(tmp_path: Path) -> None:
    path = tmp_path / "c.sock"
    refused = json.dumps({"ok": False, "error": "no", "faults": ["a:1: b"]}).encode() + b"\n"
    with answering(path, b'{"ok": true, "result": [1]}\n', refused) as asked:
        assert request(str(path), "jobs.list", arguments={"a": 1}) == [1]
        with pytest.raises(ControlError, match="no") as caught:
            request(str(path), "reload")
    assert caught.value.faults == ("a:1: b",)
    assert asked == [
        {"command": "jobs.list", "arguments": {"a": 1}},
        {"command": "reload"},
    ]


def test_daemon_that_goes_away_is_said(tmp_path: Path) -> None:
    path = tmp_path / "c.sock"
    with answering(path, b""), pytest.raises(ControlError, match="went away"):
        request(str(path), "status")


def test_daemon_that_does_not_answer_is_said(tmp_path: Path) -> None:
    path = tmp_path / "c.sock"
    with (
        bind_control_socket(str(path)),
        pytest.raises(ControlError, match="does not answer"),
    ):
        request(str(path), "status", timeout_s=0.1)


@pytest.mark.parametrize("verb", ["status", "reload", "stop"])
def test_no_daemon_is_exit_3(tmp_path: Path, verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    path = str(tmp_path / "c.sock")
    assert main([verb, "--socket", path]) == 3
    assert f"no daemon answers at {path}" in capsys.readouterr().err


def test_refused_reload_prints_every_fault_and_is_exit_1(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "c.sock"
    refused = {"ok": False, "error": "refused", "faults": ["a.yaml:4:1: x", "b.cfg:2: y"]}
    with answering(path, json.dumps(refused).encode() + b"\n"):
        assert main(["reload", "--socket", str(path)]) == 1
    said = capsys.readouterr().err
    assert said.startswith("a.yaml:4:1: x\nb.cfg:2: y\n")


def test_status_as_json_has_everything_and_the_room(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "c.sock"
    with answering(path, json.dumps({"ok": True, "result": STATUS}).encode() + b"\n"):
        assert main(["status", "--json", "--socket", str(path)]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["listeners"] == STATUS["listeners"]
    assert printed["stores"]["archive"]["free_bytes"] is None


def test_status_for_people_says_what_matters() -> None:
    result = json.loads(json.dumps(STATUS))
    result["stores"]["archive"].update(free_bytes=3 << 30, size_bytes=1 << 40)
    text = "\n".join(status_lines(result))
    for words in (
        "dicomd 1.2.3, process 4711, running for 1 h 1 min",
        "12 objects, 5.0 GiB since the start; now 1.5 objects/s, 2.0 KiB/s",
        "last reload 2026-01-02T03:04:05.000Z: rejected",
        "  a.cfg:41: no such list",
        "log: 3 lines dropped",
        "log: file fails: No space left on device",
        "0.0.0.0:11112 TLS",
        "1/2",
        "1/256",
        "192.0.2.7",
        "1 min 5 s",
        "3.0 GiB",
        "nightly",
    ):
        assert words in text, words
    assert "NOT HEALTHY" not in text
    assert "NOT HEALTHY" in "\n".join(status_lines({**result, "healthy": False}))


def test_plan_for_people() -> None:
    nothing: dict[str, Any] = {
        "changes": [],
        "listeners": {"opened": [], "closed": [], "replaced": [], "kept": ["one"]},
        "callers": [],
        "jobs": {"added": [], "removed": [], "changed": []},
    }
    assert plan_lines(nothing, would=True) == ["nothing would change"]
    some = {
        **nothing,
        "changes": [
            {"key": "a.b", "old": 1, "new": 2},
            {"key": "a.c", "old": None, "new": 3},
            {"key": "a.d", "old": 4, "new": None},
            {"key": "a.e", "old": "changed", "new": "changed"},
        ],
        "callers": ["one: hosts refused now: x"],
        "jobs": {"added": ["nightly"], "removed": [], "changed": []},
    }
    assert plan_lines(some, would=False) == [
        "changed:",
        "  a.b: 1 -> 2",
        "  a.c: 3 (new)",
        "  a.d: gone (was 4)",
        "  a.e: changed",
        "listeners left alone: one",
        "callers: one: hosts refused now: x",
        "jobs added: nightly",
    ]


def test_connections_to_sockets_with_long_paths(tmp_path: Path) -> None:
    folder = tmp_path / ("y" * 110)
    folder.mkdir()
    with answering(folder / "c.sock", b'{"ok": true, "result": 1}\n'):
        assert request(str(folder / "c.sock"), "status") == 1
