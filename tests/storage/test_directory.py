"""DirectorySink: names, duplicates, checks, faults of the store, and what is left behind."""

import errno
import gc
import os
import resource
import shutil
import stat
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from dicomd.errors import StorageError
from dicomd.settings.storage import DCMRECV_REWRITE, StoreSettings
from dicomd.storage import placing
from dicomd.storage.directory import DirectorySink
from dicomd.storage.part10 import DCMTK_GENERIC_SOP_CLASS_UID, Implementation, parse_meta
from dicomd.storage.sink import Delivery
from tests.storage.objects import (
    MR,
    body_of,
    dataset,
    element,
    instance_of,
    names_in,
    sink_of,
    store,
)

OTHER = dataset(tail=element(0x7FE00010, "OW", b"other pixels"))


@pytest.fixture
def umask_022() -> Iterator[None]:
    old = os.umask(0o022)
    yield
    os.umask(old)


def refusal(sink: object, data: bytes, sop_instance: str = "1.2.3") -> StorageError:
    with pytest.raises(StorageError) as refused:
        store(sink, data, instance_of(sop_instance))  # type: ignore[arg-type] # a Sink
    return refused.value


def outcome_of(delivery: Delivery) -> StorageError:
    try:
        delivery.write([memoryview(dataset())])
        delivery.commit()
    except StorageError as error:
        return error
    raise AssertionError("it was kept")


def test_the_received_bytes_lie_under_the_final_name(tmp_path: Path) -> None:
    for mode in ("normal", "bit-preserving"):
        receipt = store(sink_of(tmp_path, mode=mode), dataset())
        assert receipt.path == f"{tmp_path}/CT.1.2.3"
        assert body_of(receipt.path) == dataset()
        assert receipt.bytes == os.path.getsize(receipt.path)
    assert names_in(tmp_path) == ["CT.1.2.3"]


def test_nothing_is_seen_of_an_object_before_its_commit(tmp_path: Path) -> None:
    delivery = sink_of(tmp_path).begin(instance_of())
    delivery.write([memoryview(dataset())])
    assert [name for name in os.listdir(tmp_path) if not name.startswith(".")] == []
    delivery.commit()
    assert "CT.1.2.3" in os.listdir(tmp_path)


def test_the_incoming_folder_goes_when_it_is_empty(tmp_path: Path) -> None:
    sink = sink_of(tmp_path)
    assert os.listdir(tmp_path) == []
    store(sink, dataset())
    sink.close()
    assert os.listdir(tmp_path) == ["CT.1.2.3"]


def test_one_sink_goes_on_when_another_took_the_incoming_folder_away(tmp_path: Path) -> None:
    first, second = sink_of(tmp_path), sink_of(tmp_path)
    store(first, dataset())
    store(second, dataset())
    first.close()
    store(second, dataset())
    assert body_of(tmp_path / "CT.1.2.3") == dataset()


def test_modes_do_not_depend_on_the_umask(tmp_path: Path) -> None:
    old = os.umask(0o077)
    try:
        sink = sink_of(tmp_path, subdirectories="series-date", file_mode=0o644)
        path = store(sink, dataset()).path
    finally:
        os.umask(old)
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o644
    assert stat.S_IMODE(os.stat(tmp_path / "data" / "2024").st_mode) == 0o755


@pytest.mark.usefixtures("umask_022")
def test_without_a_mode_the_umask_decides(tmp_path: Path) -> None:
    path = store(sink_of(tmp_path, subdirectories="series-date", file_mode=None), dataset()).path
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o644
    assert stat.S_IMODE(os.stat(tmp_path / "data" / "2024").st_mode) == 0o755


def test_paths_begin_with_the_folder_as_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert store(sink_of("."), dataset()).path == "./CT.1.2.3"
    assert store(sink_of(f"{tmp_path}/"), dataset()).path == f"{tmp_path}/CT.1.2.3"


def test_subfolders_and_extension(tmp_path: Path) -> None:
    dated = sink_of(tmp_path, subdirectories="series-date", extension=".dcm")
    assert store(dated, dataset()).path == f"{tmp_path}/data/2024/03/15/CT.1.2.3.dcm"
    template = "{StudyInstanceUID}/{SeriesInstanceUID}"
    by_study = sink_of(tmp_path, subdirectories=template, filenames="{SOPInstanceUID}")
    assert store(by_study, dataset()).path == f"{tmp_path}/1.2.3.4/1.2.3.4.5/1.2.3"
    again = store(by_study, dataset(), instance_of())
    assert again.outcome == "overwritten"


def test_a_subfolder_that_was_removed_is_made_again(tmp_path: Path) -> None:
    sink = sink_of(tmp_path, subdirectories="series-date")
    store(sink, dataset())
    shutil.rmtree(tmp_path / "data" / "2024")
    assert os.path.exists(store(sink, dataset()).path)


def test_a_subfolder_that_is_a_link_is_refused(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / "data").symlink_to(elsewhere)
    sink = sink_of(tmp_path / "store", subdirectories="series-date")
    assert refusal(sink, dataset()).status == 0xA700
    assert names_in(elsewhere) == []


@pytest.mark.parametrize("filenames", ["unique", "short-unique", "system-time"])
def test_generated_names_never_overwrite(tmp_path: Path, filenames: str) -> None:
    sink = sink_of(tmp_path, filenames=filenames, durability="none")
    paths = {store(sink, dataset()).path for _ in range(50)}
    assert len(paths) == len(names_in(tmp_path)) == 50


def test_a_template_without_the_instance_never_loses_an_object(tmp_path: Path) -> None:
    sink = sink_of(tmp_path, filenames="{Modality}", extension=".dcm")
    first, second = store(sink, dataset()), store(sink, OTHER)
    assert [Path(first.path).name, Path(second.path).name] == ["CT.dcm", "CT_2.dcm"]
    assert store(sink, OTHER).outcome == "kept"


def test_overwrite_replaces_and_says_so(tmp_path: Path) -> None:
    sink = sink_of(tmp_path)
    assert store(sink, dataset()).outcome == "stored"
    receipt = store(sink, OTHER)
    assert receipt.outcome == "overwritten"
    assert body_of(receipt.path) == OTHER


def test_keep_first_accepts_the_same_and_refuses_another(tmp_path: Path) -> None:
    sink = sink_of(tmp_path, duplicates="keep-first")
    first = store(sink, dataset())
    same = store(sink, dataset())
    assert (same.outcome, same.path, same.bytes) == ("kept", first.path, first.bytes)
    assert refusal(sink, OTHER).status == 0xC001
    assert body_of(first.path) == dataset()
    sink.close()
    assert names_in(tmp_path) == ["CT.1.2.3"]


def test_keep_both_keeps_each_content_once(tmp_path: Path) -> None:
    sink = sink_of(tmp_path, duplicates="keep-both", extension=".dcm")
    outcomes = [store(sink, data).outcome for data in (dataset(), OTHER, dataset(), OTHER)]
    assert outcomes == ["stored", "stored", "kept", "kept"]
    sink.close()
    assert names_in(tmp_path) == ["CT.1.2.3.dcm", "CT.1.2.3_2.dcm"]


@pytest.mark.parametrize("duplicates", ["overwrite", "keep-first", "keep-both"])
def test_a_link_at_the_final_name_is_never_written_through(tmp_path: Path, duplicates: str) -> None:
    victim = tmp_path / "victim"
    victim.write_text("untouched")
    folder = tmp_path / "store"
    folder.mkdir()
    (folder / "CT.1.2.3").symlink_to(victim)
    sink = sink_of(folder, duplicates=duplicates)
    if duplicates == "keep-first":
        assert refusal(sink, dataset()).status == 0xC001
    else:
        receipt = store(sink, dataset())
        assert body_of(receipt.path) == dataset()
        assert not os.path.islink(receipt.path)
    assert victim.read_text() == "untouched"


def test_a_folder_at_the_final_name_is_a700_and_no_fault_of_the_store(tmp_path: Path) -> None:
    (tmp_path / "CT.1.2.3").mkdir()
    sink = sink_of(tmp_path)
    with capture_logs() as lines:
        assert refusal(sink, dataset()).status == 0xA700
        store(sink, dataset("1.2.4"), instance_of("1.2.4"))
    assert lines == []
    assert names_in(tmp_path) == ["CT.1.2.4"]


def test_two_deliveries_of_one_instance_leave_one_of_them_whole(tmp_path: Path) -> None:
    sink = sink_of(tmp_path)
    contents = [dataset(tail=element(0x7FE00010, "OW", bytes([n]) * 60_000)) for n in range(8)]
    deliveries = []
    for data in contents:
        delivery = sink.begin(instance_of())
        delivery.write([memoryview(data)])
        deliveries.append(delivery)
    threads = [threading.Thread(target=delivery.commit) for delivery in deliveries]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert names_in(tmp_path) == ["CT.1.2.3"]
    assert body_of(tmp_path / "CT.1.2.3") in contents


def test_many_threads_store_into_shared_subfolders(tmp_path: Path) -> None:
    sink = sink_of(tmp_path, subdirectories="series-date")

    def work(first: int) -> None:
        for number in range(first, first + 20):
            name = f"1.2.{number}"
            date = f"20240{number % 9 + 1}01"
            store(sink, dataset(name, date=date), instance_of(name))

    threads = [threading.Thread(target=work, args=(n * 100,)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    sink.close()
    assert len(names_in(tmp_path)) == 120


# Checks


def test_tolerant_normal_refuses_what_cannot_be_parsed(tmp_path: Path) -> None:
    answer = refusal(sink_of(tmp_path), dataset()[:-1])
    assert (answer.status, answer.abort) == (0xC000, False)
    as_dcmrecv = sink_of(tmp_path, implementation="dcmrecv", abort_unparsable=True)
    assert refusal(as_dcmrecv, dataset()[:-1]).abort
    as_dcmrecv.close()
    assert names_in(tmp_path) == []


@pytest.mark.parametrize("implementation", ["dicomd", "dcmrecv", "movescu"])
def test_bit_preserving_tolerant_judges_nothing(
    tmp_path: Path, implementation: Implementation
) -> None:
    sink = sink_of(tmp_path, mode="bit-preserving", implementation=implementation)
    assert body_of(store(sink, b"no data set at all").path) == b"no data set at all"
    assert body_of(store(sink, dataset("9.9")).path) == dataset("9.9")
    assert body_of(sink.begin(instance_of()).commit().path) == b""


def test_empty_objects_as_each_tool_answers_them(tmp_path: Path) -> None:
    def status(implementation: object) -> int:
        sink = sink_of(tmp_path, implementation=implementation)  # type: ignore[arg-type] # open set
        with pytest.raises(StorageError) as refused:
            sink.begin(instance_of()).commit()
        return refused.value.status

    assert status("dcmrecv") == status("dicomd") == 0xC000
    assert status("movescu") == 0xA700


def test_uids_that_differ_are_kept_by_dcmrecv_and_refused_by_movescu(tmp_path: Path) -> None:
    receipt = store(sink_of(tmp_path, implementation="dcmrecv"), dataset("9.9"))
    meta = parse_meta(Path(receipt.path).read_bytes())
    assert meta is not None
    assert Path(receipt.path).name == "CT.1.2.3"
    assert meta.sop_instance_uid == "9.9"
    assert receipt.warnings
    as_movescu = sink_of(tmp_path, implementation="movescu")
    assert refusal(as_movescu, dataset(sop_class=MR)).status == 0xA900
    assert refusal(as_movescu, element(0x00080060, "CS", b"CT")).status == 0xC000


def test_missing_uids_are_made_up_as_dcmrecv_does(tmp_path: Path) -> None:
    data = element(0x00080060, "CS", b"CT")
    receipt = store(sink_of(tmp_path, implementation="dcmrecv"), data)
    meta = parse_meta(Path(receipt.path).read_bytes())
    assert meta is not None
    assert meta.sop_class_uid == DCMTK_GENERIC_SOP_CLASS_UID
    assert meta.sop_instance_uid.startswith("1.2.276.0.7230010.3.1.4.")
    assert body_of(receipt.path) == data
    assert receipt.bytes == os.path.getsize(receipt.path)


def test_strict_refuses_a_truncated_data_set(tmp_path: Path) -> None:
    assert refusal(sink_of(tmp_path, checks="strict"), dataset()[:-1]).status == 0xC000


def test_a_bare_data_set_has_no_header(tmp_path: Path) -> None:
    for mode in ("normal", "bit-preserving"):
        path = store(sink_of(tmp_path, mode=mode, meta_header=False), dataset()).path
        assert Path(path).read_bytes() == dataset()


# Faults of the store


def test_a_missing_folder_is_refused_until_it_is_back(tmp_path: Path) -> None:
    folder = tmp_path / "store"
    sink = sink_of(folder)
    with capture_logs() as lines:
        for _ in range(3):
            assert refusal(sink, dataset()).status == 0xA700
        assert not folder.exists()
        folder.mkdir()
        store(sink, dataset())
        store(sink, dataset())
    assert [line["event"] for line in lines] == ["storage.failing", "storage.recovered"]
    assert lines[1]["objects"] == 3


def test_a_folder_that_was_replaced_is_noticed(tmp_path: Path) -> None:
    folder = tmp_path / "store"
    folder.mkdir()
    sink = sink_of(folder)
    store(sink, dataset())
    delivery = sink.begin(instance_of())
    delivery.write([memoryview(dataset())])
    folder.rename(tmp_path / "old")
    folder.mkdir()
    with pytest.raises(StorageError) as refused:
        delivery.commit()
    assert refused.value.status == 0xA700
    store(sink, dataset())
    assert names_in(folder) == ["CT.1.2.3"]
    assert names_in(tmp_path / "old") == ["CT.1.2.3"]


def test_without_durability_a_folder_is_believed_for_an_instant_only(tmp_path: Path) -> None:
    folder = tmp_path / "store"
    folder.mkdir()
    now = [100.0]
    settings = StoreSettings(directory=str(folder), durability="none", min_free_space=0)
    sink = DirectorySink(
        settings,
        checks="strict",
        implementation="dicomd",
        max_object_bytes=None,
        clock=lambda: now[0],
    )
    store(sink, dataset())
    folder.rename(tmp_path / "old")
    folder.mkdir()
    now[0] += 0.01
    store(sink, dataset("1.2.4"), instance_of("1.2.4"))
    assert names_in(folder) == ["CT.1.2.4"]
    shutil.rmtree(folder)
    folder.mkdir()
    store(sink, dataset("1.2.5"), instance_of("1.2.5"))
    assert names_in(folder) == ["CT.1.2.5"]


def test_where_the_system_has_no_renameat2_names_are_looked_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(*_: object) -> bool:
        raise OSError(errno.EINVAL, "Invalid argument")

    monkeypatch.setattr(placing, "rename_new", missing)
    sink = sink_of(tmp_path)
    assert store(sink, dataset()).outcome == "stored"
    assert store(sink, dataset()).outcome == "overwritten"
    assert names_in(tmp_path) == ["CT.1.2.3"]


def test_recv_makes_a_missing_folder_again(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "b"
    sink = sink_of(folder, create_directory=True, implementation="dcmrecv")
    store(sink, dataset())
    shutil.rmtree(tmp_path / "a")
    assert body_of(store(sink, dataset()).path) == dataset()


def test_below_the_floor_objects_are_refused_before_they_are_read(tmp_path: Path) -> None:
    sink = sink_of(tmp_path, min_free_space=1 << 60)
    with pytest.raises(StorageError) as refused:
        sink.begin(instance_of())
    assert refused.value.status == 0xA700
    sink.close()
    assert names_in(tmp_path) == []


def test_the_file_size_limit_is_a700_and_service_goes_on(tmp_path: Path) -> None:
    sink = sink_of(tmp_path)
    store(sink, dataset())  # what is imported late writes files too
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        with capture_logs():
            answer = refusal(sink, dataset(tail=element(0x7FE00010, "OB", bytes(5000))), "1.2.4")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert answer.status == 0xA700
    with capture_logs():
        store(sink, dataset("1.2.5"), instance_of("1.2.5"))
    sink.close()
    assert names_in(tmp_path) == ["CT.1.2.3", "CT.1.2.5"]


@pytest.mark.parametrize("call", ["fdatasync", "fsync", "rename_new", "writev", "close"])
@pytest.mark.parametrize("number", [errno.EIO, errno.ENOSPC, errno.EDQUOT, errno.EROFS])
def test_each_failing_call_is_a_refusal_without_a_trace(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, number: int
) -> None:
    sink = sink_of(tmp_path)
    module = placing if call == "rename_new" else os
    real = getattr(module, call)
    failed: list[str] = []

    def failing(*arguments: object, **keywords: object) -> object:
        if not failed:
            failed.append(call)
            if call == "close":
                real(*arguments, **keywords)
            raise OSError(number, os.strerror(number))
        return real(*arguments, **keywords)

    delivery = sink.begin(instance_of())
    gc.collect()  # folders of earlier tests close theirs now, not through our call
    with capture_logs() as lines, monkeypatch.context() as patch:
        patch.setattr(module, call, failing)
        answer = outcome_of(delivery)
        assert failed
    assert answer.status == 0xA700
    assert str(tmp_path) not in answer.comment
    assert [line["event"] for line in lines] == ["storage.failing"]
    delivery.discard()
    with capture_logs():
        assert body_of(store(sink, dataset("1.2.4"), instance_of("1.2.4")).path)
    sink.close()
    assert names_in(tmp_path) == ["CT.1.2.4"]


def test_a_failed_sync_is_not_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[int] = []

    def failing(descriptor: int) -> None:
        calls.append(descriptor)
        raise OSError(errno.EIO, "I/O error")

    monkeypatch.setattr(os, "fdatasync", failing)
    with capture_logs():
        refusal(sink_of(tmp_path), dataset())
    assert len(calls) == 1


def test_short_writes_are_continued(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.writev

    def short(descriptor: int, spans: list[memoryview]) -> int:
        return real(descriptor, [memoryview(b"".join(spans))[:97]])

    monkeypatch.setattr(os, "writev", short)
    data = dataset()
    assert body_of(store(sink_of(tmp_path), data, cut_at=[10, 500]).path) == data


def test_no_descriptor_is_left(tmp_path: Path) -> None:
    def open_now() -> int:
        return len(os.listdir("/proc/self/fd"))

    sink = sink_of(tmp_path, subdirectories="{SOPInstanceUID}", durability="none")
    store(sink, dataset())
    for number in range(200):
        name = f"1.2.{number}"
        store(sink, dataset(name), instance_of(name))
    assert open_now() < 100
    before = open_now()
    for _ in range(50):
        with pytest.raises(StorageError):
            store(sink, dataset()[:-1])
    assert open_now() == before
    sink.close()
    del sink
    assert open_now() < before


def test_only_what_takes_long_asks_for_a_helper_thread(tmp_path: Path) -> None:
    def asks(data: bytes, **settings: object) -> bool:
        sink = sink_of(tmp_path, **settings)  # type: ignore[arg-type] # open set
        delivery = sink.begin(instance_of())
        delivery.write([memoryview(data)])
        asked = delivery.blocking
        delivery.discard()
        return asked

    large = dataset(tail=element(0x7FE00010, "OW", bytes(2 << 20)))
    odd = dataset(tail=element(0x00280010, "US", b"abc"))
    assert asks(dataset())
    assert not asks(dataset(), durability="none")
    assert not asks(dataset(), durability="none", rewrite=DCMRECV_REWRITE)
    assert asks(odd, durability="none", rewrite=DCMRECV_REWRITE)
    assert asks(large, durability="none")
    assert not asks(large, durability="none", mode="bit-preserving")
