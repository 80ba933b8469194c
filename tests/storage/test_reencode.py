"""Rewriting: whatever walks soundly can be written, and what is written walks soundly."""

import random
from pathlib import Path

import pytest

from dicomd.errors import StorageError
from dicomd.settings.storage import DCMRECV_REWRITE, MOVESCU_REWRITE, RewriteSettings
from dicomd.storage.elements import ElementWalker, Seen
from dicomd.storage.transfer_syntaxes import encoding_of
from tests.storage.objects import (
    BIG,
    DEFLATED,
    EXPLICIT,
    IMPLICIT,
    body_of,
    dataset,
    element,
    end,
    instance_of,
    item,
    names_in,
    sequence,
    sink_of,
    store,
    uid,
)

FORMS = [
    DCMRECV_REWRITE,
    MOVESCU_REWRITE,
    RewriteSettings(transfer_syntax=BIG, group_lengths="add", sequence_lengths="explicit"),
    RewriteSettings(transfer_syntax=IMPLICIT, padding="pad", pad_file=64, pad_items=8),
    RewriteSettings(group_lengths="remove", padding="remove", new_vrs=False),
]
RICH = (
    dataset(tail=element(0x00280010, "US", b"ab"))
    + sequence(
        0x00281199,
        item(uid(0x00081155, "1.2") + sequence(0x00081140, item(b""), undefined=True)),
        item(element(0x00080000, "UL", bytes(4)) + uid(0x00081155, "1.2"), undefined=True),
        undefined=True,
    )
    + element(0x7FE00010, "OB", item(b"") + item(b"abcd") + end(0xE0DD), length=0xFFFFFFFF)
    + element(0xFFFCFFFC, "OB", bytes(4))
)


def walked(data: bytes, syntax: str) -> ElementWalker:
    walker = ElementWalker(encoding_of(syntax))
    walker.feed(data)
    walker.finish()
    return walker


def test_mutated_data_sets_are_refused_or_written_soundly(tmp_path: Path) -> None:
    chance = random.Random(23)
    sinks = [
        (form, sink_of(tmp_path / str(number), rewrite=form, durability="none"))
        for number, form in enumerate(FORMS)
    ]
    for number in range(len(FORMS)):
        (tmp_path / str(number)).mkdir()
    kept = 0
    refused = set()
    for round_ in range(1500):
        data = bytearray(RICH)
        for _ in range(chance.randint(0, 4)):
            data[chance.randrange(len(data))] = chance.randrange(256)
        form, sink = sinks[round_ % len(sinks)]
        try:
            path = store(sink, bytes(data), instance_of()).path
        except StorageError as error:
            refused.add(error.status)
            continue
        kept += 1
        if form.transfer_syntax == IMPLICIT:
            continue  # a sequence's tag with a text's VR cannot be told from a sequence there
        found = walked(body_of(path), form.transfer_syntax or EXPLICIT)
        assert found.fault == ""
        assert not found.seen & Seen.ODD_LENGTH
        assert not found.seen & Seen.UNSORTED
    assert kept > 300
    assert refused == {0xC000}
    for _, sink in sinks:
        sink.close()
    assert all(name.endswith("CT.1.2.3") for name in names_in(tmp_path))


def test_what_is_as_it_should_be_is_kept_as_received(tmp_path: Path) -> None:
    data = dataset(tail=sequence(0x00281199, undefined=True))
    assert body_of(store(sink_of(tmp_path, rewrite=DCMRECV_REWRITE), data).path) == data


def test_the_header_names_the_syntax_that_is_written(tmp_path: Path) -> None:
    form = RewriteSettings(transfer_syntax=BIG)
    path = Path(store(sink_of(tmp_path, rewrite=form), dataset()).path)
    assert BIG.encode() in path.read_bytes()[:600]
    assert path.stat().st_size == store(sink_of(tmp_path, rewrite=form), dataset()).bytes


@pytest.mark.parametrize("cut", [1, 5, 60])
def test_a_cut_deflated_data_set_is_refused(tmp_path: Path, cut: int) -> None:
    made = sink_of(tmp_path, rewrite=RewriteSettings(transfer_syntax=DEFLATED))
    deflated = body_of(store(made, dataset()).path)
    sink = sink_of(tmp_path, rewrite=MOVESCU_REWRITE)
    whole = store(sink, deflated, instance_of(syntax=DEFLATED))
    assert body_of(whole.path) == deflated
    with pytest.raises(StorageError) as refused:
        store(sink, deflated[: -cut - 4], instance_of(syntax=DEFLATED))
    assert refused.value.status == 0xC000


def test_a_deflated_bomb_is_bounded_by_the_object_size_limit(tmp_path: Path) -> None:
    made = sink_of(tmp_path, rewrite=RewriteSettings(transfer_syntax=DEFLATED))
    big = dataset(tail=element(0x7FE00010, "OW", bytes(8 << 20)))
    deflated = body_of(store(made, big).path)
    assert len(deflated) < 100_000
    sink = sink_of(tmp_path, rewrite=DCMRECV_REWRITE, max_object_bytes=1 << 20)
    with pytest.raises(StorageError) as refused:
        store(sink, deflated, instance_of(syntax=DEFLATED))
    assert refused.value.status == 0xC000
