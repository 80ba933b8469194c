"""A real daemon, started as users start it, for journeys to talk to."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.bench.objects import RELEASE_REQUEST, Encoded, association_request

REPOSITORY = Path(__file__).parents[2]
DEADLINE_S = 20.0


def wait_until(condition: Callable[[], object], what: str, seconds: float = DEADLINE_S) -> None:
    """Return when the condition holds; AssertionError after the deadline."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"waited {seconds:.0f} s for {what}"
        time.sleep(0.01)


def free_port() -> int:
    """A port that was free just now."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def command(*arguments: str) -> list[str]:
    """The command line of `dicomd`."""
    return [sys.executable, "-m", "dicomd", *arguments]


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """What the daemon's process sees: ours, without what a service manager left there."""
    kept = {key: value for key, value in os.environ.items() if key not in _UNWANTED}
    return {**kept, "PYTHONPATH": str(REPOSITORY / "daemon"), **(extra or {})}


_UNWANTED = {"NOTIFY_SOCKET", "LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES", "WATCHDOG_USEC"}


class Daemon:
    """`dicomd run` on a configuration in ``folder``. Mutable: the process, the configuration."""

    def __init__(self, folder: Path, **keys: Any) -> None:
        self.folder = folder
        self.objects = folder / "objects"
        self.objects.mkdir(exist_ok=True)
        self.config = folder / "dicomd.yaml"
        self.log = folder / "dicomd.log"
        self.socket = folder / "control.sock"
        self.tree: dict[str, Any] = {
            "state_directory": str(folder / "state"),
            "control_socket": str(self.socket),
            "drain_timeout": 10,
            "listeners": {"one": {"address": "127.0.0.1", "port": 0, "workers": 2}},
            "stores": {"archive": {"directory": str(self.objects), "min_free_space": 0}},
            "logging": {"file": {"path": str(self.log)}, "level": "debug"},
            **keys,
        }
        self.process: subprocess.Popen[bytes] | None = None
        self._associations: list[Association] = []
        self.write()

    def write(self) -> None:
        """Write the configuration; JSON is YAML."""
        self.config.write_text(json.dumps(self.tree, indent=2))

    def start(
        self,
        *,
        environ: Mapping[str, str] | None = None,
        prefix: Sequence[str] = (),
        descriptors: Sequence[int] = (),
    ) -> None:
        """Start it and wait until it is ready."""
        before = len(self.events("daemon.started"))
        self.launch(environ=environ, prefix=prefix, descriptors=descriptors)
        wait_until(lambda: len(self.events("daemon.started")) > before or self.has_ended, "start")
        assert not self.has_ended, self.errors()

    def launch(
        self,
        *,
        environ: Mapping[str, str] | None = None,
        prefix: Sequence[str] = (),
        descriptors: Sequence[int] = (),
    ) -> None:
        """Start it and don't wait."""
        with (self.folder / "stderr").open("ab") as errors:
            self.process = subprocess.Popen(
                [*prefix, *command("run", "--config", str(self.config))],
                env=environment(environ),
                stdin=subprocess.DEVNULL,
                stdout=errors,
                stderr=errors,
                pass_fds=descriptors,
            )

    @property
    def has_ended(self) -> bool:
        """Whether the process is gone."""
        return self.process is not None and self.process.poll() is not None

    @property
    def pid(self) -> int:
        """The supervisor's process id."""
        assert self.process is not None
        return self.process.pid

    def errors(self) -> str:
        """What it said on standard error."""
        return (self.folder / "stderr").read_text()

    def wait(self, seconds: float = DEADLINE_S) -> int:
        """Its exit code, once it has ended."""
        assert self.process is not None
        return self.process.wait(seconds)

    def events(self, name: str = "") -> list[dict[str, Any]]:
        """The whole lines of its log, those of one event only with ``name``."""
        if not self.log.exists():
            return []
        lines = self.log.read_text().split("\n")[:-1]
        found: list[dict[str, Any]] = [json.loads(line) for line in lines]
        return [event for event in found if not name or event["event"] == name]

    def ask(self, what: str, *, timeout_s: float = DEADLINE_S, **keys: Any) -> dict[str, Any]:
        """One request over the control socket; the whole answer."""
        with socket.socket(socket.AF_UNIX) as sock:
            sock.settimeout(timeout_s)
            folder = os.open(self.folder, os.O_PATH)
            try:
                sock.connect(f"/proc/self/fd/{folder}/{self.socket.name}")
            finally:
                os.close(folder)
            sock.sendall(json.dumps({"command": what, **keys}).encode() + b"\n")
            with sock.makefile() as lines:
                answer: dict[str, Any] = json.loads(lines.readline())
        return answer

    def status(self) -> dict[str, Any]:
        """What `dicomd status --json` prints."""
        answer = self.ask("status")
        assert answer["ok"], answer
        result: dict[str, Any] = answer["result"]
        return result

    def port(self, listener: str = "one") -> int:
        """Where a listener can be reached."""

        def opened() -> list[dict[str, Any]]:
            events = self.events("listener.opened")
            return [event for event in events if event["listener"] == listener]

        wait_until(opened, "the listener")
        found = opened()
        return int(found[-1]["addresses"][0].rpartition(":")[2])

    def call(self, port: int = 0) -> "Association":
        """An association with a listener; closed at the latest when the daemon ends."""
        association = Association(port or self.port())
        self._associations.append(association)
        return association

    def workers(self, role: str = "acceptor", state: str = "running") -> list[int]:
        """The pids of the processes in a role."""
        return [
            item["pid"]
            for item in self.status()["workers"]
            if item["role"] == role and item["state"] == state
        ]

    def signal(self, number: signal.Signals) -> None:
        """Send the supervisor a signal."""
        os.kill(self.pid, number)

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Another of dicomd's commands, on the same configuration."""
        verb, *rest = arguments
        return subprocess.run(
            command(verb, "--config", str(self.config), *rest),
            env=environment(),
            capture_output=True,
            text=True,
            timeout=DEADLINE_S,
            check=False,
        )

    def end(self) -> None:
        """Make sure that nothing of it is left."""
        for association in self._associations:
            association.sock.close()
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()


@contextmanager
def running(folder: Path, **keys: Any) -> Iterator[Daemon]:
    """A daemon that is ready; gone afterwards."""
    daemon = Daemon(folder, **keys)
    try:
        daemon.start()
        yield daemon
    finally:
        daemon.end()


def refuses(port: int) -> bool:
    """Whether nobody listens at a port."""
    try:
        socket.create_connection(("127.0.0.1", port), DEADLINE_S).close()
    except ConnectionRefusedError:
        return True
    except ConnectionResetError:
        return False
    return False


def descendants(pid: int) -> list[int]:
    """The living processes below a process."""
    found: list[int] = []
    for path in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in map(int, path.read_text().split()):
            found += [child, *descendants(child)]
    return found


def is_alive(pid: int) -> bool:
    """Whether a process is there and no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


class Association:
    """A sender's association, a PDU at a time."""

    def __init__(self, port: int, *, seconds: float = DEADLINE_S) -> None:
        self._received = b""
        self.sock = socket.create_connection(("127.0.0.1", port), seconds)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            self.sock.sendall(association_request())
            answer = self.receive()
            assert answer[:1] == b"\x02", f"not accepted: {answer!r}"
        except BaseException:
            self.sock.close()
            raise
        at = answer.index(b"\x51\x00\x00\x04")
        self.max_pdu = int.from_bytes(answer[at + 4 : at + 8])

    def receive(self) -> bytes:
        """The next PDU; empty when the peer has closed."""
        data = self._received
        while len(data) < 6 or len(data) < 6 + int.from_bytes(data[2:6]):
            more = self.sock.recv(65536)
            if not more:
                return b""
            data += more
        length = 6 + int.from_bytes(data[2:6])
        self._received = data[length:]
        return data[:length]

    def begin(self, number: int, size: int = 20000) -> bytes:
        """Send the first half of an object; returns the other half."""
        encoded = Encoded.make(number, 1, size, 16384)
        whole = encoded.heads[0] + encoded.tail
        half = len(whole) // 2
        self.sock.sendall(whole[:half])
        return whole[half:]

    def status(self) -> int:
        """The status of the response that comes next."""
        answer = self.receive()
        assert answer[:1] == b"\x04", f"no response: {answer!r}"
        at = 12  # behind the headers of the PDU and of its one PDV
        while answer[at : at + 4] != b"\x00\x00\x00\x09":
            at += 8 + int.from_bytes(answer[at + 4 : at + 8], "little")
        return int.from_bytes(answer[at + 8 : at + 10], "little")

    def store(self, number: int, size: int = 20000) -> int:
        """Send an object; its status."""
        self.sock.sendall(self.begin(number, size))
        return self.status()

    def release(self) -> bytes:
        """Release; returns the answer."""
        self.sock.sendall(RELEASE_REQUEST)
        answer = self.receive()
        self.sock.close()
        return answer
