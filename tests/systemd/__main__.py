"""Install, start, receive, reload, rotate, kill, watch, stop, upgrade, remove: in Debian 12 and 13.

Each journey is a function; they run in the order of JOURNEYS, in one machine, as an administrator's
week would. The first failure ends the machine's run; the exit code tells.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path

from pydicom.data import get_testdata_file

from tests.systemd.machine import Machine, MachineError

ROOT = Path(__file__).parent.parent.parent
CONFIG = "/etc/dicomd/dicomd.yaml"
SEND_PLAIN = "TCP_NODELAY=1 storescu 127.0.0.1 11112 /root/CT_small.dcm"


def expect(condition: object, what: str) -> None:
    """One claim of a journey."""
    if not condition:
        raise MachineError(f"not so: {what}")


def main_pid(machine: Machine) -> int:
    return int(machine.sh("systemctl show -P MainPID dicomd").strip())


def workers(machine: Machine) -> list[int]:
    status = json.loads(machine.sh("dicomd status --json"))
    return [int(worker["pid"]) for worker in status["workers"]]


def objects(machine: Machine) -> int:
    return int(machine.sh("find /var/lib/dicomd/objects -type f -name 'CT.*' | wc -l"))


def wait_active(machine: Machine, seconds: float = 30.0) -> None:
    machine.wait(
        lambda: machine.try_sh("systemctl is-active dicomd")[1].strip() == "active",
        seconds,
        "an active service",
    )


def install(machine: Machine) -> None:
    """The package installs; its service is enabled, starts, and says READY."""
    package = next((ROOT / "dist").glob("dicomd_*_amd64.deb"))
    machine.put(package, "/root/dicomd.deb")
    machine.put(Path(str(get_testdata_file("CT_small.dcm"))), "/root/CT_small.dcm")
    machine.sh("dpkg -i /root/dicomd.deb", timeout_s=300)
    expect(machine.sh("systemctl is-enabled dicomd").strip() == "enabled", "the unit is enabled")
    machine.sh("systemctl start dicomd")
    wait_active(machine)
    expect("dicomd" in machine.sh(f"ps -o user= -p {main_pid(machine)}"), "it runs as dicomd")
    machine.sh("dicomd check")
    machine.sh("man -w dicomd 2>/dev/null || test -e /usr/share/man/man1/dicomd.1.gz")


def receive(machine: Machine) -> None:
    """A study sent to the configuration as installed is on disk and in the log."""
    machine.sh(SEND_PLAIN)
    expect(objects(machine) == 1, "the object is on disk")
    log = machine.read("/var/log/dicomd/dicomd.log")
    expect("object.stored" in log, "the log has a line for the object")
    mode = machine.sh("stat -c '%a %U' /var/lib/dicomd/objects/CT.*").split()
    expect(mode == ["640", "dicomd"], f"the file is private to dicomd, not {mode}")
    journal = machine.sh("journalctl -u dicomd -o cat --no-pager")
    expect("object.stored" in journal or "object.stored" in log, "the journal knows as well")
    expect("Status:" in machine.sh("systemctl status dicomd --no-pager"), "a status line stands")


def broken_reload(machine: Machine) -> None:
    """A broken configuration is refused: reload fails, the old service goes on."""
    good = machine.read(CONFIG)
    pid = main_pid(machine)
    machine.write(CONFIG, good.replace("store: archive", "sotre: archive"))
    code, _ = machine.try_sh("systemctl reload dicomd")
    expect(code != 0, "systemctl reload fails")
    expect(machine.try_sh("systemctl is-active dicomd")[1].strip() == "active", "it goes on")
    machine.sh(SEND_PLAIN)
    status = machine.sh("dicomd status")
    expect("reject" in status.lower() or "refused" in status.lower(), "status tells of the fault")
    log = machine.read("/var/log/dicomd/dicomd.log")
    expect("config.rejected" in log and "sotre" in log, "the log names the key")
    expect(main_pid(machine) == pid, "the supervisor is the same")
    machine.write(CONFIG, good)


def sound_reload(machine: Machine) -> None:
    """A new port is listened on, the old one is let go, the supervisor is the same."""
    good = machine.read(CONFIG)
    pid = main_pid(machine)
    machine.write(CONFIG, good.replace("port: 11112", "port: 11113"))
    machine.sh("systemctl reload dicomd")
    machine.sh(SEND_PLAIN.replace("11112", "11113"))
    expect(machine.try_sh("TCP_NODELAY=1 echoscu 127.0.0.1 11112")[0] != 0, "11112 is closed")
    machine.write(CONFIG, good)
    machine.sh("systemctl reload dicomd")
    machine.sh("TCP_NODELAY=1 echoscu 127.0.0.1 11112")
    expect(main_pid(machine) == pid, "the supervisor is the same")
    expect("config.reloaded" in machine.read("/var/log/dicomd/dicomd.log"), "the log says so")


def logrotate(machine: Machine) -> None:
    """logrotate moves the log away and the daemon writes a new one."""
    machine.sh("logrotate -f /etc/logrotate.d/dicomd")
    machine.sh(SEND_PLAIN)
    machine.wait(
        lambda: (
            machine.try_sh("grep -c object.stored /var/log/dicomd/dicomd.log")[1].strip() == "1"
        ),
        10,
        "the line in the new log",
    )


def kill_worker(machine: Machine) -> None:
    """kill -9 of every worker: they are replaced and the next sender is served."""
    old = workers(machine)
    for pid in old:
        machine.sh(f"kill -9 {pid}")
    machine.wait(
        lambda: len(workers(machine)) == len(old) and not set(workers(machine)) & set(old),
        15,
        "new workers",
    )
    machine.sh(SEND_PLAIN)


def kill_supervisor(machine: Machine) -> None:
    """kill -9 of the supervisor: systemd starts it again, nothing holds the port."""
    pid = main_pid(machine)
    machine.sh(f"kill -9 {pid}")
    machine.wait(lambda: main_pid(machine) not in (0, pid), 30, "a new supervisor")
    wait_active(machine)
    machine.sh(SEND_PLAIN)


def watchdog(machine: Machine) -> None:
    """A supervisor that hangs is ended by systemd's watchdog and started anew."""
    machine.sh(
        "mkdir -p /etc/systemd/system/dicomd.service.d && "
        "printf '[Service]\\nWatchdogSec=4\\n' > "
        "/etc/systemd/system/dicomd.service.d/quick.conf && "
        "systemctl daemon-reload && systemctl restart dicomd"
    )
    wait_active(machine)
    pid = main_pid(machine)
    machine.sh(f"kill -STOP {pid}")
    machine.wait(lambda: main_pid(machine) not in (0, pid), 60, "a restart by the watchdog")
    wait_active(machine)
    machine.sh(SEND_PLAIN)
    machine.sh("rm -r /etc/systemd/system/dicomd.service.d && systemctl daemon-reload")


def socket_activation(machine: Machine) -> None:
    """With the socket unit callers wait in the backlog during a restart; none is refused."""
    good = machine.read(CONFIG)
    machine.sh("systemctl stop dicomd")
    machine.write(CONFIG, re.sub(r" *address:.*\n *port: 11112 *\n", "    socket: dicom\n", good))
    machine.sh("systemctl start dicomd.socket")
    machine.sh("systemctl start dicomd")
    wait_active(machine)
    machine.sh(SEND_PLAIN)
    script = (
        "systemctl restart dicomd & n=0; for i in 1 2 3 4 5 6 7 8 9 10; do "
        "TCP_NODELAY=1 echoscu -to 30 -ta 30 127.0.0.1 11112 || n=$((n+1)); done; wait; echo $n"
    )
    expect(machine.sh(script, 300).strip().splitlines()[-1] == "0", "no caller was refused")
    machine.sh("systemctl stop dicomd.socket dicomd")
    machine.write(CONFIG, good)
    machine.sh("systemctl start dicomd")
    wait_active(machine)


def notify_reload(machine: Machine) -> None:
    """Where systemd has it, the drop-in for Type=notify-reload works too."""
    version = int(re.findall(r"systemd (\d+)", machine.sh("systemctl --version"))[0])
    if version < 253:
        return
    machine.sh("mkdir -p /etc/systemd/system/dicomd.service.d")
    machine.put(
        ROOT / "systemd/notify-reload.conf",
        "/etc/systemd/system/dicomd.service.d/notify-reload.conf",
    )
    machine.sh("systemctl daemon-reload && systemctl restart dicomd && systemctl reload dicomd")
    machine.sh(SEND_PLAIN)
    machine.sh("rm -r /etc/systemd/system/dicomd.service.d && systemctl daemon-reload")
    machine.sh("systemctl restart dicomd")


def stop(machine: Machine) -> None:
    """A stop is clean and quick, and leaves nothing running."""
    start = time.monotonic()
    machine.sh("systemctl stop dicomd")
    expect(time.monotonic() - start < 35, "it stops within the drain time")
    result = machine.sh("systemctl show -P Result dicomd").strip()
    expect(result == "success", f"the stop is a success, not {result}")
    expect(machine.try_sh("pgrep -u dicomd")[0] == 1, "no process is left")
    machine.sh("systemctl start dicomd")
    wait_active(machine)


def upgrade(machine: Machine) -> None:
    """Installing the package again keeps an edited configuration, and the service runs."""
    machine.write(CONFIG, machine.read(CONFIG) + "\n# edited here\n")
    before = objects(machine)
    machine.sh("dpkg -i --force-confold /root/dicomd.deb", timeout_s=300)
    wait_active(machine)
    expect("# edited here" in machine.read(CONFIG), "the configuration is kept")
    expect(objects(machine) == before, "the objects are kept")
    machine.sh(SEND_PLAIN)


def remove(machine: Machine) -> None:
    """Removal ends the service and keeps what was received."""
    before = objects(machine)
    machine.sh("dpkg -r dicomd", timeout_s=120)
    expect(machine.try_sh("pgrep -u dicomd")[0] == 1, "no process is left")
    expect(objects(machine) == before, "the objects are kept")
    expect(not (machine.root / "usr/bin/dicomd").exists(), "the program is gone")


JOURNEYS: tuple[Callable[[Machine], None], ...] = (
    install,
    receive,
    broken_reload,
    sound_reload,
    logrotate,
    kill_worker,
    kill_supervisor,
    watchdog,
    socket_activation,
    notify_reload,
    stop,
    upgrade,
    remove,
)


def run_suite(suite: str, trees: Path) -> bool:
    """All journeys in one machine; True when all passed."""
    with Machine(suite, trees) as machine:
        for journey in JOURNEYS:
            start = time.monotonic()
            try:
                journey(machine)
            except (MachineError, subprocess.TimeoutExpired, ValueError, KeyError, OSError):
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
    passed = [run_suite(suite, arguments.trees) for suite in arguments.suites]
    print(f"{sum(passed)} passed, {len(passed) - sum(passed)} failed")
    return 0 if all(passed) else 1


if __name__ == "__main__":
    sys.exit(main())
