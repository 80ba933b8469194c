"""Install, receive, reload, rotate, kill, watch, retrieve, upgrade, remove: in Debian 12 and 13.

Each journey is a function; they run in the order of JOURNEYS, in one machine, as an administrator's
week would. The first failure ends the machine's run; the exit code tells.
"""

import argparse
import os
import subprocess
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path

from tests.systemd import guard, journal, package, retrieval, service, sockets
from tests.systemd.machine import Machine, MachineError
from tests.systemd.steps import ROOT

JOURNEYS: tuple[Callable[[Machine], None], ...] = (
    package.install,
    service.receive,
    journal.journal,
    journal.syslog,
    guard.exposure,
    service.broken_reload,
    service.sound_reload,
    service.logrotate,
    service.kill_worker,
    service.kill_others,
    service.kill_supervisor,
    service.watchdog,
    sockets.descriptor_store,
    sockets.socket_activation,
    sockets.notify_reload,
    guard.verify,
    guard.metrics,
    guard.credentials,
    guard.instance,
    journal.patients,
    service.stop,
    retrieval.retrieval,
    package.upgrade,
    package.remove,
    package.purge,
)


def run_suite(suite: str, trees: Path) -> bool:
    """All journeys in one machine; True when all passed."""
    with Machine(suite, trees) as machine:
        for journey in JOURNEYS:
            start = time.monotonic()
            try:
                # More starts than a real day has: they are not to be taken for a crash loop.
                machine.try_sh("systemctl reset-failed dicomd")
                journey(machine)
            except (MachineError, subprocess.SubprocessError, ValueError, KeyError, OSError):
                print(f"{suite} {journey.__name__}: FAILED", flush=True)
                traceback.print_exc()
                print(machine.try_sh("journalctl -u dicomd -n 60 --no-pager")[1], flush=True)
                return False
            seconds = time.monotonic() - start
            print(f"{suite} {journey.__name__}: passed ({seconds:.1f} s)", flush=True)
    return True


def main() -> int:
    """Boot each suite's machine and run the journeys."""
    parser = argparse.ArgumentParser(prog="python -m tests.systemd", description=__doc__)
    parser.add_argument("suites", nargs="*", default=["bookworm", "trixie"])
    parser.add_argument("--trees", type=Path, default=Path("/var/tmp/dicomd-trees"))
    arguments = parser.parse_args()
    if os.geteuid() != 0:
        parser.error("systemd-nspawn needs root")
    fault = package.rpm()
    print(f"rpm: {f'FAILED: not so: {fault}' if fault else 'passed'}", flush=True)
    package.make_the_one_before(ROOT / "dist/before")
    passed = [run_suite(suite, arguments.trees) for suite in arguments.suites]
    print(f"{sum(passed)} passed, {len(passed) - sum(passed)} failed")
    return 0 if all(passed) and not fault else 1


if __name__ == "__main__":
    sys.exit(main())
