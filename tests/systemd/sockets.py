"""Callers wait, and are not refused, while the service is away."""

import re

from tests.systemd.machine import Machine
from tests.systemd.steps import (
    CONFIG,
    DROP_IN,
    ECHO,
    ROOT,
    SEND_PLAIN,
    expect,
    main_pid,
    wait_active,
)

KNOCKER = """
import socket, sys, time
refused = calls = 0
end = time.monotonic() + float(sys.argv[1])
while time.monotonic() < end:
    try:
        socket.create_connection(("127.0.0.1", 11112), 30).close()
    except ConnectionRefusedError:
        refused += 1
    except ConnectionResetError:
        pass
    calls += 1
    time.sleep(0.002)
print(calls, refused)
"""
"""Calls and hangs up, and counts who would not even let it in."""


def descriptor_store(machine: Machine) -> None:
    """Without a socket unit, too: systemd keeps the sockets over kill -9 and over a restart."""
    (machine.root / "root/knock.py").write_text(KNOCKER)
    pid = main_pid(machine)
    expect(machine.sh("systemctl show -P NFileDescriptorStore dicomd").strip() != "0", "kept")
    told = machine.sh(
        f"python3 /root/knock.py 8 > /root/knocked & kill -9 {pid};"
        " while pgrep -u dicomd >/dev/null; do :; done;"
        f" {ECHO} && echo served; systemctl restart dicomd; {ECHO} && echo served again;"
        " wait; cat /root/knocked"
    )
    expect("served\nserved again" in told, "a caller who came meanwhile was served")
    calls, refused = map(int, told.split()[-2:])
    expect(calls > 100 and refused == 0, f"nobody of {calls} was refused, not {refused}")
    wait_active(machine)


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
    machine.sh(f"mkdir -p {DROP_IN}")
    machine.put(
        ROOT / "systemd/notify-reload.conf",
        f"{DROP_IN}/notify-reload.conf",
    )
    machine.sh("systemctl daemon-reload && systemctl restart dicomd && systemctl reload dicomd")
    machine.sh(SEND_PLAIN)
    machine.sh("dicomd reload")
    machine.sh(f"kill -HUP {main_pid(machine)}")
    wait_active(machine)
    machine.sh(SEND_PLAIN)
    machine.sh(f"rm -r {DROP_IN} && systemctl daemon-reload")
    machine.sh("systemctl restart dicomd")
