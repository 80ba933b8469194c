"""C-MOVE: one request, its responses, and what came of it (PS3.4 C.4.2).

An outcome is a value, whatever the archive answered; a broken association is an AssociationEnded.
Neither proves anything about what arrived: ``completion`` looks at that.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from dicomd.requestor.association import Alive, Association, AssociationEnded
from dicomd.requestor.messages import (
    C_MOVE_RSP,
    CommandSetError,
    Response,
    decode_response,
    encode_cancel_request,
    encode_move_request,
)
from dicomd.requestor.responses import read_values

Model = Literal["patient", "study", "patient-study-only"]

FIND_CLASSES: dict[str, str] = {
    "patient": "1.2.840.10008.5.1.4.1.2.1.1",
    "study": "1.2.840.10008.5.1.4.1.2.2.1",
    "patient-study-only": "1.2.840.10008.5.1.4.1.2.3.1",
}
MOVE_CLASSES: dict[str, str] = {
    "patient": "1.2.840.10008.5.1.4.1.2.1.2",
    "study": "1.2.840.10008.5.1.4.1.2.2.2",
    "patient-study-only": "1.2.840.10008.5.1.4.1.2.3.2",
}

SUCCESS = 0x0000
CANCELLED = 0xFE00
WARNING = 0xB000
_FAILED_UIDS = 0x00080058
_MOST_FAILED_UIDS = 10_000
_CANCEL_GRACE_S = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class MoveOutcome:
    """What the archive said of one C-MOVE. Counts are the last that it gave, None for none."""

    status: int
    completed: int | None = None
    failed: int | None = None
    warning: int | None = None
    remaining: int | None = None
    responses: int = 0
    failed_uids: tuple[str, ...] = ()

    @property
    def is_success(self) -> bool:
        """0000: the archive claims that all went well."""
        return self.status == SUCCESS

    @property
    def claimed(self) -> int:
        """Sub-operations that the archive calls done, with and without a warning."""
        return (self.completed or 0) + (self.warning or 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class MoveRequest:
    """One C-MOVE on one presentation context. Seconds; 0 switches the clock off."""

    context_id: int
    sop_class_uid: str
    message_id: int
    destination: str
    identifier: bytes
    priority: int = 0
    timeout: float = 0.0
    cancel_after: int = 0
    """C-CANCEL when this pending response arrives; 0: never."""
    pending_dataset: Literal["ignore", "read", "either"] = "either"
    """What follows a pending response that announces a data set, which the standard forbids."""


@dataclass(slots=True)
class Watch:
    """What a caller wants to know and to say while a C-MOVE runs."""

    on_response: Callable[[int, Response], None] = lambda number, response: None
    on_cancel: Callable[[], None] = lambda: None
    alive: Alive = lambda: 0.0
    """When an object last arrived, monotonic seconds: keeps the clock of the request alive."""
    should_cancel: Callable[[], bool] = lambda: False
    """Asked ten times a second; True sends one C-CANCEL."""
    _cancelled_at: float = field(default=0.0, init=False)


def move(association: Association, request: MoveRequest, watch: Watch) -> MoveOutcome:
    """Send a C-MOVE and follow it to its last response."""
    command = encode_move_request(
        request.sop_class_uid, request.message_id, request.destination, request.priority
    )
    association.send(request.context_id, command, request.identifier)

    def cancel() -> None:
        association.send(request.context_id, encode_cancel_request(request.message_id))
        watch.on_cancel()
        watch._cancelled_at = time.monotonic()

    def alive() -> float:
        if not watch._cancelled_at and watch.should_cancel():
            cancel()
        if watch._cancelled_at and request.cancel_after == 0:
            if time.monotonic() - watch._cancelled_at > _CANCEL_GRACE_S:
                raise AssociationEnded("no answer to the C-CANCEL")
            return 0.0
        return watch.alive()

    last = MoveOutcome(status=-1)
    number = 0
    while True:
        response = _next_response(association, request, alive)
        number += 1
        last = MoveOutcome(
            status=response.status,
            completed=_latest(response.completed, last.completed),
            failed=_latest(response.failed, last.failed),
            warning=_latest(response.warning, last.warning),
            remaining=response.remaining,
            responses=number,
        )
        watch.on_response(number, response)
        if not response.is_pending:
            return _finish(association, request, response, last, alive)
        if response.has_dataset and request.pending_dataset == "read":
            association.receive_dataset(timeout=request.timeout, alive=alive)
        if number == request.cancel_after:
            cancel()


def _next_response(association: Association, request: MoveRequest, alive: Alive) -> Response:
    if request.pending_dataset == "either":
        while association.next_is_dataset(timeout=request.timeout, alive=alive):
            association.receive_dataset(timeout=request.timeout, alive=alive)
    message = association.receive_command(timeout=request.timeout, alive=alive)
    try:
        response = decode_response(message.command)
    except CommandSetError as exc:
        raise AssociationEnded(f"DIMSE Failed to parse received message: {exc}") from exc
    if response.command_field != C_MOVE_RSP:
        raise AssociationEnded(
            f"Unexpected response: {response.command_field:04X}H instead of C-MOVE-RSP"
        )
    if response.message_id != request.message_id:
        raise AssociationEnded(
            f"Unexpected response MsgId: {response.message_id} (expected: {request.message_id})"
        )
    return response


def _finish(
    association: Association,
    request: MoveRequest,
    response: Response,
    last: MoveOutcome,
    alive: Alive,
) -> MoveOutcome:
    failed_uids: tuple[str, ...] = ()
    if response.has_dataset:
        data = association.receive_dataset(timeout=request.timeout, alive=alive)
        failed_uids = _failed_uids(data, association.accepted[request.context_id])
    return MoveOutcome(
        status=last.status,
        completed=last.completed,
        failed=last.failed,
        warning=last.warning,
        remaining=last.remaining,
        responses=last.responses,
        failed_uids=failed_uids,
    )


def _latest(now: int | None, before: int | None) -> int | None:
    return before if now is None else now


def _failed_uids(data: bytes, transfer_syntax: str) -> tuple[str, ...]:
    """The Failed SOP Instance UID List of a final response; nothing when it cannot be read."""
    try:
        text = read_values(data, transfer_syntax, (_FAILED_UIDS,))[_FAILED_UIDS]
        return tuple(uid[:64] for uid in text.split("\\")[:_MOST_FAILED_UIDS] if uid)
    except Exception:  # a peer's data set: whatever is wrong with it, the status counts
        return ()
