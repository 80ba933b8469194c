"""Stores' folders and the state directory: locked, swept, let go."""

import fcntl
import os
import subprocess
import sys
from pathlib import Path

import pytest

from dicomd.errors import StartError
from dicomd.settings.daemon import DaemonSettings
from dicomd.settings.listener import ListenerSettings
from dicomd.settings.storage import StoreSettings
from dicomd.supervisor.state import StateDirectory
from dicomd.supervisor.stores import Stores, private_directories


def settings(directory: Path, *, state: str = "/state", **keys: str) -> DaemonSettings:
    return DaemonSettings(
        state_directory=state,
        listeners={"one": ListenerSettings()},
        stores={"archive": StoreSettings(directory=str(directory), **keys)},  # type: ignore[arg-type]  # all are text
    )


def leave_behind(directory: Path, pid: int, started: int) -> Path:
    incoming = directory / ".incoming"
    incoming.mkdir(exist_ok=True)
    path = incoming / f"dicomd-{pid}-{started}-0123456789ab-1.part"
    path.write_bytes(b"x")
    return path


def is_locked(directory: Path) -> bool:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def test_lock_sweeps_and_keeps_others_out(tmp_path: Path) -> None:
    left = leave_behind(tmp_path, 1, 1)
    other = tmp_path / ".incoming" / "somebody.else"
    other.write_bytes(b"x")
    stores = Stores()
    assert stores.lock(settings(tmp_path)) == [str(tmp_path)]
    assert not left.exists()
    assert other.exists()
    assert stores.lock(settings(tmp_path)) == []
    with pytest.raises(StartError, match="another instance"):
        Stores().lock(settings(tmp_path))
    stores.close()
    assert not is_locked(tmp_path)


def test_folder_that_is_missing_is_refused_and_nothing_stays_locked(tmp_path: Path) -> None:
    stores = Stores()
    both = DaemonSettings(
        state_directory="/state",
        listeners={"one": ListenerSettings(store="a"), "two": ListenerSettings(store="b")},
        stores={
            "a": StoreSettings(directory=str(tmp_path)),
            "b": StoreSettings(directory=str(tmp_path / "missing")),
        },
    )
    with pytest.raises(StartError, match="missing"):
        stores.lock(both)
    assert not is_locked(tmp_path)


def test_store_that_no_listener_fills_is_left_alone(tmp_path: Path) -> None:
    unused = DaemonSettings(
        state_directory="/state",
        listeners={"one": ListenerSettings(store="a")},
        stores={
            "a": StoreSettings(directory=str(tmp_path)),
            "b": StoreSettings(directory=str(tmp_path / "missing")),
        },
    )
    stores = Stores()
    assert stores.lock(unused) == [str(tmp_path)]
    stores.close()


def test_tools_share_a_folder_and_sweep_only_after_the_dead(tmp_path: Path) -> None:
    alive = leave_behind(tmp_path, os.getpid(), _own_start_time())
    dead = leave_behind(tmp_path, 1, 1)
    one, other = Stores(), Stores()
    one.lock(settings(tmp_path, state=""))
    other.lock(settings(tmp_path, state=""))
    assert alive.exists()
    assert not dead.exists()
    one.close()
    other.close()


def test_ignore_needs_no_folder(tmp_path: Path) -> None:
    assert Stores().lock(settings(tmp_path / "missing", mode="ignore")) == []


def test_what_a_dead_worker_leaves_is_swept_without_its_siblings(tmp_path: Path) -> None:
    stores = Stores()
    stores.lock(settings(tmp_path))
    its = leave_behind(tmp_path, 100, 5)
    sibling = leave_behind(tmp_path, 101, 5)
    reused = leave_behind(tmp_path, 100, 6)
    stores.sweep_after(str(tmp_path), 100, 5)
    assert not its.exists()
    assert sibling.exists()
    assert reused.exists()
    stores.close()


def test_folders_that_nobody_uses_are_let_go(tmp_path: Path) -> None:
    stores = Stores()
    stores.lock(settings(tmp_path))
    stores.keep(DaemonSettings(), {str(tmp_path)})
    assert is_locked(tmp_path)
    stores.keep(DaemonSettings(), set())
    assert not is_locked(tmp_path)


def test_names_that_hold_more_than_uids_are_private(tmp_path: Path) -> None:
    assert private_directories(settings(tmp_path)) == ()
    by_uid = settings(tmp_path, subdirectories="{StudyInstanceUID}/{SeriesInstanceUID}")
    assert private_directories(by_uid) == ()
    by_patient = settings(tmp_path, subdirectories="{PatientID}/{StudyInstanceUID}")
    assert private_directories(by_patient) == (str(tmp_path),)


def test_state_directory_is_made_and_locked(tmp_path: Path) -> None:
    path = tmp_path / "state"
    state = StateDirectory()
    state.open(str(path))
    assert (path / "receipts").is_dir()
    assert path.stat().st_mode & 0o007 == 0
    with pytest.raises(StartError, match="another dicomd uses it"):
        StateDirectory().open(str(path))
    state.close()
    state.close()
    again = StateDirectory()
    again.open(str(path))
    again.close()


def test_state_directory_waits_for_one_who_is_about_to_go(tmp_path: Path) -> None:
    code = (
        "import sys, time\n"
        "from dicomd.supervisor.state import StateDirectory\n"
        "StateDirectory().open(sys.argv[1])\n"
        "print(flush=True)\n"
        "sys.stdin.read()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path / "state")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2] / "daemon")},
    ) as other:
        assert other.stdout is not None
        other.stdout.readline()
        with pytest.raises(StartError):
            StateDirectory().open(str(tmp_path / "state"))
        other.kill()
        state = StateDirectory()
        state.open(str(tmp_path / "state"), patience_s=10)
        state.close()


def test_state_directory_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    with pytest.raises(StartError, match="state_directory"):
        StateDirectory().open(str(tmp_path / "missing" / "state"))


def _own_start_time() -> int:
    from dicomd.supervisor.process import start_time

    return start_time(os.getpid())
