"""Spools: nothing lost, nothing taken twice, torn lines passed by."""

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from dicomd.storage.receipts import Entry, ReceiptSpool, Spooled, read_spools, spool_bytes
from dicomd.storage.sink import Receipt
from tests.storage.objects import instance_of


def receipt(number: int, path: str = "") -> Receipt:
    return Receipt(
        instance=instance_of(f"1.2.{number}"),
        path=path or f"/store/CT.1.2.{number}",
        bytes=1000 + number,
        study_instance_uid="1.2.3.4",
        series_instance_uid="1.2.3.4.5",
    )


def drain(directory: Path, offsets: dict[str, int]) -> list[Entry]:
    found: list[Entry] = []
    for piece in read_spools(str(directory), offsets):
        found.extend(piece.entries)
        offsets[piece.spool] = piece.end
        if piece.finished:
            (directory / piece.spool).unlink()
            del offsets[piece.spool]
    return found


def pieces(directory: Path, offsets: dict[str, int] | None = None) -> list[Spooled]:
    return list(read_spools(str(directory), offsets or {}))


def test_a_receipt_comes_back_whole(tmp_path: Path) -> None:
    spool = ReceiptSpool(str(tmp_path / "receipts"))
    spool.append(
        receipt(7, '/store/"odd"\n'), received_at=1.5, listener="l", store="s", job="j", run="r"
    )
    (entry,) = drain(tmp_path / "receipts", {})
    assert entry == Entry(
        path='/store/"odd"\n',
        sop_instance_uid="1.2.7",
        sop_class_uid="1.2.840.10008.5.1.4.1.1.2",
        study_instance_uid="1.2.3.4",
        series_instance_uid="1.2.3.4.5",
        transfer_syntax_uid="1.2.840.10008.1.2.1",
        bytes=1007,
        calling_ae_title="SENDER",
        called_ae_title="DICOMD",
        peer="192.0.2.1",
        association="a1",
        listener="l",
        store="s",
        received_at=1.5,
        job="j",
        run="r",
    )


def test_a_discarded_object_is_not_noted(tmp_path: Path) -> None:
    spool = ReceiptSpool(str(tmp_path))
    spool.append(Receipt(instance_of(), "", 10, outcome="discarded"), received_at=1.0)
    assert pieces(tmp_path) == []


def test_what_was_read_is_not_read_again(tmp_path: Path) -> None:
    spool = ReceiptSpool(str(tmp_path))
    offsets: dict[str, int] = {}
    for number in range(5):
        spool.append(receipt(number), received_at=1.0)
        assert spool_bytes(str(tmp_path), offsets) > 0
        assert [entry.bytes for entry in drain(tmp_path, offsets)] == [1000 + number]
    assert spool_bytes(str(tmp_path), offsets) == 0
    assert drain(tmp_path, offsets) == []


def test_spools_are_changed_when_they_are_long(tmp_path: Path) -> None:
    spool = ReceiptSpool(str(tmp_path), rotate_bytes=1000)
    for number in range(50):
        spool.append(receipt(number), received_at=1.0)
    assert len(os.listdir(tmp_path)) > 5
    offsets: dict[str, int] = {}
    assert sorted(entry.bytes for entry in drain(tmp_path, offsets)) == list(range(1000, 1050))
    assert len(os.listdir(tmp_path)) == 1, "only the spool that still grows is left"


def test_a_torn_last_line_waits_while_its_writer_lives(tmp_path: Path) -> None:
    spool = ReceiptSpool(str(tmp_path))
    spool.append(receipt(1), received_at=1.0)
    (name,) = os.listdir(tmp_path)
    whole = (tmp_path / name).read_bytes()
    with open(tmp_path / name, "ab") as file:
        file.write(whole[:30])
    offsets: dict[str, int] = {}
    assert len(drain(tmp_path, offsets)) == 1
    with open(tmp_path / name, "ab") as file:
        file.write(whole[30:])
    assert len(drain(tmp_path, offsets)) == 1


def test_a_torn_line_of_a_dead_writer_is_passed_by(tmp_path: Path) -> None:
    spool = ReceiptSpool(str(tmp_path))
    spool.append(receipt(1), received_at=1.0)
    (name,) = os.listdir(tmp_path)
    whole = (tmp_path / name).read_bytes()
    (tmp_path / name).unlink()
    (tmp_path / "4194303-1-1.receipts").write_bytes(whole + whole[:30])
    (piece,) = pieces(tmp_path)
    assert (len(piece.entries), piece.broken, piece.finished) == (1, 1, True)


def test_a_broken_line_spoils_no_other(tmp_path: Path) -> None:
    spool = ReceiptSpool(str(tmp_path))
    spool.append(receipt(1), received_at=1.0)
    (name,) = os.listdir(tmp_path)
    with open(tmp_path / name, "ab") as file:
        file.write(b'[1,"torn\n[99]\n{}\n[2,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1]\n')
    spool.append(receipt(2), received_at=1.0)
    (piece,) = pieces(tmp_path)
    assert (len(piece.entries), piece.broken) == (2, 4)


def test_after_a_short_write_the_next_line_stands_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spool = ReceiptSpool(str(tmp_path))
    real = os.write
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", lambda descriptor, data: real(descriptor, data[:20]))
        with pytest.raises(OSError, match="in part"):
            spool.append(receipt(1), received_at=1.0)
    spool.append(receipt(2), received_at=1.0)
    (piece,) = pieces(tmp_path)
    assert ([entry.bytes for entry in piece.entries], piece.broken) == ([1002], 1)


def test_threads_may_share_a_spool(tmp_path: Path) -> None:
    spool = ReceiptSpool(str(tmp_path), rotate_bytes=5000)

    def work(first: int) -> None:
        for number in range(first, first + 100):
            spool.append(receipt(number), received_at=1.0)

    threads = [threading.Thread(target=work, args=(n * 100,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    spool.close()
    assert sorted(entry.bytes for entry in drain(tmp_path, {})) == list(range(1000, 1400))


def test_the_spool_of_a_killed_process_is_read_and_finished(tmp_path: Path) -> None:
    script = (
        "import os, signal, sys\n"
        "from tests.storage.test_receipts import ReceiptSpool, receipt\n"
        "spool = ReceiptSpool(sys.argv[1])\n"
        "for number in range(20): spool.append(receipt(number), received_at=1.0)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    root = Path(__file__).parent.parent.parent
    ended = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)],
        cwd=root,
        env={**os.environ, "PYTHONPATH": f"{root / 'daemon'}:{root}"},
        check=False,
    )
    assert ended.returncode == -9
    assert len(drain(tmp_path, {})) == 20
    assert os.listdir(tmp_path) == []
