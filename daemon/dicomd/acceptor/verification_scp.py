"""C-ECHO (PS3.4 A, PS3.7 9.1.5)."""

from typing import Any

from dicomd.acceptor.counters import Counters
from dicomd.acceptor.operation import Dropped
from dicomd.dimse import status
from dicomd.dimse.codec import encode_echo_response, encode_response
from dicomd.dimse.commands import C_ECHO_RQ, CEchoRequest
from dicomd.settings.profile import VERIFICATION


def answer_echo(
    request: CEchoRequest, abstract_syntax: str, *, strict: bool, counters: Counters, log: Any
) -> Dropped:
    """The answer. DCMTK answers Success on any context, so only ``strict`` looks at it."""
    if strict and abstract_syntax != VERIFICATION:
        counters.statuses[status.SOP_CLASS_NOT_SUPPORTED] += 1
        return Dropped(
            "C-ECHO",
            status.SOP_CLASS_NOT_SUPPORTED,
            encode_response(
                C_ECHO_RQ, request.message_id, VERIFICATION, status.SOP_CLASS_NOT_SUPPORTED
            ),
        )
    counters.echoes += 1
    counters.statuses[status.SUCCESS] += 1
    log.debug("echo.answered", message_id=request.message_id)
    return Dropped("C-ECHO", status.SUCCESS, encode_echo_response(request, status.SUCCESS))
