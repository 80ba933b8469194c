"""Mutations of bytes: the changes that break parsers, drawn from a seeded generator."""

from collections.abc import Sequence
from random import Random

INTERESTING = (0, 1, 2, 3, 4, 5, 6, 7, 8, 0x10, 0x20, 0x7F, 0x80, 0xFE, 0xFF)
LENGTHS = (0, 1, 2, 5, 6, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFE, 0xFFFFFFFF)


def mutated(random: Random, seeds: Sequence[bytes], *, limit: int = 1 << 17) -> bytes:
    """One of the seeds with one to eight changes, at most ``limit`` bytes long."""
    data = bytearray(random.choice(seeds))
    for _ in range(random.choice((1, 1, 1, 2, 2, 3, 5, 8))):
        _change(random, data, seeds)
    return bytes(data[:limit])


def _change(random: Random, data: bytearray, seeds: Sequence[bytes]) -> None:
    at = random.randrange(len(data) + 1)
    size = random.choice((1, 1, 2, 4, 8, 16, 64))
    match random.randrange(9):
        case 0:  # one bit
            if at < len(data):
                data[at] ^= 1 << random.randrange(8)
        case 1:  # one byte
            data[at : at + 1] = bytes((random.choice(INTERESTING),))
        case 2:  # a length, of either size and order
            width = random.choice((2, 4))
            value = random.choice(LENGTHS) & ((1 << 8 * width) - 1)
            data[at : at + width] = value.to_bytes(width, random.choice(("big", "little")))
        case 3:  # a little more or less
            if at < len(data):
                data[at] = (data[at] + random.randint(-4, 4)) & 0xFF
        case 4:
            del data[at : at + size]
        case 5:
            data[at:at] = random.randbytes(size)
        case 6:  # a part of it again
            data[at:at] = data[at : at + size] * random.randint(1, 4)
        case 7:  # a part of another
            other = random.choice(seeds)
            start = random.randrange(len(other) + 1)
            data[at : at + size] = other[start : start + random.randint(0, 200)]
        case _:  # the end is missing
            del data[at:]
