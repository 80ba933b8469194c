"""Memory does not grow with the object: half a GiB here, 4 GiB with DICOMD_LARGE=1."""

import os
from pathlib import Path

import pytest

from dicomd.settings.storage import MOVESCU_REWRITE, RewriteSettings
from tests.storage.objects import dataset, element, instance_of, sequence, sink_of

MEGABYTE = 1 << 20
SIZE = (4096 if os.environ.get("DICOMD_LARGE") else 512) * MEGABYTE
ALLOWED_KIB = 24 * 1024


def forget_peak() -> None:
    """Let the peak start anew from what is resident now (proc(5), clear_refs)."""
    Path("/proc/self/clear_refs").write_text("5")


def peak_kib() -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1])
    raise AssertionError("the system does not tell")


@pytest.mark.parametrize(
    ("mode", "rewrite"),
    [("bit-preserving", None), ("normal", None), ("normal", MOVESCU_REWRITE)],
    ids=["bit-preserving", "normal", "rewritten"],
)
def test_a_large_object_costs_no_memory(
    tmp_path: Path, mode: str, rewrite: RewriteSettings | None
) -> None:
    size = SIZE - 2
    head = dataset(tail=sequence(0x00281199, undefined=True))
    head += element(0x7FE00010, "OW", b"", length=size)
    sink = sink_of(tmp_path, mode=mode, rewrite=rewrite, durability="none")
    piece = memoryview(bytes(MEGABYTE))
    forget_peak()
    before = peak_kib()
    delivery = sink.begin(instance_of())
    delivery.write([memoryview(head)])
    left = size
    while left:
        part = min(left, MEGABYTE)
        delivery.write([piece[:part]])
        left -= part
    receipt = delivery.commit()
    os.unlink(receipt.path)
    sink.close()
    assert receipt.bytes > SIZE
    assert peak_kib() - before < ALLOWED_KIB
