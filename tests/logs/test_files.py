"""A log file: whole lines, rotation, reopening, a disk that is full for a while."""

import gzip
import os
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from dicomd.logs.files import LogFile
from dicomd.settings.log import RotateSettings


def line(number: int) -> bytes:
    return b"%019d\n" % number


def numbers(paths: Sequence[Path]) -> list[int]:
    """The numbers of all lines of all files, the oldest first."""
    text = b"".join(
        gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        for path in paths
    )
    assert all(len(part) == 19 for part in text.splitlines())
    return [int(part) for part in text.splitlines()]


def test_files_are_private_to_owner_and_group(tmp_path: Path) -> None:
    LogFile(str(tmp_path / "x.log"))
    assert (tmp_path / "x.log").stat().st_mode & 0o007 == 0


def test_a_named_pipe_that_nobody_reads_holds_nobody_up(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError, match="No such device"):
        LogFile(str(tmp_path / "pipe"))


def test_a_file_is_rotated_between_lines_at_its_size(tmp_path: Path) -> None:
    file = LogFile(str(tmp_path / "x.log"), RotateSettings(size=100, keep=3))
    file.write([line(number) for number in range(12)])
    names = [tmp_path / name for name in ("x.log.2", "x.log.1", "x.log")]
    assert [path.stat().st_size for path in names] == [100, 100, 40]
    assert numbers(names) == list(range(12))


def test_no_more_files_are_kept_than_asked_for(tmp_path: Path) -> None:
    file = LogFile(str(tmp_path / "x.log"), RotateSettings(size=100, keep=2))
    for number in range(50):
        file.write([line(number)])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["x.log", "x.log.1", "x.log.2"]


def test_a_file_is_rotated_at_its_age_counted_from_its_first_line(tmp_path: Path) -> None:
    path = tmp_path / "x.log"
    path.write_text('{"timestamp": "2026-01-01T00:00:00.000000Z"}\n')
    file = LogFile(str(path), RotateSettings(age=3600.0))
    file.write([line(1)])
    assert path.read_bytes() == b""
    assert (tmp_path / "x.log.1").read_bytes().endswith(line(1))


def test_a_young_file_is_not_rotated(tmp_path: Path) -> None:
    file = LogFile(str(tmp_path / "x.log"), RotateSettings(age=3600.0))
    file.write([line(1)])
    assert [path.name for path in tmp_path.iterdir()] == ["x.log"]


def test_rotated_files_are_compressed_and_nothing_is_lost(tmp_path: Path) -> None:
    file = LogFile(str(tmp_path / "x.log"), RotateSettings(size=2000, keep=50, compress=True))
    for number in range(1000):
        file.write([line(number)])
    file.close()
    deadline = time.monotonic() + 10
    while any(path.suffix not in (".gz", ".log") for path in tmp_path.iterdir()):
        assert time.monotonic() < deadline
        file._compress()
    packed = sorted(tmp_path.glob("*.gz"), key=lambda path: -int(path.name.split(".")[2]))
    assert numbers([*packed, tmp_path / "x.log"]) == list(range(1000))
    assert packed[0].stat().st_mode & 0o777 == 0o640


def test_logrotate_moves_and_reopen_goes_on_in_a_new_file(tmp_path: Path) -> None:
    path = tmp_path / "x.log"
    file = LogFile(str(path))
    file.write([line(1)])
    path.rename(tmp_path / "moved")
    file.write([line(2)])
    file.reopen()
    file.write([line(3)])
    assert numbers([tmp_path / "moved"]) == [1, 2]
    assert numbers([path]) == [3]


def test_when_the_path_cannot_be_opened_anew_the_old_file_stays(tmp_path: Path) -> None:
    folder = tmp_path / "logs"
    folder.mkdir()
    file = LogFile(str(folder / "x.log"))
    folder.rename(tmp_path / "away")
    with pytest.raises(FileNotFoundError):
        file.reopen()
    file.write([line(1)])
    assert numbers([tmp_path / "away" / "x.log"]) == [1]


def test_a_rename_that_fails_leaves_the_file_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(source: str, target: str) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "rename", broken)
    file = LogFile(str(tmp_path / "x.log"), RotateSettings(size=100))
    file.write([line(number) for number in range(20)])
    assert numbers([tmp_path / "x.log"]) == list(range(20))


def test_a_line_that_a_full_disk_cut_is_ended_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "x.log"
    file = LogFile(str(path))
    room = [30]
    write = os.write

    def full(fd: int, data: bytes) -> int:
        if not room[0]:
            raise OSError(28, "No space left on device")
        size = write(fd, data[: room[0]])
        room[0] -= size
        return size

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(OSError, match="No space"):
        file.write([line(1), line(2), line(3)])
    room[0] = 1000
    file.resume()
    file.write([line(4)])
    assert numbers([path]) == [1, 2, 3, 4]
