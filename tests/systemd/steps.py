"""What the journeys share: the service as an administrator sees it."""

import json
from pathlib import Path
from typing import Any

from tests.systemd.machine import Machine, MachineError

ROOT = Path(__file__).parent.parent.parent
CONFIG = "/etc/dicomd/dicomd.yaml"
LOG = "/var/log/dicomd/dicomd.log"
DROP_IN = "/etc/systemd/system/dicomd.service.d"
SEND_PLAIN = "TCP_NODELAY=1 storescu 127.0.0.1 11112 /root/CT_small.dcm"
ECHO = "TCP_NODELAY=1 echoscu 127.0.0.1 11112"


def expect(condition: object, what: str) -> None:
    """One claim of a journey."""
    if not condition:
        raise MachineError(f"not so: {what}")


def main_pid(machine: Machine) -> int:
    """The supervisor's process id, as systemd knows it."""
    return int(machine.sh("systemctl show -P MainPID dicomd").strip())


def status(machine: Machine) -> dict[str, Any]:
    """What `dicomd status --json` prints."""
    told: dict[str, Any] = json.loads(machine.sh("dicomd status --json"))
    return told


def pids(machine: Machine, role: str) -> list[int]:
    """The processes in a role."""
    return [one["pid"] for one in status(machine)["workers"] if one["role"] == role]


def objects(machine: Machine) -> int:
    """How many objects are on disk."""
    return int(machine.sh("find /var/lib/dicomd/objects -type f -name 'CT.*' | wc -l"))


def events(machine: Machine, name: str) -> list[dict[str, Any]]:
    """The log's lines of one event."""
    lines = machine.read(LOG).splitlines()
    return [line for line in map(json.loads, lines) if line["event"] == name]


def wait_active(machine: Machine, seconds: float = 30.0, unit: str = "dicomd") -> None:
    """Wait until the service has said READY."""
    machine.wait(
        lambda: machine.try_sh(f"systemctl is-active {unit}")[1].strip() == "active",
        seconds,
        f"an active {unit}",
    )


def configure(machine: Machine, text: str) -> None:
    """Write the configuration and have it taken up."""
    machine.write(CONFIG, text)
    machine.sh("systemctl reload dicomd")
