"""The verbs of dicomd and their exit codes."""

from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one verb; returns its exit code."""
    del arguments
    return 1
