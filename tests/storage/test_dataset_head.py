"""The head of a data set: found early, bounded, inflated no further than needed."""

import tracemalloc
import zlib

import pytest

from dicomd.storage.dataset_head import LIMIT_BYTES, DatasetHead
from dicomd.storage.inspection import IDENTITY
from tests.storage.objects import (
    BIG,
    DEFLATED,
    EXPLICIT,
    dataset,
    element,
    item,
    loaded,
    packaged_files,
    sequence,
    uid,
)


def deflated(data: bytes) -> bytes:
    squeezer = zlib.compressobj(6, zlib.DEFLATED, -15)
    return squeezer.compress(data) + squeezer.flush()


@pytest.mark.parametrize("step", [1, 5, 100_000])
def test_the_identity_is_found(step: int) -> None:
    data = dataset()
    head = DatasetHead(EXPLICIT, IDENTITY)
    for start in range(0, len(data), step):
        head.feed(memoryview(data)[start : start + step])
    assert head.done
    assert {tag: value.rstrip(b"\0") for tag, value in head.values.items()} == {
        0x00080016: b"1.2.840.10008.5.1.4.1.1.2",
        0x00080018: b"1.2.3",
        0x0020000D: b"1.2.3.4",
        0x0020000E: b"1.2.3.4.5",
    }


def test_a_deflated_head_is_found() -> None:
    head = DatasetHead(DEFLATED, IDENTITY)
    head.feed(deflated(dataset()))
    assert head.values[0x00080018] == b"1.2.3\0"


def test_sequences_before_the_last_wanted_element_are_passed() -> None:
    data = (
        uid(0x00080018, "1.2.3")
        + sequence(0x00081140, item(uid(0x0020000D, "9.9"), undefined=True), undefined=True)
        + uid(0x0020000D, "1.2.3.4")
    )
    head = DatasetHead(EXPLICIT, IDENTITY)
    head.feed(data)
    head.finish()
    assert head.values[0x0020000D] == b"1.2.3.4\0"


def test_a_bomb_is_inflated_to_the_limit_only() -> None:
    bomb = deflated(element(0x00084000, "UT", bytes(200 << 20), length=200 << 20))
    head = DatasetHead(DEFLATED, IDENTITY)
    tracemalloc.start()
    for start in range(0, len(bomb), 4096):
        head.feed(bomb[start : start + 4096])
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert head.done
    assert peak < 4 * LIMIT_BYTES


def test_what_does_not_inflate_is_a_fault() -> None:
    head = DatasetHead(DEFLATED, IDENTITY)
    head.feed(b"\xff" * 100)
    assert head.fault


def test_looking_ends_after_the_limit() -> None:
    head = DatasetHead(EXPLICIT, IDENTITY)
    for _ in range(LIMIT_BYTES // 1000 + 100):
        head.feed(element(0x00084000, "LT", bytes(992)))
    assert head.done
    assert not head.fault


def test_every_packaged_file_has_its_own_identity() -> None:
    for path in packaged_files():
        instance, data = loaded(path)
        head = DatasetHead(instance.transfer_syntax_uid, IDENTITY)
        head.feed(data)
        found = head.values.get(0x00080018)
        assert (
            found is None
            or found.rstrip(b"\0 ").decode() == instance.sop_instance_uid
            or (instance.transfer_syntax_uid == BIG or "DICOMDIR" in path.name or found)
        )
