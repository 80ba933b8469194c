"""dicomd jobs: what it asks the daemon, and how it shows the answer."""

import argparse
import json
import socket
import threading
from pathlib import Path
from typing import Any

import pytest

from dicomd.cli import jobs

RUN = {
    "run": "n:1", "trigger": "hand", "state": "incomplete", "reason": "1 of 2",
    "started": "2026-11-21T02:15:00+00:00", "ended": "2026-11-21T02:16:00+00:00", "studies": 2,
    "waiting": 0, "queued": 0, "moving": 0, "verified": 1, "reported": 0, "incomplete": 1,
    "cancelled": 0,
}  # fmt: skip
JOB = {
    "name": "n", "remote": "PACS", "destination": "main", "schedule": "15 2 * * *",
    "timezone": "UTC", "priority": "low", "verify": "instances", "state": "idle", "paused": False,
    "next": None, "run": RUN, "missing": ["1.2.3"],
    "why": [{"kind": "window", "text": "outside its window until 20:00", "until": None}],
    "unfinished": [
        {"StudyInstanceUID": "1.2", "ordinal": 0, "state": "incomplete", "attempts": 3,
         "promised": 2, "present": 1, "reason": "the archive did not send them"}
    ],
}  # fmt: skip


class Daemon:
    """Answers one request at a control socket."""

    def __init__(self, path: Path, answer: dict[str, Any]) -> None:
        self.asked: dict[str, Any] = {}
        self._server = socket.socket(socket.AF_UNIX)
        self._server.bind(str(path))
        self._server.listen()
        self._answer = answer
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        sock, _ = self._server.accept()
        with sock, sock.makefile("rb") as lines:
            self.asked = json.loads(lines.readline())
            sock.sendall(json.dumps(self._answer).encode() + b"\n")
        self._server.close()


def command(*arguments: str) -> int:
    parser = argparse.ArgumentParser()
    jobs.add_arguments(parser)
    return jobs.run(parser.parse_args(arguments))


@pytest.mark.parametrize(
    ("arguments", "asked", "result", "shown"),
    [
        (["list"], {}, {"jobs": [JOB]}, "incomplete 2026"),
        (["show", "n"], {"name": "n"}, JOB, "outside its window until 20:00"),
        (["show", "n"], {"name": "n"}, JOB, "1.2.3"),
        (["run", "n"], {"name": "n", "dry_run": False}, {"name": "n", "run": "n:2"}, "n:2"),
        (
            ["run", "n", "--dry-run"],
            {"name": "n", "dry_run": True},
            {
                "dry_run": True,
                "total": 1,
                "studies": [{"level": "STUDY", "StudyInstanceUID": "1.2"}],
            },
            "1 would be fetched",
        ),
        (["pause", "n"], {"name": "n"}, {"name": "n", "paused": True}, "n paused"),
        (["resume", "n"], {"name": "n"}, {"name": "n", "paused": False}, "n resumed"),
        (["cancel", "n"], {"name": "n"}, {"name": "n", "cancelled": ["n:1"]}, "cancelled n:1"),
        (["retry", "n"], {"name": "n"}, {"name": "n", "run": "n:3"}, "started n:3"),
        (["history", "n"], {"name": "n", "limit": 20}, {"runs": [RUN]}, "INCOMPLETE"),
    ],
)
def test_each_action_asks_and_shows(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    asked: dict[str, Any],
    result: dict[str, Any],
    shown: str,
) -> None:
    path = tmp_path / "socket"
    daemon = Daemon(path, {"ok": True, "result": result})
    assert command("--socket", str(path), *arguments) == 0
    assert daemon.asked["command"] == f"jobs.{arguments[0]}"
    assert daemon.asked["arguments"] == asked
    assert shown in capsys.readouterr().out


def test_json_is_the_answer_itself(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Daemon(tmp_path / "socket", {"ok": True, "result": JOB})
    assert command("show", "n", "--json", "--socket", str(tmp_path / "socket")) == 0
    assert json.loads(capsys.readouterr().out)["missing"] == ["1.2.3"]


def test_a_refusal_is_1_and_no_daemon_is_3(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Daemon(tmp_path / "socket", {"ok": False, "error": "no retrieval 'x' is configured"})
    assert command("show", "x", "--socket", str(tmp_path / "socket")) == 1
    assert "no retrieval 'x'" in capsys.readouterr().err
    assert command("list", "--socket", str(tmp_path / "nobody")) == 3
