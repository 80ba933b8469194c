"""The service from day to day: receive, reload, rotate, die, come back, stop."""

import time

from tests.systemd.machine import Machine
from tests.systemd.steps import (
    CONFIG,
    LOG,
    SEND_PLAIN,
    events,
    expect,
    main_pid,
    objects,
    pids,
    status,
    wait_active,
)


def receive(machine: Machine) -> None:
    """A study sent to the configuration as installed is on disk and in the log."""
    machine.sh(SEND_PLAIN)
    expect(objects(machine) == 1, "the object is on disk")
    log = machine.read(LOG)
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
    expect("sotre" in machine.sh("dicomd status"), "status tells of the fault")
    told = machine.sh("systemctl show -P StatusText dicomd")
    expect("refused" in told and "sotre" in told, f"systemd's status line tells of it, not {told}")
    log = machine.read(LOG)
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
    expect("config.reloaded" in machine.read(LOG), "the log says so")


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
    old = pids(machine, "acceptor")
    for pid in old:
        machine.sh(f"kill -9 {pid}")
    machine.wait(
        lambda: (
            len(pids(machine, "acceptor")) == len(old)
            and not set(pids(machine, "acceptor")) & set(old)
        ),
        15,
        "new workers",
    )
    machine.sh(SEND_PLAIN)


def kill_others(machine: Machine) -> None:
    """kill -9 of the clerk and of the log writer: they are replaced, and no object is missed."""
    (clerk,) = pids(machine, "indexer")
    known = {one["pid"] for one in status(machine)["workers"]}
    children = machine.sh(f"pgrep -P {main_pid(machine)}").split()
    (writer,) = [child for child in map(int, children) if child not in known]
    machine.sh(f"kill -9 {clerk} {writer}")
    machine.wait(lambda: pids(machine, "indexer") not in ([], [clerk]), 15, "another clerk")
    lines = len(events(machine, "object.stored"))
    machine.sh(SEND_PLAIN)
    machine.wait(lambda: len(events(machine, "object.stored")) > lines, 10, "the object's line")


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


def stop(machine: Machine) -> None:
    """A stop is clean and quick, and leaves nothing running."""
    start = time.monotonic()
    machine.sh("systemctl stop dicomd")
    expect(time.monotonic() - start < 35, "it stops within the drain time")
    result = machine.sh("systemctl show -P Result dicomd").strip()
    expect(result == "success", f"the stop is a success, not {result}")
    left = "pgrep -u dicomd -f '/etc/dicomd/[d]icomd.yaml'"
    expect(machine.try_sh(left)[0] == 1, "no process is left")
    machine.sh("systemctl start dicomd")
    wait_active(machine)
