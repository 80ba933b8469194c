"""``python -m tests.fuzz [--seconds N] [--seed N] [TARGET ...]``: all fuzzers, for a bounded time.

Prints the first crash of each target with its seed and bytes; exit code 1 if there was one. A
crash becomes a test of its own beside the parser's other tests.
"""

import argparse
import sys
from itertools import chain

from tests.fuzz import dimse, upper_layer
from tests.fuzz.target import fuzz

TARGETS = tuple(chain(upper_layer.TARGETS, dimse.TARGETS))
"""Every fuzzer there is; a room that parses what others wrote adds its own."""


def main(arguments: list[str] | None = None) -> int:
    names = [target.name for target in TARGETS]
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=f"any of {', '.join(names)}")
    parser.add_argument("--seconds", type=float, default=20.0, help="for each target")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args(arguments)
    unknown = set(options.targets) - set(names)
    if unknown:
        parser.error(f"no target {', '.join(sorted(unknown))}; there are {', '.join(names)}")
    crashes = 0
    for target in TARGETS:
        if options.targets and target.name not in options.targets:
            continue
        count, crash = fuzz(target, seed=options.seed, seconds=options.seconds)
        print(f"{target.name}: {count} rounds, {'a crash' if crash else 'no crash'}", flush=True)
        if crash:
            crashes += 1
            print(crash, flush=True)
    return 1 if crashes else 0


if __name__ == "__main__":
    sys.exit(main())
