"""A PostgreSQL server for tests: made, started and stopped by them."""

import os
import pwd
import shutil
import subprocess
from pathlib import Path
from typing import Self

from tests.requestor.daemon import free_port, wait_until


def programs() -> Path:
    """Where the server's programs are; they must be installed."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    assert found, "no PostgreSQL here; install the package postgresql"
    return found[-1].parent


class Postgres:
    """A server with one database, on a port of its own. initdb refuses root, so as ``postgres``
    where the tests run as root."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self.url = f"postgresql://dicomd@127.0.0.1:{self.port}/postgres"
        self._user: str | None = None
        if os.geteuid() == 0:
            self._user = "postgres"
            entry = pwd.getpwnam("postgres")
            os.chown(folder, entry.pw_uid, entry.pw_gid)

    def __enter__(self) -> Self:
        data = self.folder / "data"
        self._run("initdb", "-D", str(data), "-U", "dicomd", "-A", "trust", "--no-sync")
        options = f"-p {self.port} -k {self.folder} -h 127.0.0.1 -F"
        self._run(
            "pg_ctl", "-D", str(data), "-o", options, "-l", str(self.folder / "log"), "-w", "start"
        )
        wait_until(lambda: self._ready(), "PostgreSQL answers")
        return self

    def __exit__(self, *exc: object) -> None:
        self._run("pg_ctl", "-D", str(self.folder / "data"), "-m", "immediate", "stop")
        shutil.rmtree(self.folder, ignore_errors=True)

    def _ready(self) -> bool:
        done = subprocess.run(
            [str(programs() / "pg_isready"), "-h", "127.0.0.1", "-p", str(self.port)],
            capture_output=True,
            check=False,
        )
        return done.returncode == 0

    def _run(self, program: str, *arguments: str) -> None:
        subprocess.run(
            [str(programs() / program), *arguments],
            check=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            user=self._user,
            cwd="/",
        )
