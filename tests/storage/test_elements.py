"""The walk through a data set: soundness, what is seen, pieces of any size, hostile input."""

import random
import struct
import tracemalloc

import pytest

from dicomd.storage.elements import DEEPEST, ElementWalker, Seen
from dicomd.storage.transfer_syntaxes import Encoding, encoding_of
from tests.storage.objects import (
    DEFLATED,
    EXPLICIT,
    dataset,
    element,
    end,
    item,
    loaded,
    packaged_files,
    sequence,
    uid,
)

INSTANCE = 0x00080018
NAME = uid(INSTANCE, "1.2.3")


def walked(data: bytes, encoding: Encoding | None = None, *, step: int = 0) -> ElementWalker:
    walker = ElementWalker(encoding or encoding_of(EXPLICIT), frozenset({INSTANCE}))
    view = memoryview(data)
    for start in range(0, len(data), step or max(1, len(data))):
        walker.feed(view[start : start + (step or len(data))])
    walker.finish()
    return walker


SOUND = {
    "plain": dataset(),
    "nothing": b"",
    "defined sequence": NAME + sequence(0x00081140, item(NAME), item(b"")),
    "undefined sequence": NAME
    + sequence(0x00081140, item(NAME, undefined=True), item(NAME), undefined=True),
    "nested": NAME
    + sequence(0x00081140, item(sequence(0x00081140, item(NAME), undefined=True)), undefined=True),
    "fragments": NAME
    + element(0x7FE00010, "OB", item(b"") + item(b"abcd") + end(0xE0DD), length=0xFFFFFFFF),
    "UN of undefined length is implicit": NAME
    + element(
        0x00091001,
        "UN",
        item(struct.pack("<HHI", 8, 0x18, 2) + b"12") + end(0xE0DD),
        length=0xFFFFFFFF,
    ),
    "unknown VR of capitals has a long length": NAME
    + struct.pack("<HH2sHI", 9, 0x1001, b"ZZ", 0, 2)
    + b"ab",
    "unknown VR of other letters has a short length": NAME
    + struct.pack("<HH2sH", 9, 0x1001, b"??", 2)
    + b"ab",
}

UNSOUND = {
    "value cut off": NAME[:-1],
    "header cut off": NAME + b"\x08\x00\x60",
    "long header cut off": NAME + element(0x7FE00010, "OW", b"abcd")[:10],
    "length past the end": NAME + element(0x7FE00010, "OW", b"abcd", length=1 << 31),
    "sequence not ended": NAME + sequence(0x00081140, item(NAME), undefined=True)[:-8],
    "item not ended": NAME + sequence(0x00081140, item(NAME, undefined=True))[:-8],
    "element past its item": NAME
    + sequence(0x00081140, struct.pack("<HHI", 0xFFFE, 0xE000, 8) + NAME),
    "item past its sequence": NAME
    + element(0x00081140, "SQ", struct.pack("<HHI", 0xFFFE, 0xE000, 99) + NAME),
    "no item in a sequence": NAME + element(0x00081140, "SQ", NAME),
    "delimiter without item": NAME + end(0xE00D),
    "fragment of undefined length": NAME
    + element(0x7FE00010, "OB", struct.pack("<HHI", 0xFFFE, 0xE000, 0xFFFFFFFF), length=0xFFFFFFFF),
    "text of undefined length": NAME + element(0x00084000, "UT", b"", length=0xFFFFFFFF),
}


@pytest.mark.parametrize("name", SOUND)
@pytest.mark.parametrize("step", [0, 1, 3])
def test_a_sound_data_set_has_no_fault(name: str, step: int) -> None:
    walker = walked(SOUND[name], step=step)
    assert walker.fault == ""
    assert set(walker.values) == ({INSTANCE} if SOUND[name] else set())


@pytest.mark.parametrize("name", UNSOUND)
@pytest.mark.parametrize("step", [0, 1, 3])
def test_an_unsound_data_set_has_a_fault(name: str, step: int) -> None:
    assert walked(UNSOUND[name], step=step).fault


def test_every_cut_is_noticed_or_falls_between_elements() -> None:
    data = dataset()
    edges = set()
    position = 0
    while position < len(data):
        edges.add(position)
        vr = data[position + 4 : position + 6]
        if vr == b"OW":
            position += 12 + int.from_bytes(data[position + 8 : position + 12], "little")
        else:
            position += 8 + int.from_bytes(data[position + 6 : position + 8], "little")
    for cut in range(1, len(data)):
        assert bool(walked(data[:cut]).fault) == (cut not in edges)


@pytest.mark.parametrize(
    ("data", "flag"),
    [
        (element(0x00080060, "CS", b"CTX"), Seen.ODD_LENGTH),
        (element(0x00080060, "CS", b"CT") + NAME, Seen.UNSORTED),
        (NAME + NAME, Seen.UNSORTED),
        (element(0x00080000, "UL", bytes(4)), Seen.GROUP_LENGTH),
        (sequence(0x00081140, item(NAME)), Seen.EXPLICIT_LENGTH),
        (sequence(0x00081140, undefined=True), Seen.UNDEFINED_LENGTH),
        (element(0xFFFCFFFC, "OB", b"\0\0"), Seen.TRAILING_PADDING),
        (element(0x00091001, "UN", b"ab"), Seen.NEW_VR),
        (element(0x00091001, "??", b"ab"), Seen.UNKNOWN_VR),
    ],
)
def test_what_a_rewriting_may_change_is_seen(data: bytes, flag: Seen) -> None:
    assert walked(data).seen & flag
    assert not walked(dataset()).seen & ~Seen.NEW_VR


def test_every_packaged_file_walks_the_same_in_pieces() -> None:
    for path in packaged_files():
        instance, data = loaded(path)
        encoding = encoding_of(instance.transfer_syntax_uid)
        if encoding.deflated or len(data) > 60_000:
            continue
        whole, pieces = walked(data, encoding), walked(data, encoding, step=7)
        assert (whole.fault, whole.seen, whole.values) == (
            pieces.fault,
            pieces.seen,
            pieces.values,
        ), path.name


def test_nesting_without_end_is_refused_without_growing() -> None:
    header = element(0x00081140, "SQ", b"", length=0xFFFFFFFF)
    level = header + struct.pack("<HHI", 0xFFFE, 0xE000, 0xFFFFFFFF)
    tracemalloc.start()
    walker = walked(level * 20_000)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert walker.fault == "nested too deeply"
    assert peak < 4 << 20
    sound = walked(level * (DEEPEST // 2 - 1) + (end(0xE00D) + end(0xE0DD)) * (DEEPEST // 2 - 1))
    assert sound.fault == ""


def test_random_bytes_raise_nothing() -> None:
    chance = random.Random(7)
    whole = SOUND["nested"] + dataset()
    for _ in range(3000):
        data = bytearray(whole)
        for _ in range(chance.randint(1, 6)):
            data[chance.randrange(len(data))] = chance.randrange(256)
        explicit = chance.random() < 0.7
        big = explicit and chance.random() < 0.3
        walked(bytes(data), Encoding(explicit=explicit, big_endian=big), step=chance.randint(0, 9))


def test_a_large_value_is_passed_over_without_being_kept() -> None:
    walker = ElementWalker(encoding_of(EXPLICIT))
    walker.feed(memoryview(element(0x7FE00010, "OW", b"", length=64 << 20)))
    piece = memoryview(bytes(1 << 20))
    tracemalloc.start()
    for _ in range(64):
        walker.feed(piece)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    walker.finish()
    assert walker.fault == ""
    assert peak < 1 << 20


def test_deflated_is_not_for_the_walker() -> None:
    assert encoding_of(DEFLATED).deflated
