"""Each fuzzer, for a fixed number of rounds from a fixed seed."""

from random import Random

import pytest

from tests.fuzz.__main__ import TARGETS, main
from tests.fuzz.mutate import mutated
from tests.fuzz.target import Target, fuzz


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)
def test_a_fuzzer_finds_nothing(target: Target) -> None:
    _, crash = fuzz(target, seed=20261121, rounds=1500)
    assert crash is None, str(crash)


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)
def test_its_seeds_pass_unchanged(target: Target) -> None:
    for seed in target.seeds:
        target.run(seed, Random(1))


def test_a_crash_is_found_and_can_be_made_again() -> None:
    def run(data: bytes, _: Random) -> None:
        if b"\xff" in data:
            raise IndexError("on purpose")

    target = Target("broken", (b"harmless",), run)
    _, crash = fuzz(target, seed=1, rounds=1000)
    assert crash is not None
    assert isinstance(crash.error, IndexError)
    assert mutated(Random(crash.round_seed), target.seeds) == crash.data
    assert crash.data.hex() in str(crash)


def test_a_slow_input_is_a_crash() -> None:
    target = Target("slow", (b"seed",), lambda data, random: None, slow_s=-1.0)
    _, crash = fuzz(target, seed=1, rounds=1)
    assert crash is not None
    assert isinstance(crash.error, TimeoutError)


def test_the_command_line_runs_the_targets_it_names(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--seconds", "0.05", "command"]) == 0
    assert capsys.readouterr().out.startswith("command: ")
    with pytest.raises(SystemExit):
        main(["nonsense"])
