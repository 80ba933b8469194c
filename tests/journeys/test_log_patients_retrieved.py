"""A marked patient is asked for and retrieved, well and badly; no output of ours holds the mark."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from tests.journeys.running import environment
from tests.requestor.archive import Archive, Manners, make_instances
from tests.requestor.daemon import Daemon, free_port, remote, retrieval, wait_until
from tests.requestor.real_archives import dcmqrscp

pytestmark = [pytest.mark.journey, pytest.mark.xdist_group("retrieval")]
MARK = "ZZMARKER"
FAST = {"retry": {"attempts": 2, "first": "100ms", "most": "200ms"}, "settle": "300ms"}


def by_name(**more: Any) -> dict[str, Any]:
    """A retrieval of the marked patient's studies."""
    keys = {"PatientName": f"{MARK}*", "PatientID": MARK, "AccessionNumber": f"*{MARK}*"}
    return retrieval(find={"level": "STUDY", "keys": keys}, **{**FAST, **more})


def as_it_is(keys: dict[str, str]) -> dict[str, Any]:
    """A retrieval that sends its keys unseen."""
    settings = retrieval(keys=keys, **FAST)
    del settings["find"]
    return settings


def listed(path: Path) -> dict[str, Any]:
    """A retrieval by a list that names the patient."""
    path.write_text(f"PatientID,StudyInstanceUID\n{MARK},1.2.3\n")
    settings = retrieval(list=str(path), **FAST)
    del settings["find"]
    return settings


def begun(daemon: Daemon, name: str) -> bool:
    """Whether a run could be begun; a requestor that has just been replaced cannot yet."""
    with contextlib.suppress(AssertionError):
        daemon.ask("jobs.run", name=name)
        return True
    return False


@pytest.mark.parametrize("form", ["json", "console"])
def test_no_output_of_a_retrieval_names_a_patient(tmp_path: Path, form: str) -> None:
    instances = make_instances(2, 1, 2, patient=MARK)
    manners = {
        "good": Manners(),
        "never": Manners(never_sends={instances[0].uid}),
        "aborts": Manners(aborts=True),
        "refuses": Manners(refuses={instances[0].study: [0xA702] * 9}),
    }
    archives = {name: Archive(instances, manners=its) for name, its in manners.items()}
    lists = tmp_path / "lists"
    lists.mkdir()
    retrievals = {name: by_name(remote=name) for name in archives}
    retrievals |= {
        "patient": retrieval(
            remote="good",
            model="patient",
            **{**FAST, "find": {"level": "PATIENT", "keys": {"PatientID": MARK}}},
        ),
        "raw": {**as_it_is({"QueryRetrieveLevel": "PATIENT", "PatientID": MARK}), "remote": "good"},
        "listed": {**listed(lists / "list.csv"), "remote": "good"},
    }
    port = free_port()
    for archive in archives.values():
        archive.__enter__()
        archive.destinations["DEST"] = port
    metrics = {"address": "127.0.0.1", "port": free_port()}
    folder = tmp_path / "daemon"
    daemon = Daemon(
        folder,
        remotes={name: remote(archive.port) for name, archive in archives.items()},
        retrievals=retrievals,
        port=port,
        metrics=metrics,
        logging={
            "level": "info",
            "format": "json",
            "stderr": True,
            "file": {"path": str(folder / "log.json")},
        },
    )
    said: list[str] = []
    try:
        with daemon:
            if form == "console":
                daemon.settings["logging"]["format"] = form  # type: ignore[index]  # a plain tree
                daemon.settings["logging"]["file"]["path"] = str(folder / "log.txt")  # type: ignore[index]
                daemon.write()
                daemon.ask("reload")
                wait_until((folder / "log.txt").exists, "the new log")
            for name in retrievals:
                wait_until(lambda name=name: begun(daemon, name), "the requestor")
            for name in retrievals:
                said.append(json.dumps(daemon.finished(name)))
                said.append(json.dumps(daemon.ask("jobs.history", name=name)))
            said += [json.dumps(daemon.ask(what)) for what in ("jobs.list", "status", "snapshot")]
            daemon.settings["retrievals"]["good"]["find"]["keys"]["PatientID"] = f"{MARK}2"  # type: ignore[index]
            daemon.write()
            said += [json.dumps(daemon.ask(what)) for what in ("plan", "reload", "status")]
            daemon.settings["retrievals"]["good"]["find"]["keys"]["PatientID"] = f"{{{MARK}"  # type: ignore[index]
            daemon.write()
            refused = daemon.run("reload", "--config", str(daemon.config))
            assert refused.returncode == 1
            said += [refused.stderr, json.dumps(daemon.ask("status"))]
            assert daemon.process is not None
            os.kill(daemon.process.pid, signal.SIGUSR2)
            with urllib.request.urlopen(f"http://127.0.0.1:{metrics['port']}/metrics") as page:
                said.append(page.read().decode())
        assert any('"verified"' in text for text in said)
    finally:
        for archive in archives.values():
            archive.__exit__(None, None, None)
    logs = [*folder.glob("log.*"), folder / "stderr"]
    assert "snapshot.taken" in logs[-1].read_text()
    assert "config.rejected" in logs[-1].read_text()
    for path in logs:
        found = [line for line in path.read_text().splitlines() if MARK in line]
        assert not found, found
    assert not [text for text in said if MARK in text]


@pytest.mark.parametrize("level", ["-v", "-ll info"])
def test_neither_does_move(tmp_path: Path, level: str) -> None:
    port = free_port()
    instances = make_instances(1, 1, 2, patient=MARK)
    with dcmqrscp(tmp_path / "archive", instances, {"MOVESCU": port}) as archive:
        folder = tmp_path / "got"
        folder.mkdir()
        for patient in (MARK, f"{MARK}UNKNOWN"):
            done = subprocess.run(
                [
                    *(sys.executable, "-m", "dicomd", "move", *level.split(), "-P"),
                    *("-aec", "ARCHIVE", "-od", str(folder), "+P", str(port)),
                    *("-k", "QueryRetrieveLevel=PATIENT", "-k", f"PatientID={patient}"),
                    *("127.0.0.1", str(archive)),
                ],
                env=environment({"TCP_NODELAY": "1"}),
                capture_output=True,
                text=True,
                timeout=60,
                check=False,
            )
            assert "Association" in done.stderr
            assert MARK not in done.stderr + done.stdout
        assert len(list(folder.iterdir())) == 2
