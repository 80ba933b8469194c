"""The package's own journeys: installed, upgraded, removed, purged; and what the .rpm holds."""

import shutil
import subprocess
import sys
from pathlib import Path

from pydicom.data import get_testdata_file

import dicomd
from tests.systemd.machine import Machine
from tests.systemd.retrieval import retrieved
from tests.systemd.steps import CONFIG, ROOT, SEND_PLAIN, expect, main_pid, objects, wait_active

BEFORE = "0.0.9"
"""The version that is upgraded from: the same files under a lower number."""


def make_the_one_before(folder: Path) -> None:
    """Packages of the older version in ``folder``."""
    subprocess.run(
        [
            *(sys.executable, str(ROOT / "packaging/build.py")),
            *("--gathered", "--version", BEFORE, "--target", str(folder)),
        ],
        check=True,
        stdout=subprocess.DEVNULL,
    )


def deb(folder: Path, version: str) -> Path:
    """The one package of a version."""
    return folder / f"dicomd_{version}_amd64.deb"


def install(machine: Machine) -> None:
    """The package installs; its service is enabled, starts, and says READY."""
    machine.put(deb(ROOT / "dist/before", BEFORE), "/root/before.deb")
    machine.put(deb(ROOT / "dist", dicomd.__version__), "/root/dicomd.deb")
    machine.put(Path(str(get_testdata_file("CT_small.dcm"))), "/root/CT_small.dcm")
    machine.sh("dpkg -i /root/before.deb", timeout_s=300)
    expect(machine.sh("systemctl is-enabled dicomd").strip() == "enabled", "the unit is enabled")
    machine.sh("systemctl start dicomd")
    wait_active(machine)
    expect("dicomd" in machine.sh(f"ps -o user= -p {main_pid(machine)}"), "it runs as dicomd")
    machine.sh("dicomd check")
    for page in ("man1/dicomd.1.gz", "man5/dicomd.yaml.5.gz", "man5/dicomd-profile.5.gz"):
        machine.sh(f"gzip -t /usr/share/man/{page}")
    machine.sh("test -s /usr/share/bash-completion/completions/dicomd")
    modes = machine.sh(f"stat -c '%a %U:%G' /etc/dicomd {CONFIG} /var/lib/dicomd").split("\n")
    wanted = ["750 root:dicomd", "640 root:dicomd", "750 dicomd:dicomd"]
    expect(modes[:3] == wanted, f"folders and configuration are private: {modes}")


def upgrade(machine: Machine) -> None:
    """The new version takes over: edited configuration, objects and a running retrieval stay."""
    machine.write(CONFIG, machine.read(CONFIG) + "\n# edited here\n")
    before = objects(machine)
    pid = main_pid(machine)
    machine.sh("dpkg -i --force-confold /root/dicomd.deb", timeout_s=300)
    wait_active(machine)
    told = machine.sh("dpkg-query -W -f '${Version} ${Status}' dicomd").strip()
    expect(told == f"{dicomd.__version__} install ok installed", f"the new version is in: {told}")
    expect(main_pid(machine) not in (0, pid), "the service was restarted")
    expect("# edited here" in machine.read(CONFIG), "the configuration is kept")
    expect(objects(machine) >= before, "the objects are kept")
    machine.sh(SEND_PLAIN)
    expect(machine.sh("systemctl is-active dicomd@two").strip() == "active", "the instance goes on")
    retrieved(machine)


def remove(machine: Machine) -> None:
    """Removal ends the services and keeps configuration and what was received."""
    before = objects(machine)
    machine.sh("dpkg -r dicomd", timeout_s=120)
    expect(machine.try_sh("pgrep -u dicomd")[0] == 1, "no process is left")
    expect(objects(machine) == before, "the objects are kept")
    expect("# edited here" in machine.read(CONFIG), "the configuration is kept")
    expect(not (machine.root / "usr/bin/dicomd").exists(), "the program is gone")
    expect(not (machine.root / "usr/lib/dicomd").exists(), "so are its libraries")


def purge(machine: Machine) -> None:
    """Purging takes the configuration, and never what was received; it can be installed anew."""
    before = objects(machine)
    machine.sh("dpkg -P dicomd", timeout_s=120)
    expect(not (machine.root / CONFIG.lstrip("/")).exists(), "the configuration is gone")
    expect(objects(machine) == before, "the objects are kept")
    expect((machine.root / "var/lib/dicomd/index.sqlite").exists(), "the index is kept")
    machine.sh("dpkg -i /root/dicomd.deb && systemctl start dicomd", timeout_s=300)
    wait_active(machine)
    machine.sh(SEND_PLAIN)
    machine.sh("dicomd verify")
    expect(objects(machine) == before, "the objects are found again")


def rpm() -> str:
    """What rpm says of the .rpm; the first claim that does not hold, or nothing."""
    (package,) = (ROOT / "dist").glob(f"dicomd-{dicomd.__version__}-*.x86_64.rpm")

    def ask(*query: str) -> str:
        return subprocess.run(
            [shutil.which("rpm") or "rpm", *query, str(package)],
            check=True,
            capture_output=True,
            text=True,
        ).stdout

    files = ask("-qpl").split()
    kept = ask("-qpc").split()
    scripts = ask("-qp", "--scripts")
    modes = {line.split()[-1]: line.split()[0] for line in ask("-qplv").splitlines()}
    claims = {
        "the digests are right": "digests OK" in ask("-K"),
        "the program can be run": modes.get("/usr/bin/dicomd") == "-rwxr-xr-x",
        "the configuration is private": modes.get(CONFIG) == "-rw-r-----",
        "the configuration is kept": CONFIG in kept and "/etc/logrotate.d/dicomd" in kept,
        "the units are there": "/usr/lib/systemd/system/dicomd@.service" in files,
        "the pages are there": "/usr/share/man/man5/dicomd.yaml.5.gz" in files,
        "nothing was compiled": not any("__pycache__" in name for name in files),
        "it needs a Python": "python3" in ask("-qp", "--requires"),
        "it has its scripts": all(
            f"{when} scriptlet" in scripts for when in ("postinstall", "preuninstall")
        ),
    }
    return next((claim for claim, holds in claims.items() if not holds), "")
