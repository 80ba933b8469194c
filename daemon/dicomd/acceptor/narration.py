"""What the log says of requests and messages: facts under their keys. Plain.

Values that peers chose are cut at 64 characters; escaping is the log's.
"""

from typing import Any, assert_never

from dicomd.dimse.commands import (
    CCancelRequest,
    CEchoRequest,
    Command,
    CStoreRequest,
    OtherRequest,
    ResponseReceived,
)
from dicomd.storage.modality import PREFIXES
from dicomd.upper_layer.events import AssociateRequest

_SHOWN_CHARACTERS = 64


def shown(value: str) -> str:
    """As much of a peer's value as the log shows."""
    return value[:_SHOWN_CHARACTERS]


def request_facts(request: AssociateRequest) -> dict[str, Any]:
    """An A-ASSOCIATE-RQ, for ``association.requested``."""
    return {
        "contexts": [
            [context.context_id, context.abstract_syntax, list(context.transfer_syntaxes)]
            for context in request.contexts
        ],
        "roles": {uid: list(role) for uid, role in request.roles.items()},
        "max_pdu": request.max_pdu,
        "implementation_class": shown(request.implementation_class_uid),
        "implementation_version": shown(request.implementation_version_name),
        "application_context": shown(request.application_context),
        "protocol_version": request.protocol_version,
    }


def command_facts(command: Command, context_id: int) -> dict[str, Any]:
    """A command, for ``message.received``."""
    facts: dict[str, Any] = {"command": command_name(command), "context": context_id}
    if isinstance(command, (CStoreRequest, CEchoRequest, OtherRequest)):
        facts["message_id"] = command.message_id
    if isinstance(command, CStoreRequest):
        facts["sop_class"] = shown(command.sop_class_uid)
        facts["sop_instance"] = shown(command.sop_instance_uid)
        facts["priority"] = command.priority
        facts["modality"] = PREFIXES.get(command.sop_class_uid, "")
    return facts


def command_name(command: Command) -> str:
    """How the log calls a message."""
    match command:
        case CStoreRequest():
            return "C-STORE"
        case CEchoRequest():
            return "C-ECHO"
        case CCancelRequest():
            return "C-CANCEL"
        case OtherRequest() | ResponseReceived():
            return f"{command.command_field:04X}"
        case _:
            assert_never(command)
