"""A whole daemon for tests: its configuration in a folder, its process, its commands."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Self

import yaml

DEADLINE_S = 30.0


def free_port() -> int:
    """A port that nobody listens on just now."""
    with socket.create_server(("127.0.0.1", 0)) as sock:
        port: int = sock.getsockname()[1]
        return port


def wait_until(condition: Callable[[], Any], what: str, seconds: float = DEADLINE_S) -> Any:
    """The first true value of a condition; fails when it does not come in time."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        value = condition()
        if value:
            return value
        time.sleep(0.02)
    raise AssertionError(f"not within {seconds} s: {what}")


class Daemon:
    """``dicomd run`` with one listener and what a test adds. ``with`` starts and stops it."""

    def __init__(
        self,
        folder: Path,
        *,
        remotes: dict[str, Any],
        retrievals: dict[str, Any],
        port: int = 0,
        ae_title: str = "DEST",
        **more: Any,
    ) -> None:
        self.folder = folder
        self.port = port or free_port()
        self.process: subprocess.Popen[bytes] | None = None
        self.objects = folder / "objects"
        self.objects.mkdir(parents=True, exist_ok=True)
        self.config = folder / "dicomd.yaml"
        self.settings = {
            "state_directory": str(folder / "state"),
            "control_socket": str(folder / "control.sock"),
            "drain_timeout": "2s",
            "listeners": {
                "main": {
                    "address": "127.0.0.1",
                    "port": self.port,
                    "ae_title": ae_title,
                    "store": "archive",
                    "workers": 1,
                }
            },
            "stores": {
                "archive": {
                    "directory": str(self.objects),
                    "min_free_space": 0,
                    "durability": "none",
                }
            },
            "remotes": remotes,
            "retrievals": retrievals,
            "logging": {"level": "info", "file": {"path": str(folder / "log.json")}},
            **more,
        }
        self.write()

    def write(self) -> None:
        """Put the settings into the file."""
        self.config.write_text(yaml.safe_dump(self.settings))

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self.stop()

    def start(self) -> None:
        """Start it, and wait until its engine works."""
        (self.folder / "state").mkdir(exist_ok=True)
        with (self.folder / "stderr").open("ab") as stderr:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "dicomd", "run", "--config", str(self.config)],
                stderr=stderr,
                env={**os.environ, "PYTHONPATH": "daemon"},
            )
        before = len(self.events("node.joined")) if hasattr(self, "_joined") else 0
        self._joined = True
        wait_until(lambda: len(self.events("node.joined")) > before, "the engine works")

    def stop(self) -> None:
        """SIGTERM, and wait."""
        if self.process is not None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(DEADLINE_S)
            self.process = None

    def kill(self) -> None:
        """kill -9 of the supervisor; its children die with it."""
        assert self.process is not None
        self.process.kill()
        self.process.wait(DEADLINE_S)
        self.process = None

    def pid_of(self, kind: str) -> int:
        """The process of a child, by what ``dicomd status`` says."""
        children = [
            one for one in self.status()["workers"] if kind in (one.get("kind"), one.get("worker"))
        ]
        return int(children[0]["pid"])

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """A command of dicomd."""
        return subprocess.run(
            [sys.executable, "-m", "dicomd", *arguments],
            capture_output=True,
            text=True,
            timeout=60,
            env={**os.environ, "PYTHONPATH": "daemon"},
            check=False,
        )

    def status(self) -> Any:
        """``dicomd status --json``."""
        return json.loads(self.run("status", "--config", str(self.config), "--json").stdout)

    def ask(self, what: str, **arguments: Any) -> Any:
        """A request at the control socket; AssertionError when it is refused."""
        with socket.socket(socket.AF_UNIX) as sock:
            sock.settimeout(DEADLINE_S)
            sock.connect(str(self.folder / "control.sock"))
            sock.sendall(json.dumps({"command": what, "arguments": arguments}).encode() + b"\n")
            with sock.makefile("rb") as lines:
                answer = json.loads(lines.readline())
        assert answer.get("ok"), answer
        return answer["result"]

    def show(self, name: str) -> Any:
        """A job with its last run and what is missing."""
        return self.ask("jobs.show", name=name)

    def finished(self, name: str, seconds: float = DEADLINE_S) -> Any:
        """Wait for the end of the last run; the job as it is then."""

        def ended() -> Any:
            with contextlib.suppress(OSError, AssertionError, ValueError):
                job = self.show(name)
                if job["run"] and job["run"]["ended"]:
                    return job
            return None

        return wait_until(ended, f"the run of {name} has ended", seconds)

    def events(self, name: str = "") -> list[dict[str, Any]]:
        """Log lines, of one event if named."""
        return [one for one in self._lines() if not name or one["event"] == name]

    def _lines(self) -> Iterator[dict[str, Any]]:
        path = self.folder / "log.json"
        if path.exists():
            for line in path.read_text().splitlines():
                with contextlib.suppress(ValueError):
                    yield json.loads(line)

    def stored(self) -> list[str]:
        """Names of the objects that are on disk."""
        return [path.name for path in self.objects.iterdir() if path.is_file()]


def remote(port: int, **more: Any) -> dict[str, Any]:
    """A remote on this machine."""
    return {"host": "127.0.0.1", "port": port, "ae_title": "ARCHIVE", **more}


def retrieval(**more: Any) -> dict[str, Any]:
    """A retrieval of every study, by hand, impatient as tests are."""
    return {
        "remote": "PACS",
        "destination": "main",
        "find": {"level": "STUDY"},
        "retry": {"attempts": 3, "first": "200ms", "most": "1s"},
        "settle": "500ms",
        **more,
    }
