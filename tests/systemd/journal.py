"""The log where a Debian system has it: the journal with its fields, and syslog."""

import json

from tests.systemd.machine import Machine
from tests.systemd.steps import CONFIG, SEND_PLAIN, configure, events, expect

FILE_LINE = "  file: {path: /var/log/dicomd/dicomd.log, rotate: external}"


def journal(machine: Machine) -> None:
    """An object's event has its facts as fields, with priority, under the unit's name."""
    machine.sh(SEND_PLAIN)
    (instance,) = {line["sop_instance"] for line in events(machine, "object.stored")}
    query = (
        f"_SYSTEMD_UNIT=dicomd.service DICOMD_EVENT=object.stored DICOMD_SOP_INSTANCE={instance}"
    )
    machine.wait(
        lambda: machine.try_sh(f"journalctl -n 1 -o json --no-pager {query}")[1].startswith("{"),
        10,
        "the event in the journal",
    )
    entry = json.loads(machine.sh(f"journalctl -n 1 -o json --no-pager {query}"))
    expect(entry["PRIORITY"] == "6", f"info is priority 6, not {entry['PRIORITY']}")
    expect(entry["SYSLOG_IDENTIFIER"] == "dicomd", "it is found by journalctl -t dicomd")
    expect(entry["DICOMD_LOGGER"] == "dicomd.acceptor", "the room speaks")
    expect(entry["DICOMD_LISTENER"] == "modalities", "the listener is a field")
    expect(entry["DICOMD_STATUS"] == "0000", "the status is a field")
    expect(entry["MESSAGE"].startswith("object.stored"), "the message begins with the event")
    warned = machine.try_sh("journalctl -t dicomd -p err -o cat --no-pager")[1]
    expect("object.stored" not in warned, "-p err leaves information out")


def patients(machine: Machine) -> None:
    """After a day of all that: neither name nor number of the patient stands in any log."""
    for mark in ("CompressedSamples", "1CT1"):
        machine.sh(f"grep -q {mark} /var/lib/dicomd/objects/CT.*")
        code, told = machine.try_sh(
            f"journalctl --no-pager -o export | grep -a {mark}; grep -ra {mark} /var/log/dicomd"
        )
        expect(code == 1 and not told, f"no log names the patient: {told[:200]}")


def syslog(machine: Machine) -> None:
    """What goes to /dev/log arrives with its facility and severity."""
    good = machine.read(CONFIG)
    line = "  syslog: {address: /dev/log, facility: local3}"
    expect(FILE_LINE in good, "the configuration as installed has a log file")
    configure(machine, good.replace(FILE_LINE, f"{FILE_LINE}\n{line}"))
    machine.sh(SEND_PLAIN)
    query = (
        "journalctl -o json --no-pager _TRANSPORT=syslog SYSLOG_FACILITY=19"
        " | grep object.stored | tail -n 1"
    )
    machine.wait(lambda: machine.try_sh(query)[1].startswith("{"), 20, "the line in the syslog")
    entry = json.loads(machine.sh(query))
    expect(entry["PRIORITY"] == "6", "information has severity 6")
    expect(entry["SYSLOG_IDENTIFIER"] == "dicomd", "the tag is the program's name")
    configure(machine, good)
