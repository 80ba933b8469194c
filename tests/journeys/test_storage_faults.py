"""A store that fails under a running daemon: A700H, nothing half, and service returns by itself."""

import contextlib
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.bench.objects import CT, EXPLICIT, VERIFICATION, data_set, instance_uid
from tests.journeys.peers import Receiver, asconfig
from tests.journeys.running import Association, Daemon, running, wait_until
from tests.journeys.volume import Volume, volume

pytestmark = [pytest.mark.journey, pytest.mark.xdist_group("storage_faults")]

OUT_OF_RESOURCES = 0xA700


@contextmanager
def daemon_on(tmp_path: Path, objects: Path) -> Iterator[Daemon]:
    stores = {"archive": {"directory": str(objects), "min_free_space": 0}}
    with running(tmp_path, stores=stores) as daemon:
        yield daemon


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Volume]:
    with volume(tmp_path) as mounted:
        (mounted.path / "objects").mkdir()
        yield mounted


@contextmanager
def sender(daemon: Daemon) -> Iterator[Association]:
    association = Association(daemon.port())
    try:
        yield association
    finally:
        association.sock.close()


def names(objects: Path) -> list[str]:
    return sorted(path.name for path in objects.iterdir() if not path.name.startswith("."))


def left_over(objects: Path) -> list[str]:
    folder = objects / ".incoming"
    return sorted(os.listdir(folder)) if folder.exists() else []


def whole(objects: Path, number: int, size: int) -> bool:
    content = (objects / f"CT.{instance_uid(number)}").read_bytes()
    return content[128:132] == b"DICM" and content.endswith(data_set(number, size))


def faults(daemon: Daemon) -> list[str]:
    wanted = ("storage.failing", "storage.recovered")
    return [event["event"] for event in daemon.events() if event["event"] in wanted]


def test_a_full_disk_refuses_and_recovers_by_itself(tmp_path: Path, disk: Volume) -> None:
    """Big objects fail inside a write, small ones at the sync: all the same to the sender."""
    objects = disk.path / "objects"
    with daemon_on(tmp_path, objects) as daemon, sender(daemon) as association:
        stored: list[tuple[int, int]] = []
        refused = 0
        number = 0
        for size in (1 << 20, 200_000, 5000, 2000):
            for _ in range(40):
                number += 1
                status = association.store(number, size)
                assert status in (0, OUT_OF_RESOURCES)
                if status:
                    refused += 1
                    break
                stored.append((number, size))
        assert refused >= 2
        assert names(objects) == sorted(f"CT.{instance_uid(number)}" for number, _ in stored)
        assert all(whole(objects, number, size) for number, size in stored)
        assert left_over(objects) == []
        (objects / f"CT.{instance_uid(1)}").unlink()
        number += 1
        assert association.store(number, 5000) == 0, "the same association goes on"
        assert whole(objects, number, 5000)
        assert association.release()[:1] == b"\x06"
        wait_until(lambda: "storage.recovered" in faults(daemon), "the record of the end")
        refusals = daemon.events("object.refused")
        assert {event["status"] for event in refusals} == {"A700"}


def test_a_read_only_remount_refuses_and_recovers_by_itself(tmp_path: Path, disk: Volume) -> None:
    objects = disk.path / "objects"
    with daemon_on(tmp_path, objects) as daemon, sender(daemon) as association:
        assert association.store(1, 5000) == 0
        disk.remount("ro")
        for number in (2, 3, 4):
            assert association.store(number, 5000) == OUT_OF_RESOURCES
        assert names(objects) == [f"CT.{instance_uid(1)}"]
        disk.remount("rw")
        assert association.store(5, 5000) == 0
        assert whole(objects, 5, 5000)
        assert left_over(objects) == []
        wait_until(lambda: "storage.recovered" in faults(daemon), "the record of the end")
        assert faults(daemon) == ["storage.failing", "storage.recovered"]


def test_a_volume_that_is_gone_is_not_replaced_by_a_folder(tmp_path: Path, disk: Volume) -> None:
    """The mount point alone lacks the folder; the daemon must not fill the root disk."""
    objects = disk.path / "objects"
    with daemon_on(tmp_path, objects) as daemon, sender(daemon) as association:
        assert association.store(1, 5000) == 0
        disk.unmount()
        assert association.store(2, 5000) == OUT_OF_RESOURCES
        assert os.listdir(disk.path) == []
        disk.mount()
        assert association.store(3, 5000) == 0
        assert names(objects) == [f"CT.{instance_uid(number)}" for number in (1, 3)]


@pytest.mark.parametrize("what", ["removed", "replaced", "a file", "incoming removed"])
def test_a_folder_that_changes_under_the_daemon(tmp_path: Path, what: str) -> None:
    objects = tmp_path / "store"
    objects.mkdir()
    with (
        daemon_on(tmp_path, objects) as daemon,
        sender(daemon) as association,
        sender(daemon) as half,
    ):
        assert association.store(1, 5000) == 0
        rest = half.begin(9, 50_000)
        wait_until(lambda: left_over(objects), "the half of it")
        if what == "incoming removed":
            shutil.rmtree(objects / ".incoming")
        else:
            objects.rename(tmp_path / "elsewhere")
        if what == "replaced":
            objects.mkdir()
        if what == "a file":
            objects.write_text("no folder")
        if what in ("removed", "a file"):
            assert association.store(2, 5000) == OUT_OF_RESOURCES
            if what == "a file":
                objects.unlink()
            assert not objects.exists(), "a missing folder is not made"
            objects.mkdir()
        half.sock.sendall(rest)
        assert half.status() == OUT_OF_RESOURCES, "half of it went where nobody looks"
        assert association.store(3, 5000) == 0
        assert whole(objects, 3, 5000)
        assert half.store(9, 50_000) == 0
        assert whole(objects, 9, 50_000)


def test_a_power_cut_at_the_moment_of_the_answer_loses_nothing(
    tmp_path: Path, disk: Volume
) -> None:
    objects = disk.path / "objects"
    with (
        daemon_on(tmp_path, objects) as daemon,
        sender(daemon) as association,
        sender(daemon) as other,
    ):
        acknowledged: list[tuple[int, int]] = []
        for number in range(1, 16):
            size = (5000, 60_000, 300_000)[number % 3]
            rest = other.begin(1000 + number, 100_000)
            assert association.store(number, size) == 0
            acknowledged.append((number, size))
            if number % 5 == 0:
                with disk.after_a_power_cut(tmp_path / f"cut{number}") as found:
                    for stored, length in acknowledged:
                        assert whole(found / "objects", stored, length)
                    known = {f"CT.{instance_uid(stored)}" for stored, _ in acknowledged}
                    assert set(names(found / "objects")) == known
            other.sock.sendall(rest)
            assert other.status() == 0
            acknowledged.append((1000 + number, 100_000))


@pytest.mark.parametrize("durability", ["object", "none"])
@pytest.mark.parametrize("mode", ["-B", "+B"])
def test_recv_answers_a_full_disk_with_a700(
    tmp_path: Path, disk: Volume, mode: str, durability: str
) -> None:
    """dcmrecv answers Success for what it loses at the close, and its +B aborts behind A700."""
    profile = asconfig(tmp_path / "test.cfg", [(CT, (EXPLICIT,)), (VERIFICATION, (EXPLICIT,))])
    objects = disk.path / "objects"
    options = ("-xf", str(profile), "Test", "-od", str(objects), mode, "--durability", durability)
    with Receiver("dicomd", tmp_path / "recv", *options) as receiver:
        association = Association(receiver.port)
        try:
            filler = (disk.path / "filler").open("wb", buffering=0)
            with filler, contextlib.suppress(OSError):
                while True:
                    filler.write(bytes(4096))
            for number, size in ((1, 3000), (2, 300_000), (3, 3000)):
                assert association.store(number, size) == OUT_OF_RESOURCES
            assert names(objects) == []
            assert left_over(objects) == []
            (disk.path / "filler").unlink()
            assert association.store(4, 300_000) == 0
            assert whole(objects, 4, 300_000)
        finally:
            association.sock.close()
