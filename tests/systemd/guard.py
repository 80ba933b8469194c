"""What keeps the service in bounds, and what it can still do there: TLS, metrics, instances."""

import json
import re
import subprocess
import tempfile
from pathlib import Path

from tests.systemd.machine import Machine
from tests.systemd.steps import (
    CONFIG,
    DROP_IN,
    ECHO,
    SEND_PLAIN,
    configure,
    expect,
    main_pid,
    objects,
    wait_active,
)

MOST_EXPOSURE = 1.5
PASSWORD = "correct horse"
FETCH = (
    "import sys, urllib.request; "
    "page = urllib.request.urlopen('http://127.0.0.1:9104' + sys.argv[1]); "
    "sys.stdout.write(page.read().decode())"
)
TLS = """\
    tls:
      certificate: /etc/dicomd/tls/certificate.pem
      key: /etc/dicomd/tls/key.pem
      key_password_file: credential:tls-key-password
      client_certificate: none
"""
TWO = """\
state_directory: /var/lib/dicomd/two
control_socket: /run/dicomd-two/control.sock
listeners:
  other: {address: 127.0.0.1, port: 11114, ae_title: TWO, store: archive}
stores:
  archive: {directory: /var/lib/dicomd/two/objects}
logging:
  file: {path: /var/log/dicomd/two.log, rotate: external}
"""


def exposure(machine: Machine) -> None:
    """What systemd itself says of the loaded unit, and of an instance."""
    for unit in ("dicomd.service", "dicomd@two.service"):
        told = machine.sh(f"systemd-analyze security --no-pager {unit}")
        (level,) = re.findall(r"Overall exposure level for .*: ([\d.]+)", told)
        expect(float(level) <= MOST_EXPOSURE, f"{unit} has an exposure of {level}")
    verified = machine.sh("systemd-analyze verify --man=no dicomd.service dicomd.socket 2>&1")
    expect("dicomd" not in verified, f"systemd has nothing to say of the units, not {verified}")
    told = machine.sh(f"grep -E '^(CapBnd|NoNewPrivs|Seccomp):' /proc/{main_pid(machine)}/status")
    expect(re.search(r"CapBnd:\s*0+\nNoNewPrivs:\s*1\nSeccomp:\s*2", told), f"it is bound: {told}")


def verify(machine: Machine) -> None:
    """`dicomd verify` and `dicomd index rebuild` are right as root and as the service's user."""
    machine.sh("dicomd verify")
    machine.sh("setpriv --reuid dicomd --regid dicomd --init-groups dicomd verify")
    before = objects(machine)
    machine.sh("mv /var/lib/dicomd/objects/CT.* /root/")
    code, told = machine.try_sh("dicomd verify")
    expect(code == 1 and "CT." in told, f"what is gone is named, not {code}: {told}")
    machine.sh("mv /root/CT.* /var/lib/dicomd/objects/")
    machine.sh("dicomd verify")
    expect(objects(machine) == before, "everything is back")


def metrics(machine: Machine) -> None:
    """/metrics, /healthz and /readyz answer after a reload that turns them on."""
    good = machine.read(CONFIG)
    configure(machine, good.replace("# metrics:", "metrics:"))
    machine.sh(SEND_PLAIN)
    machine.wait(
        lambda: machine.try_sh(f'python3 -c "{FETCH}" /readyz')[0] == 0, 10, "the metrics server"
    )
    told = machine.sh(f'python3 -c "{FETCH}" /metrics')
    expect("dicomd_up 1" in told, "dicomd_up is 1")
    (stored,) = re.findall(
        r'dicomd_objects_total\{listener="modalities",status="0000"\} (\S+)', told
    )
    expect(float(stored) >= 1, "objects are counted")
    (free,) = re.findall(r'dicomd_store_free_bytes\{store="archive"\} (\S+)', told)
    expect(float(free) > 0, "the store's room is told")
    machine.sh(f'python3 -c "{FETCH}" /healthz')
    configure(machine, good)


def credentials(machine: Machine) -> None:
    """A TLS key's password comes as a credential that the service's user cannot read on disk."""
    good = machine.read(CONFIG)
    with tempfile.TemporaryDirectory() as folder:
        key, certificate = Path(folder, "key.pem"), Path(folder, "certificate.pem")
        subprocess.run(
            [
                *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-passout", f"pass:{PASSWORD}"),
                *("-keyout", str(key), "-out", str(certificate), "-days", "2"),
                *("-subj", "/CN=localhost"),
            ],
            check=True,
            capture_output=True,
        )
        machine.put(key, "/etc/dicomd/tls/key.pem")
        machine.put(certificate, "/etc/dicomd/tls/certificate.pem")
    machine.sh(
        "chgrp -R dicomd /etc/dicomd/tls; chmod -R g+rX /etc/dicomd/tls;"
        f" mkdir -p /etc/dicomd/secrets {DROP_IN}; chmod 700 /etc/dicomd/secrets;"
        f" echo '{PASSWORD}' > /etc/dicomd/secrets/tls-key-password;"
        " printf '[Service]\\nLoadCredential=tls-key-password:"
        f"/etc/dicomd/secrets/tls-key-password\\n' > {DROP_IN}/credentials.conf;"
        " systemctl daemon-reload"
    )
    machine.write(CONFIG, good.replace("    store: archive\n", f"    store: archive\n{TLS}"))
    machine.sh("systemctl restart dicomd")
    machine.sh(ECHO.replace("echoscu", "echoscu +tla -ic"))
    expect(machine.try_sh(ECHO)[0] != 0, "without TLS nobody is served")
    machine.sh("systemctl reload dicomd")
    machine.sh(ECHO.replace("echoscu", "echoscu +tla -ic"))
    expect(PASSWORD not in machine.sh("dicomd check --print 2>&1 || true"), "it is not shown")
    machine.write(CONFIG, good)
    machine.sh(f"rm -r {DROP_IN}; systemctl daemon-reload; systemctl restart dicomd")
    wait_active(machine)


def instance(machine: Machine) -> None:
    """A second daemon by the template unit, beside the first, with all of its own."""
    machine.write("/etc/dicomd/two.yaml", TWO)
    machine.sh("chgrp dicomd /etc/dicomd/two.yaml; systemctl enable --now dicomd@two")
    wait_active(machine, unit="dicomd@two")
    machine.sh(SEND_PLAIN.replace("11112", "11114"))
    machine.sh(SEND_PLAIN)
    found = machine.sh("find /var/lib/dicomd/two/objects -name 'CT.*' | wc -l").strip()
    expect(found == "1", f"the second has its own store, with {found} objects")
    told = json.loads(machine.sh("dicomd status --json --config /etc/dicomd/two.yaml"))
    expect(list(told["listeners"]) == ["other"], "its status is its own")
    machine.sh("systemctl reload dicomd@two")
    machine.sh("logrotate -f /etc/logrotate.d/dicomd")
    machine.sh(SEND_PLAIN.replace("11112", "11114"))
    machine.wait(
        lambda: "object.stored" in machine.try_sh("cat /var/log/dicomd/two.log")[1],
        10,
        "the second's line in its new log",
    )
    machine.sh("dicomd verify --config /etc/dicomd/two.yaml")
