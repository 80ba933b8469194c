"""A log service in a process of its own, so that a test's structlog stays what it was."""

import json
import os
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from dicomd.logs.configure import LogService, prepare
from dicomd.settings.log import LogFileSettings, LogSettings


def in_child(body: Callable[[], None]) -> None:
    """Run ``body`` in a forked process; AssertionError if it fails."""
    pid = os.fork()
    if not pid:
        status = 1
        try:
            body()
            status = 0
        except BaseException:
            traceback.print_exc()
            sys.stderr.flush()
        finally:
            os._exit(status)
    assert os.waitpid(pid, 0)[1] == 0


def speak(settings: LogSettings, body: Callable[[LogService], None], **more: Any) -> None:
    """Start a service, run ``body``, stop the service; all in a child."""

    def run() -> None:
        service = LogService()
        service.start(prepare(settings, **more))
        body(service)
        service.stop()

    in_child(run)


def to_file(path: Path, **keys: Any) -> LogSettings:
    """Settings with one file and nothing else."""
    return LogSettings(file=LogFileSettings(path=str(path)), **keys)


def lines_of(path: Path) -> list[dict[str, Any]]:
    """The JSON lines of a file."""
    return [json.loads(line) for line in path.read_text().splitlines()]
