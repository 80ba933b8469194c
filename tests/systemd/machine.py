"""A Debian tree, booted: made by debootstrap once, copied for each run, ended by its pid."""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

PACKAGES = "systemd,systemd-sysv,python3,logrotate,dcmtk,procps"
BOOT_S = 120.0


class MachineError(Exception):
    """A command in the machine failed, or the machine did not come up."""


def base_tree(suite: str, trees: Path) -> Path:
    """The suite's untouched tree; made when it is not there yet."""
    tree = trees / suite
    if not (tree / ".complete").exists():
        shutil.rmtree(tree, ignore_errors=True)
        tree.mkdir(parents=True)
        command = ["debootstrap", "--variant=minbase", f"--include={PACKAGES}", suite, str(tree)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        (tree / ".complete").touch()
    return tree


class Machine:
    """One booted copy. Mutable: the process of systemd-nspawn and the machine's own init."""

    def __init__(self, suite: str, trees: Path) -> None:
        self.suite = suite
        self.root = trees / f"{suite}-run-{os.getpid()}"
        self._base = base_tree(suite, trees)
        self._nspawn: subprocess.Popen[bytes] | None = None
        self._init = 0

    def __enter__(self) -> "Machine":
        shutil.rmtree(self.root, ignore_errors=True)
        subprocess.run(["cp", "-a", "--reflink=auto", self._base, self.root], check=True)
        self.boot()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.halt()
        shutil.rmtree(self.root, ignore_errors=True)

    def boot(self) -> None:
        """Start it and wait until its systemd says that everything is up."""
        command = ["systemd-nspawn", "-q", "-D", str(self.root), "-b", "--register=no"]
        self._nspawn = subprocess.Popen(
            [*command, "--keep-unit", "--private-network"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        self.wait(self._find_init, BOOT_S, "an init process")
        self.wait(
            lambda: (
                self.try_sh("systemctl is-system-running")[1].strip() in ("running", "degraded")
            ),
            BOOT_S,
            "the end of the boot",
        )

    def _find_init(self) -> bool:
        assert self._nspawn is not None
        children = Path(f"/proc/{self._nspawn.pid}/task/{self._nspawn.pid}/children").read_text()
        for child in children.split():
            # systemd-nspawn's own helper stands there first.
            if Path(f"/proc/{child}/comm").read_text().strip() == "systemd":
                self._init = int(child)
        return self._init != 0

    def halt(self) -> None:
        """Power off, by force when it does not go by itself."""
        if self._nspawn is None:
            return
        self.try_sh("systemctl poweroff")
        try:
            self._nspawn.wait(60)
        except subprocess.TimeoutExpired:
            os.kill(self._init, signal.SIGKILL)
            self._nspawn.wait(30)
        self._nspawn = None
        self._init = 0

    def try_sh(self, script: str, timeout_s: float = 120.0) -> tuple[int, str]:
        """Run a shell script in the machine: exit code and output (both streams)."""
        done = subprocess.run(
            ["nsenter", "-t", str(self._init), "-a", "--", "/bin/sh", "-c", script],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=timeout_s,
            check=False,
        )
        return done.returncode, done.stdout.decode(errors="replace")

    def sh(self, script: str, timeout_s: float = 120.0) -> str:
        """The same, but an exit code other than 0 is an error."""
        code, output = self.try_sh(script, timeout_s)
        if code != 0:
            raise MachineError(f"{self.suite}: `{script}` ended with {code}:\n{output}")
        return output

    def wait(self, condition: Callable[[], bool], seconds: float, what: str) -> float:
        """Wait for a condition; returns the seconds it took."""
        start = time.monotonic()
        while time.monotonic() - start < seconds:
            if condition():
                return time.monotonic() - start
            time.sleep(0.05)
        raise MachineError(f"{self.suite}: {what} did not come within {seconds:g} s")

    def put(self, source: Path, place: str) -> None:
        """Copy a file into the machine."""
        target = self.root / place.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source, target)

    def write(self, place: str, text: str) -> None:
        """Replace a file's text, keeping its owner and mode."""
        (self.root / place.lstrip("/")).write_text(text)

    def read(self, place: str) -> str:
        """A file's text."""
        return (self.root / place.lstrip("/")).read_text()
