"""What is left after kill -9 and after a power cut: every acknowledged object, no half of one."""

import contextlib
import os
import random
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from dicomd.errors import StorageError
from dicomd.storage.incoming import INCOMING, sweep
from tests.storage.objects import body_of, dataset, element, instance_of, sink_of, store

ROOT = Path(__file__).parent.parent.parent
ROUNDS = 12
IMAGE_BYTES = 24 << 20

WRITER = """
import os, sys
from tests.storage.test_crash import content
from tests.storage.objects import instance_of, sink_of
sink = sink_of(sys.argv[1], subdirectories="{StudyInstanceUID}", duplicates=sys.argv[2])
os.write(1, b"ready\\n")
number = 0
while True:
    name = f"1.2.{number % 40}"
    delivery = sink.begin(instance_of(name))
    data = content(name, number)
    for start in range(0, len(data), 3000):
        delivery.write([memoryview(data)[start : start + 3000]])
    delivery.commit()
    os.write(1, f"{name} {number}\\n".encode())
    number += 1
"""


def content(name: str, number: int) -> bytes:
    """A data set whose every byte tells which it is."""
    pixels = (b"%08d" % number) * (1000 + number % 7)
    return dataset(name, tail=element(0x7FE00010, "OW", pixels))


def number_of(data: bytes, name: str) -> int:
    """Which content it is; fails when it is none that is whole."""
    number = int(data[-8:])
    assert data == content(name, number)
    return number


@contextlib.contextmanager
def writer(folder: Path, duplicates: str = "overwrite") -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(folder), duplicates],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": f"{ROOT / 'daemon'}:{ROOT}"},
        stdout=subprocess.PIPE,
    )
    assert process.stdout is not None
    try:
        assert process.stdout.readline() == b"ready\n"
        yield process
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def acknowledged(process: subprocess.Popen[bytes]) -> dict[str, int]:
    """The newest number of each instance whose commit had returned."""
    assert process.stdout is not None
    lines = process.stdout.read().split(b"\n")[:-1]
    return {line.split()[0].decode(): int(line.split()[1]) for line in lines}


def assert_all_there(folder: Path, promised: dict[str, int]) -> None:
    study = folder / "1.2.3.4"
    files = sorted(study.iterdir()) if study.exists() else []
    found = {
        path.name.removeprefix("CT."): number_of(body_of(path), path.name.removeprefix("CT."))
        for path in files
    }
    for name, number in promised.items():
        assert found[name] >= number, "an acknowledged object is gone or old"


@pytest.mark.parametrize("duplicates", ["overwrite", "keep-both"])
def test_kill_at_any_moment_loses_nothing_that_was_acknowledged(
    tmp_path: Path, duplicates: str
) -> None:
    chance = random.Random(11)
    for round_ in range(ROUNDS // 2):
        folder = tmp_path / str(round_)
        folder.mkdir()
        with writer(folder, duplicates) as process:
            assert process.stdout is not None
            for _ in range(chance.randint(1, 40)):
                if process.stdout.peek(1):  # type: ignore[attr-defined] # a BufferedReader
                    break
            moment = time.monotonic() + chance.random() * 0.05
            while time.monotonic() < moment:
                select.select([], [], [], 0.001)
            process.send_signal(signal.SIGKILL)
            process.wait()
            promised = acknowledged(process)
        assert promised
        if duplicates == "overwrite":
            assert_all_there(folder, promised)
        else:
            for path in (folder / "1.2.3.4").iterdir():
                name = path.name.removeprefix("CT.").partition("_")[0]
                number_of(body_of(path), name)
        sweep(str(folder))
        assert list((folder / INCOMING).iterdir()) == []


@contextlib.contextmanager
def mounted(image: Path, where: Path, *options: str) -> Iterator[Path]:
    where.mkdir()
    subprocess.run(
        ["/bin/mount", "-o", ",".join(("loop", *options)), str(image), str(where)], check=True
    )
    try:
        yield where
    finally:
        subprocess.run(["/bin/umount", "-l", str(where)], check=True)


@pytest.fixture
def image(tmp_path: Path) -> Path:
    """A small ext4 file system in a file; only root can mount it."""
    if os.geteuid() != 0:
        pytest.skip("only root can mount a file system")
    path = tmp_path / "image"
    with open(path, "wb") as file:
        file.truncate(IMAGE_BYTES)
    subprocess.run(["/sbin/mkfs.ext4", "-q", "-F", str(path)], check=True)
    return path


def test_a_power_cut_after_the_answer_loses_nothing(tmp_path: Path, image: Path) -> None:
    """The image is copied while objects are stored: what was acknowledged before the copy began
    must be on a file system made of it, after its journal is replayed."""
    copies: list[tuple[Path, dict[str, int]]] = []
    with mounted(image, tmp_path / "live") as live:
        promised: dict[str, int] = {}
        sink = sink_of(live, subdirectories="{StudyInstanceUID}")
        for number in range(60):
            name = f"1.2.{number % 25}"
            store(sink, content(name, number), instance_of(name))
            promised[name] = number
            if number % 10 == 3:
                copy = tmp_path / f"copy{number}"
                # At the moment of the answer, with one more object half written.
                waiting = sink.begin(instance_of("1.2.99"))
                waiting.write([memoryview(dataset())[:300]])
                shutil.copyfile(image, copy)
                waiting.discard()
                copies.append((copy, dict(promised)))
        sink.close()
    assert len(copies) == 6
    for copy, there in copies:
        with mounted(copy, tmp_path / f"after-{copy.name}") as folder:
            assert_all_there(folder, there)


def test_a_full_disk_is_refused_and_recovers_by_itself(tmp_path: Path, image: Path) -> None:
    with mounted(image, tmp_path / "live") as live, capture_logs() as lines:
        sink = sink_of(live)
        pixels = element(0x7FE00010, "OW", bytes(1 << 20))
        kept = []
        refused = set()
        for number in range(60):
            name = f"1.2.{number}"
            try:
                kept.append(store(sink, dataset(name, tail=pixels), instance_of(name)).path)
            except StorageError as error:
                refused.add(error.status)
        assert 5 < len(kept) < 30
        assert refused == {0xA700}
        assert os.listdir(live / INCOMING) == []
        assert all(body_of(path)[-100:] == bytes(100) for path in kept)
        for path in kept:
            os.unlink(path)
        store(sink, dataset(), instance_of())
        sink.close()
        del sink
    assert [line["event"] for line in lines] == ["storage.failing", "storage.recovered"]
    assert lines[0]["error"] == "ENOSPC"


def test_a_read_only_file_system_is_refused_and_recovers(tmp_path: Path, image: Path) -> None:
    with mounted(image, tmp_path / "live") as live, capture_logs() as lines:
        sink = sink_of(live)
        store(sink, dataset(), instance_of())
        subprocess.run(["/bin/mount", "-o", "remount,ro", str(live)], check=True)
        with pytest.raises(StorageError) as refused:
            store(sink, dataset(), instance_of())
        assert refused.value.status == 0xA700
        subprocess.run(["/bin/mount", "-o", "remount,rw", str(live)], check=True)
        store(sink, dataset(), instance_of())
        sink.close()
        del sink
    assert [line.get("error") for line in lines] == ["EROFS", None]
