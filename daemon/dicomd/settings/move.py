"""MoveSettings: one retrieval as movescu's command line describes it."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class MoveSettings:
    """A C-MOVE association run once by ``dicomd move``."""

    host: str
    port: int
