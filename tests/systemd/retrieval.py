"""A scheduled retrieval from DCMTK's archive, under all the hardening, and over an upgrade."""

import json
from typing import Any

from tests.requestor.archive import make_instances
from tests.requestor.real_archives import write_files
from tests.systemd.machine import Machine
from tests.systemd.steps import CONFIG, configure, expect, objects, pids

STUDIES = 8
ARCHIVE = """\
NetworkTCPPort = 11115
MaxPDUSize = 16384
MaxAssociations = 16
HostTable BEGIN
dicomd = (DICOMD, 127.0.0.1, 11112)
HostTable END
VendorTable BEGIN
VendorTable END
AETable BEGIN
ARCHIVE /root/archive RW (500, 1024mb) ANY
AETable END
"""
KEYS = """
remotes:
  PACS: {host: 127.0.0.1, port: 11115, ae_title: ARCHIVE, calling_ae_title: DICOMD}
retrievals:
  all:
    remote: PACS
    destination: modalities
    find: {level: STUDY}
    rate: {studies_per_hour: 1200}
    settle: 500ms
"""


def job(machine: Machine) -> dict[str, Any]:
    """What `dicomd jobs show` knows of the retrieval."""
    shown: dict[str, Any] = json.loads(machine.sh("dicomd jobs show --json all"))
    return shown


def retrieval(machine: Machine) -> None:
    """The requestor works under the hardening; a run begins, and studies arrive, at their rate."""
    (machine.root / "root/archive").mkdir()
    (machine.root / "root/dcmqrscp.cfg").write_text(ARCHIVE)
    write_files(machine.root / "root/files", make_instances(STUDIES, 1, 2))
    machine.sh("systemd-run --unit=archive dcmqrscp -c /root/dcmqrscp.cfg")
    machine.wait(
        lambda: machine.try_sh("echoscu -aec ARCHIVE 127.0.0.1 11115")[0] == 0, 20, "the archive"
    )
    machine.sh("TCP_NODELAY=1 storescu -aec ARCHIVE 127.0.0.1 11115 /root/files/*.dcm")
    expect("no retrievals" in machine.sh("dicomd jobs list"), "there are none at first")
    configure(machine, machine.read(CONFIG) + KEYS)
    machine.wait(lambda: "all" in machine.try_sh("dicomd jobs list")[1], 30, "the job in the list")
    expect(len(pids(machine, "requestor")) == 1, "one requestor runs")
    before = objects(machine)
    machine.sh("dicomd jobs run all")
    machine.wait(lambda: objects(machine) >= before + 2, 60, "the first study")
    expect(not job(machine)["run"]["ended"], "the run is under way")


def retrieved(machine: Machine) -> None:
    """The run that was under way goes on by itself, and ends complete."""
    machine.wait(
        lambda: (
            '"ended": null' not in machine.try_sh("dicomd jobs show --json all")[1]
            and machine.try_sh("dicomd jobs show --json all")[0] == 0
        ),
        120,
        "the end of the run",
    )
    run = job(machine)["run"]
    expect(run["state"] == "verified", f"the run is verified, not {run['state']}")
    expect(run["verified"] == STUDIES, f"all studies are, not {run['verified']}")
    history = json.loads(machine.sh("dicomd jobs history --json all"))
    expect(len(history["runs"]) == 1, "it is the same run")
    machine.sh("dicomd verify")
    machine.sh("systemctl stop archive")
