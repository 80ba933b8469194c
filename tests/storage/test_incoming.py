"""The lock of an instance and the sweep of leftovers."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from dicomd.errors import StartError
from dicomd.storage.incoming import (
    INCOMING,
    lock_directory,
    name_prefix,
    process_start_time,
    sweep,
)
from tests.storage.objects import dataset, instance_of, sink_of, store

DEAD = 4194303


def leftover(folder: Path, name: str, size: int = 10) -> Path:
    (folder / INCOMING).mkdir(exist_ok=True)
    path = folder / INCOMING / name
    path.write_bytes(bytes(size))
    return path


def test_a_second_instance_is_refused_with_the_folder_s_name(tmp_path: Path) -> None:
    with lock_directory(str(tmp_path)):
        with pytest.raises(StartError, match="another instance") as refused:
            lock_directory(str(tmp_path))
        assert str(tmp_path) in str(refused.value)
    lock_directory(str(tmp_path)).close()


def test_children_hold_the_lock_too(tmp_path: Path) -> None:
    lock = lock_directory(str(tmp_path))
    child = os.fork()
    if not child:
        signal.pause()
    try:
        lock.close()
        with pytest.raises(StartError):
            lock_directory(str(tmp_path))
    finally:
        os.kill(child, 9)
        os.waitpid(child, 0)
    lock_directory(str(tmp_path)).close()


def test_shared_locks_let_several_in_but_no_exclusive_one(tmp_path: Path) -> None:
    with (
        lock_directory(str(tmp_path), shared=True),
        lock_directory(str(tmp_path), shared=True),
        pytest.raises(StartError),
    ):
        lock_directory(str(tmp_path))


def test_a_missing_folder_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(StartError, match="No such file"):
        lock_directory(str(tmp_path / "none"))
    assert sweep(str(tmp_path / "none")) == (0, 0)


def test_a_sweep_takes_our_names_only(tmp_path: Path) -> None:
    ours = leftover(tmp_path, f"dicomd-{DEAD}-1-00ff-1.part", 100)
    others = [leftover(tmp_path, name) for name in ("mine.dcm", "dicomd-1-2.part", "x.part")]
    assert sweep(str(tmp_path)) == (1, 100)
    assert not ours.exists()
    assert all(path.exists() for path in others)


def test_a_sweep_after_a_worker_spares_its_siblings(tmp_path: Path) -> None:
    leftover(tmp_path, "dicomd-77-100-aa-1.part")
    same_pid = leftover(tmp_path, "dicomd-77-999-aa-1.part")
    sibling = leftover(tmp_path, "dicomd-78-100-aa-1.part")
    assert sweep(str(tmp_path), pid=77, start_time=100) == (1, 10)
    assert same_pid.exists()
    assert sibling.exists()


def test_a_sweep_of_the_dead_spares_the_living(tmp_path: Path) -> None:
    living = leftover(tmp_path, f"{name_prefix()}-1.part")
    leftover(tmp_path, f"dicomd-{DEAD}-1-00ff-1.part")
    leftover(tmp_path, f"dicomd-{os.getpid()}-1-00ff-1.part")
    assert sweep(str(tmp_path), dead_only=True) == (2, 20)
    assert living.exists()


def test_the_start_time_tells_processes_apart() -> None:
    assert process_start_time(os.getpid()) > 0
    assert process_start_time(DEAD) == 0


def test_a_sweep_does_not_follow_a_link(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    victim = elsewhere / f"dicomd-{DEAD}-1-00ff-1.part"
    victim.write_bytes(b"x")
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / INCOMING).symlink_to(elsewhere)
    with pytest.raises(StartError):
        sweep(str(tmp_path / "store"))
    assert victim.exists()


def test_what_a_killed_worker_leaves_is_swept(tmp_path: Path) -> None:
    script = (
        "import os, signal, sys\n"
        "from tests.storage.objects import *\n"
        "delivery = sink_of(sys.argv[1]).begin(instance_of())\n"
        "delivery.write([memoryview(dataset())])\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    root = Path(__file__).parent.parent.parent
    subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)],
        cwd=root,
        env={**os.environ, "PYTHONPATH": f"{root / 'daemon'}:{root}"},
        check=False,
    )
    files, size = sweep(str(tmp_path))
    assert files == 1
    assert size > len(dataset())
    store(sink_of(tmp_path), dataset(), instance_of())
