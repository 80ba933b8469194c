"""What every sink promises, run over each kind."""

from collections.abc import Callable
from pathlib import Path

import pytest

from dicomd.errors import StorageError
from dicomd.storage.sink import Sink
from tests.storage.objects import MR, dataset, instance_of, names_in, sink_of, store

Opener = Callable[..., Sink]

KINDS = {
    "normal": {"mode": "normal"},
    "normal, nothing synced": {"mode": "normal", "durability": "none"},
    "bit-preserving": {"mode": "bit-preserving"},
    "ignore": {"mode": "ignore"},
}


@pytest.fixture(params=KINDS, ids=str)
def opener(request: pytest.FixtureRequest, tmp_path: Path) -> Opener:
    def opener(**more: object) -> Sink:
        return sink_of(tmp_path, **{**KINDS[request.param], **more})  # type: ignore[arg-type] # open set

    return opener


def test_an_object_gets_a_receipt(opener: Opener) -> None:
    with_sink = opener()
    receipt = store(with_sink, dataset())
    assert receipt.instance == instance_of()
    assert receipt.study_instance_uid == "1.2.3.4"
    assert receipt.series_instance_uid == "1.2.3.4.5"
    assert receipt.bytes >= len(dataset())
    with_sink.close()


def test_pieces_of_any_size_make_the_same_object(opener: Opener) -> None:
    sink = opener()
    data = dataset()
    whole = store(sink, data)
    pieces = store(sink, data, cut_at=range(1, len(data)))
    assert (pieces.bytes, pieces.path) == (whole.bytes, whole.path)


def test_more_spans_than_one_system_call_takes(opener: Opener) -> None:
    sink = opener()
    data = dataset()
    view = memoryview(data)
    delivery = sink.begin(instance_of())
    delivery.write([view[at : at + 1] for at in range(len(data))] + [memoryview(b"")] * 2000)
    assert delivery.commit().bytes == store(sink, data).bytes


def test_a_discarded_delivery_leaves_nothing(opener: Opener, tmp_path: Path) -> None:
    sink = opener()
    delivery = sink.begin(instance_of())
    delivery.write([memoryview(dataset())])
    delivery.discard()
    delivery.discard()
    sink.close()
    assert names_in(tmp_path) == []


def test_strict_refuses_an_invalid_uid_in_the_command(opener: Opener, tmp_path: Path) -> None:
    sink = opener(checks="strict")
    for bad in ("../evil", "1.2/3", "", "1..2", "1.2.", "1." * 40 + "1", "1.2\n"):
        with pytest.raises(StorageError) as refused:
            sink.begin(instance_of(bad))
        assert refused.value.status == 0x0117
    sink.close()
    assert names_in(tmp_path) == []


def test_strict_refuses_another_instance_than_announced(opener: Opener, tmp_path: Path) -> None:
    sink = opener(checks="strict")
    for data in (dataset("1.2.4"), dataset(sop_class=MR), dataset()[34:]):
        with pytest.raises(StorageError) as refused:
            store(sink, data)
        assert refused.value.status == 0xA900
    sink.close()
    assert names_in(tmp_path) == []


def test_strict_refuses_an_empty_object(opener: Opener, tmp_path: Path) -> None:
    sink = opener(checks="strict")
    with pytest.raises(StorageError) as refused:
        sink.begin(instance_of()).commit()
    with pytest.raises(StorageError):
        store(sink, b"")
    assert (refused.value.status, refused.value.abort) == (0xC000, False)
    sink.close()
    assert names_in(tmp_path) == []


def test_an_object_over_the_limit_is_refused(opener: Opener, tmp_path: Path) -> None:
    sink = opener(max_object_bytes=100)
    delivery = sink.begin(instance_of())
    with pytest.raises(StorageError) as refused:
        delivery.write([memoryview(dataset())])
    assert refused.value.status == 0xA700
    delivery.discard()
    sink.close()
    assert names_in(tmp_path) == []


def test_no_comment_or_text_holds_a_value(opener: Opener) -> None:
    sink = opener(checks="strict")
    for data in (dataset("1.2.4"), b"", dataset()[:15]):
        with pytest.raises(StorageError) as refused:
            store(sink, data)
        error = refused.value
        assert "Doe" not in f"{error} {error.comment}"
        assert len(error.comment) <= 64  # PS3.7 C: LO
