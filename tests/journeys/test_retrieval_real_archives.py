"""Retrievals and ``dicomd move`` from archives that others wrote."""

import contextlib
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.journeys.test_move_drop_in import ENVIRONMENT
from tests.requestor.archive import Instance, make_instances
from tests.requestor.daemon import Daemon, free_port, remote, retrieval, wait_until
from tests.requestor.real_archives import dcmqrscp, orthanc

pytestmark = [pytest.mark.journey, pytest.mark.xdist_group("retrieval")]

Start = Callable[[Path, list[Instance], dict[str, int]], contextlib.AbstractContextManager[int]]


@pytest.mark.parametrize("start", [dcmqrscp, orthanc], ids=["dcmqrscp", "orthanc"])
def test_a_real_archive_is_mirrored_mended_and_verified(tmp_path: Path, start: Start) -> None:
    """A whole run; then an object is lost, and the next run asks for that one alone."""
    instances = make_instances(4, 2, 3)
    port, once = free_port(), free_port()
    with start(tmp_path / "archive", instances, {"DEST": port, "MOVESCU": once}) as archive:
        daemon = Daemon(
            tmp_path / "daemon",
            remotes={"PACS": remote(archive, max_retrievals=2)},
            retrievals={
                "all": retrieval(find={"level": "STUDY", "keys": {"PatientID": "P1"}}),
                "as-it-is": _as_it_is(instances[0]),
                "listed": _listed(tmp_path / "list.csv", instances),
            },
            port=port,
        )
        with daemon:
            daemon.ask("jobs.run", name="all")
            assert daemon.finished("all", 60)["run"]["verified"] == 4
            assert {f"CT.{one.uid}" for one in instances} == set(daemon.stored())
            lost = daemon.objects / f"CT.{instances[0].uid}"
            lost.unlink()
            wait_until(lambda: len(daemon.events("object.stored")) == 24, "the log has them")
            daemon.ask("jobs.run", name="all")
            assert daemon.finished("all", 60)["run"]["verified"] == 4
            assert lost.exists()
            wait_until(lambda: len(daemon.events("object.stored")) > 24, "the log has it")
            assert len(daemon.events("object.stored")) == 25
            for name in ("as-it-is", "listed"):
                daemon.ask("jobs.run", name=name)
                assert daemon.finished(name, 60)["run"]["state"] == "verified"
            manifest = daemon.run("verify", "--config", str(daemon.config))
            assert manifest.returncode == 0, manifest.stderr
        folder = tmp_path / "once"
        folder.mkdir()
        done = subprocess.run(
            [
                *(
                    sys.executable,
                    "-m",
                    "dicomd",
                    "move",
                    "-S",
                    "-aec",
                    "ARCHIVE",
                    "-od",
                    str(folder),
                ),
                *("+P", str(once), "-k", "QueryRetrieveLevel=STUDY"),
                *("-k", f"StudyInstanceUID={instances[0].study}", "127.0.0.1", str(archive)),
            ],
            env=ENVIRONMENT,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert len(list(folder.iterdir())) == 6


def _as_it_is(instance: Instance) -> dict[str, object]:
    settings = retrieval(
        keys={
            "QueryRetrieveLevel": "SERIES",
            "StudyInstanceUID": instance.study,
            "SeriesInstanceUID": instance.series,
        }
    )
    del settings["find"]
    return settings


def _listed(path: Path, instances: list[Instance]) -> dict[str, object]:
    lines = [f"{one.study},{one.series},{one.uid}" for one in instances[:4]]
    path.write_text("StudyInstanceUID,SeriesInstanceUID,SOPInstanceUID\n" + "\n".join(lines))
    settings = retrieval(list=str(path))
    del settings["find"]
    return settings
