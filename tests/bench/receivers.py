"""The receivers that are compared, each a process of its own on a port of its own."""

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

PROFILE = """[[TransferSyntaxes]]
[Uncompressed]
TransferSyntax1 = LittleEndianExplicit
TransferSyntax2 = LittleEndianImplicit
[[PresentationContexts]]
[Images]
PresentationContext1 = CTImageStorage\\Uncompressed
PresentationContext2 = VerificationSOPClass\\Uncompressed
[[Profiles]]
[Default]
PresentationContexts = Images
"""
DAEMON = """state_directory: {base}/state
logging:
  level: {level}
  file: {{path: {base}/dicomd.log}}
listeners:
  main: {{address: 127.0.0.1, port: {port}, ae_title: DICOMD}}
stores:
  archive: {{directory: {folder}, durability: none}}
"""
_START_S = 20.0


@dataclass(frozen=True, slots=True)
class Kind:
    """How a receiver is started. ``disk`` says where its objects go: in memory or on a disk.
    With ``level`` it is the daemon, with a JSON log file of that level."""

    name: str
    command: tuple[str, ...]
    no_delay: bool = False
    disk: bool = False
    level: str = ""


_DICOMD = (sys.executable, "-m", "dicomd", "recv")
_BEST = ("+B", "-pdu", "131072")
DCMRECV = Kind("dcmrecv as packaged", ("/usr/bin/dcmrecv",))
DCMRECV_BEST = Kind("dcmrecv at its best", ("/usr/bin/dcmrecv", *_BEST), no_delay=True)
DICOMD = Kind("dicomd recv, not durable", (*_DICOMD, "--durability", "none"))
DICOMD_BEST = Kind("dicomd recv, not durable", (*_DICOMD, *_BEST, "--durability", "none"))
DICOMD_DURABLE = Kind("dicomd recv, durable", _DICOMD, disk=True)
DAEMON_SILENT = Kind(
    "dicomd run, no log lines", (sys.executable, "-m", "dicomd", "run"), level="error"
)
DAEMON_JSON = Kind(
    "dicomd run, a JSON line an object", (sys.executable, "-m", "dicomd", "run"), level="info"
)
DCMRECV_DISK = Kind("dcmrecv as packaged", ("/usr/bin/dcmrecv",), disk=True)


@dataclass(slots=True)
class Receiver:
    """A running receiver. Mutable: nothing but its process."""

    kind: Kind
    port: int
    folder: Path
    process: subprocess.Popen[bytes]
    errors: Path
    counted: list[Path] = field(default_factory=list)

    def cpu_seconds(self) -> float:
        """Processor time of the process and its children, all threads, since their start."""
        total = 0
        for pid in _family(self.process.pid):
            with contextlib.suppress(OSError):
                for task in Path(f"/proc/{pid}/task").iterdir():
                    total += int((task / "schedstat").read_text().split()[0])
        return total / 1e9

    def memory_kib(self) -> int:
        """The most that one of its processes has held resident."""
        most = 0
        for pid in _family(self.process.pid):
            for line in Path(f"/proc/{pid}/status").read_text().splitlines():
                if line.startswith("VmHWM:"):
                    most = max(most, int(line.split()[1]))
        return most

    def files(self) -> list[Path]:
        """What it has stored, in order of name."""
        return sorted(path for path in self.folder.iterdir() if path.is_file())

    def empty(self) -> None:
        """Delete what was received; the folder stays."""
        for path in self.files():
            path.unlink()


def _family(pid: int) -> list[int]:
    found = [pid]
    with contextlib.suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in (task / "children").read_text().split():
                found.extend(_family(int(child)))
    return found


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        port: int = sock.getsockname()[1]
        return port


@contextlib.contextmanager
def running(kind: Kind, place: Path) -> Iterator[Receiver]:
    """The receiver, listening, with an empty folder below ``place``."""
    base = place / "".join(char if char.isalnum() else "-" for char in kind.name)
    shutil.rmtree(base, ignore_errors=True)
    folder = base / "objects"
    folder.mkdir(parents=True)
    profile = base / "profile.cfg"
    profile.write_text(PROFILE)
    port = _free_port()
    arguments = ["-xf", str(profile), "Default", "-dhl", "-od", str(folder), str(port)]
    if kind.level:
        config = base / "dicomd.yaml"
        config.write_text(DAEMON.format(base=base, folder=folder, port=port, level=kind.level))
        (base / "state").mkdir()
        arguments = ["--config", str(config)]
    environment = dict(os.environ)
    environment.pop("TCP_NODELAY", None)
    if kind.no_delay:
        environment["TCP_NODELAY"] = "1"
    errors = base / "errors"
    with errors.open("wb") as log:
        process = subprocess.Popen([*kind.command, *arguments], env=environment, stderr=log)
    try:
        deadline = time.monotonic() + _START_S
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                break
            assert process.poll() is None, errors.read_text()
            assert time.monotonic() < deadline, f"{kind.name} does not listen"
            time.sleep(0.02)
        yield Receiver(kind, port, folder, process, errors)
    finally:
        process.terminate()
        process.wait(60)
        shutil.rmtree(base, ignore_errors=True)
