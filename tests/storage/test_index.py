"""The index, its rebuild from the files, and the verification of the disk against it."""

import os
from dataclasses import replace
from pathlib import Path

import pytest

from dicomd.storage.index import Index, StoreIndexError
from dicomd.storage.rebuilding import rebuild
from dicomd.storage.receipts import Entry
from dicomd.storage.verification import checksum, verify
from tests.storage.objects import dataset, instance_of, sink_of, store


def entry(number: int, **more: object) -> Entry:
    made = Entry(
        path=f"/store/CT.1.2.{number}",
        sop_instance_uid=f"1.2.{number}",
        study_instance_uid="1.2.3.4",
        series_instance_uid=f"1.2.3.4.{number % 2}",
        bytes=number,
        received_at=float(number),
    )
    return replace(made, **more)  # type: ignore[arg-type] # open set


@pytest.fixture
def index(tmp_path: Path) -> Index:
    return Index(str(tmp_path / "index.sqlite"))


def test_a_row_replaces_that_of_the_same_path(index: Index) -> None:
    index.add([entry(1), entry(2)])
    index.add([entry(1, bytes=99, sop_instance_uid="9.9")])
    assert index.count() == 2
    assert index.at("/store/CT.1.2.1") == entry(1, bytes=99, sop_instance_uid="9.9")


def test_receipts_out_of_order_leave_the_one_that_the_file_bears_out(
    index: Index, tmp_path: Path
) -> None:
    path = tmp_path / "object"
    path.write_bytes(b"x" * 70)
    last = replace(entry(1, bytes=70, received_at=2.0), path=str(path))
    first = replace(last, bytes=99, received_at=1.0)
    index.add([last])
    index.add([first])
    assert index.at(str(path)) == last
    index.add([replace(first, received_at=3.0)])  # a clock that was set back meanwhile
    assert index.at(str(path)) == last
    index.add([first, last, first])
    assert index.at(str(path)) == last


def test_of_receipts_that_the_file_cannot_tell_apart_the_newest_stays(index: Index) -> None:
    index.add([entry(1, received_at=2.0, peer="new")])
    index.add([entry(1, received_at=1.0, peer="old")])
    assert [known.peer for known in index.of_instance(entry(1).sop_instance_uid)] == ["new"]


def test_what_is_missing_is_told_for_any_number(index: Index) -> None:
    index.add(entry(number) for number in range(0, 3000, 2))
    asked = [f"1.2.{number}" for number in range(3000)]
    assert index.missing(asked) == {f"1.2.{number}" for number in range(1, 3000, 2)}
    assert index.missing([]) == set()


def test_a_manifest_is_a_study_s(index: Index) -> None:
    index.add([entry(1), entry(2), entry(3, study_instance_uid="9.9")])
    assert [found.sop_instance_uid for found in index.manifest("1.2.3.4")] == ["1.2.2", "1.2.1"]
    assert index.counts("1.2.3.4") == 2
    assert index.counts("1.2.3.4", series="1.2.3.4.0") == 1


def test_offsets_are_kept_with_the_rows(index: Index, tmp_path: Path) -> None:
    index.add([entry(1)], spool="a", offset=100)
    index.close()
    with Index(str(tmp_path / "index.sqlite")) as again:
        assert again.offsets() == {"a": 100}
        again.forget_spool("a")
        assert again.offsets() == {}


def test_a_checksum_is_not_given_to_a_row_that_was_replaced(index: Index) -> None:
    index.add([entry(1)])
    index.add([entry(1, received_at=5.0)])
    index.set_checksums([("/store/CT.1.2.1", 1.0, "old")])
    assert [found.received_at for found in index.without_checksum(10)] == [5.0]
    index.set_checksums([("/store/CT.1.2.1", 5.0, "new")])
    assert index.count_without_checksum() == 0


def test_a_retrieval_is_noted_with_its_instances(index: Index) -> None:
    index.add([entry(1), entry(2)])
    index.attribute(["1.2.1", "1.2.7"], job="nightly", run="7")
    assert [(found.job, found.run) for found in index.entries()] == [("nightly", "7"), ("", "")]


def test_a_reader_sees_what_the_writer_has_added(index: Index, tmp_path: Path) -> None:
    with Index(str(tmp_path / "index.sqlite"), read_only=True) as reader:
        index.add([entry(1)])
        assert reader.present(["1.2.1"]) == {"1.2.1"}


def test_no_index_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(StoreIndexError, match="no index"):
        Index(str(tmp_path / "none.sqlite"), read_only=True)
    (tmp_path / "broken").write_bytes(b"not a database, " * 100)
    with pytest.raises(StoreIndexError, match="cannot be opened"):
        Index(str(tmp_path / "broken"))


def test_a_rebuild_makes_rows_of_files_and_forgets_those_that_are_gone(
    index: Index, tmp_path: Path
) -> None:
    folder = tmp_path / "store"
    folder.mkdir()
    sink = sink_of(folder, subdirectories="{StudyInstanceUID}")
    for name in ("1.2.1", "1.2.2"):
        store(sink, dataset(name), instance_of(name))
    waiting = sink.begin(instance_of("1.2.9"))
    waiting.write([memoryview(dataset("1.2.9"))])
    (folder / "note.txt").write_text("no DICOM file")
    (folder / "link").symlink_to(folder / "1.2.3.4" / "CT.1.2.1")
    index.add([replace(entry(5), path=f"{folder}/gone"), replace(entry(6), path="/other/kept")])

    found = rebuild(index, {"archive": str(folder)})

    assert (found.objects, found.skipped, found.forgotten) == (2, 1, 1)
    assert index.count() == 3
    (first,) = index.of_instance("1.2.1")
    path = folder / "1.2.3.4" / "CT.1.2.1"
    assert (first.path, first.bytes, first.store) == (str(path), path.stat().st_size, "archive")
    assert (first.study_instance_uid, first.series_instance_uid) == ("1.2.3.4", "1.2.3.4.5")
    assert (first.calling_ae_title, first.sop_class_uid) == ("SENDER", instance_of().sop_class_uid)
    waiting.discard()


def test_a_rebuild_keeps_what_only_the_receipts_knew(index: Index, tmp_path: Path) -> None:
    path = store(sink_of(tmp_path), dataset()).path
    known = entry(1, path=path, sop_instance_uid="1.2.3", bytes=os.path.getsize(path))
    index.add([replace(known, job="nightly", run="7", sha256="abc", listener="l")])
    rebuild(index, {"archive": str(tmp_path)})
    (again,) = index.of_instance("1.2.3")
    assert (again.job, again.run, again.sha256, again.listener) == ("nightly", "7", "abc", "l")


def test_verify_names_what_is_gone_or_changed(tmp_path: Path) -> None:
    entries = []
    sink = sink_of(tmp_path)
    for number in range(6):
        name = f"1.2.{number}"
        path = store(sink, dataset(name), instance_of(name)).path
        entries.append(entry(number, path=path, bytes=os.path.getsize(path), sha256=checksum(path)))
    os.unlink(entries[1].path)
    with open(entries[2].path, "ab") as file:
        file.write(b"more")
    with open(entries[3].path, "r+b") as file:
        file.seek(200)
        file.write(b"!")
    os.rename(entries[4].path, tmp_path / "real")
    os.symlink(tmp_path / "real", entries[4].path)
    assert {found.entry.sop_instance_uid: found.kind for found in verify(entries)} == {
        "1.2.1": "gone",
        "1.2.2": "changed",
        "1.2.3": "changed",
        "1.2.4": "changed",
    }


def test_without_a_checksum_the_size_is_compared(tmp_path: Path) -> None:
    path = store(sink_of(tmp_path), dataset()).path
    size = os.path.getsize(path)
    assert list(verify([entry(1, path=path, bytes=size)])) == []
    assert len(list(verify([entry(1, path=path, bytes=size + 1)]))) == 1
