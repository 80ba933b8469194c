"""What a fuzzer is, and the loop that runs one."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random
from time import monotonic

from tests.fuzz.mutate import mutated


@dataclass(frozen=True)
class Target:
    """A parser under mutated input. ``run`` gets the bytes and a generator for choices of its own
    (how to cut them); it raises whatever a parser must not raise."""

    name: str
    seeds: Sequence[bytes]
    run: Callable[[bytes, Random], None]
    slow_s: float = 2.0
    """One input may not take longer than this."""


@dataclass(frozen=True)
class Crash:
    """An input that broke its parser; ``target`` and ``round_seed`` make it again."""

    target: str
    round_seed: str
    data: bytes
    error: BaseException

    def __str__(self) -> str:
        return (
            f"{self.target}: {type(self.error).__name__}: {self.error}\n"
            f"  seed {self.round_seed}, {len(self.data)} bytes: {self.data[:2000].hex()}"
        )


def fuzz(
    target: Target, *, seed: int, rounds: int | None = None, seconds: float = 0.0
) -> tuple[int, Crash | None]:
    """Run a target for that many rounds or that long, to the first crash: the rounds run, and it.

    Each round has a generator of its own, so that a crash can be made again alone.
    """
    end = monotonic() + seconds
    count = 0
    while count < rounds if rounds is not None else monotonic() < end:
        round_seed = f"{target.name}/{seed}/{count}"
        random = Random(round_seed)
        data = mutated(random, target.seeds)
        started = monotonic()
        try:
            target.run(data, random)
            took = monotonic() - started
            if took > target.slow_s:
                raise TimeoutError(f"took {took:.1f} s")  # noqa: TRY301  # told as a crash
        except Exception as error:
            return count, Crash(target.name, round_seed, data, error)
        count += 1
    return count, None
