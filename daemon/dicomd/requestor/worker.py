"""The requestor's process: launches the engine, answers questions about jobs, drains."""

from dataclasses import dataclass

from dicomd.lifeline import Lifeline
from dicomd.settings.daemon import DaemonSettings


@dataclass(kw_only=True)
class RequestorBirth:
    """What the requestor is born with, handed over at the fork."""

    settings: DaemonSettings
    lifeline: Lifeline


def run(birth: RequestorBirth) -> int:
    """Retrieve until the lifeline says otherwise; in the forked child. Returns the exit code."""
    birth.lifeline.send({"report": "failed", "text": "retrievals are not built yet"})
    return 1
