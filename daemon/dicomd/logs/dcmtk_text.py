"""Our events in DCMTK's words: texts, levels and logger names as measured on DCMTK 3.6.7.

``dicomd recv`` and ``dicomd move`` speak so. Rooms log events and know nothing of this; the log
writer asks a ``DcmtkSpeaker`` for the messages of each record. Events that DCMTK has no words for
are told in ours: from warning up as they are, below only at debug.
"""

import logging
import re
import socket
from collections import OrderedDict
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

from dicomd.logs.channel import Record
from dicomd.logs.dcmtk_dumps import association_dump, dimse_dump
from dicomd.logs.oflog.layouts import LogEvent
from dicomd.logs.privacy import escape
from dicomd.logs.render import message_text
from dicomd.settings.log import DcmtkLogSettings

FATAL, ERROR, WARN, INFO, DEBUG = 50, 40, 30, 20, 10
RAISED_EVENTS = frozenset(("object.duplicated",))
"""Events of ours below warning whose words in DCMTK are warnings: always sent to the writer."""

_NET = "dcmtk.dcmnet"
_REMEMBERED_ASSOCIATIONS = 10_000
_PDV_HEADER_BYTES = 12  # what DCMTK subtracts from the peer's maximum length
_UNLIMITED_PDU_BYTES = 131072
Messages = list[tuple[int, str, str]]
"""Level, logger, text."""

_BAD_CONTEXT = "bad application context"
REASONS = {
    "application context name not supported": _BAD_CONTEXT,
    "no A-ASSOCIATE-RQ in time": "DUL network read timeout",
}
"""Our reasons that DCMTK has other words for."""

_STORE_FAULTS = (
    ("SOP Class UID is empty or over", "AffectedSOPClassUID: bad size"),
    ("SOP Instance UID is empty or over", "AffectedSOPInstanceUID: bad size"),
    ("without data set", "DataSetType == NULL"),
)
"""What is wrong with a C-STORE-RQ, part of our reason -> DCMTK's words."""

_UNPARSABLE = "the data set cannot be parsed"
_EMPTY = "the data set is empty"
_NO_ROLES = "DULFSM: both role fields are 0 in SCP/SCU role selection sub-item"
_NO_REQUEST = re.compile(
    "PDU of type [0-9A-F]+H in state .*|aborted by the peer|connection closed by the peer"
)
_STRANGE_VERSION = re.compile("protocol version ([0-9A-F]{4})H not supported")
_STRANGE_PDU = re.compile("unrecognized PDU type ([0-9A-F]+)H")
_STORE_STATUS = (
    (0x0000, 0x0000, "Success"),
    (0x0122, 0x0122, "Refused: SOPClassNotSupported"),
    (0x0117, 0x0117, "Invalid Object Instance"),
    (0xA700, 0xA7FF, "Refused: OutOfResources"),
    (0xA900, 0xA9FF, "Error: DataSetDoesNotMatchSOPClass"),
    (0xC000, 0xCFFF, "Error: CannotUnderstand"),
    (0xB000, 0xB000, "Warning: CoercionOfDataElements"),
    (0xB006, 0xB006, "Warning: ElementsDiscarded"),
    (0xB007, 0xB007, "Warning: DataSetDoesNotMatchSOPClass"),
)
_MOVE_STATUS = (
    (0x0000, 0x0000, "Success"),
    (0x0122, 0x0122, "Refused: SOPClassNotSupported"),
    (0xA701, 0xA701, "Refused: OutOfResourcesNumberOfMatches"),
    (0xA702, 0xA702, "Refused: OutOfResourcesSubOperations"),
    (0xA801, 0xA801, "Refused: MoveDestinationUnknown"),
    (0xA900, 0xA9FF, "Failed: IdentifierDoesNotMatchSOPClass"),
    (0xB000, 0xB000, "Warning: SubOperationsCompleteOneOrMoreFailures"),
    (0xC000, 0xCFFF, "Failed: UnableToProcess"),
    (0xFE00, 0xFE00, "Cancel: SubOperationsTerminatedDueToCancelIndication"),
    (0xFF00, 0xFF01, "Pending"),
)


class DcmtkSpeaker:
    """Records to DCMTK's messages. Mutable: the last request of each running association."""

    def __init__(self, settings: DcmtkLogSettings, is_enabled: Callable[[str, int], bool]) -> None:
        # The daemon does dcmrecv's work under dcmrecv's logger name, so that filters of files in
        # use go on working; beyond that it has more to tell than dcmrecv.
        self._is_daemon = settings.application not in ("dcmrecv", "movescu")
        name = "dcmrecv" if self._is_daemon else settings.application
        self._application = f"dcmtk.apps.{name}"
        self._moves = settings.application == "movescu"
        self._names = settings.uid_names
        self._host_names = settings.host_names
        self._is_enabled = is_enabled
        self._dump_level = INFO if settings.verbose_contexts else DEBUG
        self._net = self._application if self._moves else _NET
        self._requests: OrderedDict[str, dict[str, Any]] = OrderedDict()
        self._table: dict[str, Callable[[Mapping[str, Any], int], Messages]] = {
            "log.opened": self._opened,
            "config.warned": self._warned,
            "daemon.starting": self._listening,
            "listener.opened": lambda *_: [],
            "association.requested": self._requested,
            "association.accepted": self._accepted,
            "association.rejected": self._rejected,
            "association.released": self._released,
            "association.aborted": self._aborted,
            "negotiation.role_mismatched": self._role_mismatched,
            "connection.failed": self._not_received,
            "message.received": self._received,
            "message.refused": self._refused_message,
            "object.duplicated": self._duplicated,
            "object.stored": self._stored,
            "object.refused": self._refused,
            "echo.answered": self._echoed,
            "response.sent": lambda *_: [],  # told with what it answers
            "call.requested": lambda *_: [(INFO, self._application, "Requesting Association")],
            "call.accepted": self._call_accepted,
            "call.failed": self._call_failed,
            "call.released": lambda *_: [(INFO, self._application, "Releasing Association")],
            "call.aborted": lambda *_: [(INFO, self._application, "Aborting Association")],
            "move.requested": self._move_requested,
            "move.answered": self._move_answered,
            "move.cancelled": self._move_cancelled,
            "move.ended": self._move_ended,
            "move.failed": lambda facts, _: [(ERROR, self._application, _reason(facts))],
            "move.doubted": lambda facts, _: [(WARN, self._application, _reason(facts))],
            "query.doubted": lambda facts, _: [(WARN, self._application, _reason(facts))],
        }

    def messages(self, record: Record) -> list[LogEvent]:
        """What DCMTK would have logged for this record, if anything."""
        time_ns, level, logger, event, pid, facts = record
        own_lines = event == "call.failed"  # its reason is ours, and may have several lines
        facts = {
            key: _escaped(value, lines=own_lines) if isinstance(value, str) else value
            for key, value in facts.items()
        }
        record = (time_ns, level, logger, event, pid, facts)
        speak = self._table.get(event)
        if speak is not None:
            messages = speak(facts, level)
        else:
            messages = self._in_our_words(record)
        return [LogEvent(time_ns, said, name, text, pid, logger) for said, name, text in messages]

    def _in_our_words(self, record: Record) -> Messages:
        level, logger = record[1], record[2]
        near = logger.startswith(("dicomd.acceptor", "dicomd.storage", "dicomd.negotiation"))
        name = self._net if near else self._application
        if self._is_daemon and logger.startswith("dicomd.requestor"):
            name = "dcmtk.apps.movescu"
        said = next((known for known in (FATAL, ERROR, WARN) if level >= known), DEBUG)
        if level < DEBUG:
            said = 5
        elif self._is_daemon and INFO <= level < WARN:
            said = INFO
        reason = record[5].get("reason")
        text = f"{record[3]}: {reason}" if reason and level >= WARN else message_text(record)
        return [(said, name, text)]

    def _opened(self, facts: Mapping[str, Any], level: int) -> Messages:
        if self._moves:
            return []
        return [(INFO, self._application, "configuring service class provider ...")]

    def _warned(self, facts: Mapping[str, Any], level: int) -> Messages:
        place = ":".join(str(facts[key]) for key in ("file", "line") if facts.get(key))
        text = _reason(facts)
        return [(WARN, self._application, f"{place}: {text}" if place else text)]

    def _listening(self, facts: Mapping[str, Any], level: int) -> Messages:
        if self._moves:
            return []
        return [(INFO, self._application, "starting service class provider and listening ...")]

    # Associations that peers request.

    def _requested(self, facts: Mapping[str, Any], level: int) -> Messages:
        host = str(facts.get("peer_name") or facts.get("peer", ""))
        if self._host_names:
            host = host_name(host)
        dump = association_dump("RQ", facts, self._names)
        key = str(facts.get("association", ""))
        self._requests[key] = {"request": dict(facts)}
        while len(self._requests) > _REMEMBERED_ASSOCIATIONS:
            self._requests.popitem(last=False)
        if not int(facts.get("protocol_version", 1)) & 1:
            return []  # the rejection tells it all
        if self._moves:
            return [
                (INFO, self._net, "Sub-Association Received"),
                (self._dump_level, self._net, f"Parameters:\n{dump}"),
            ]
        titles = f"{facts.get('calling_ae', '')} -> {facts.get('called_ae', '')}"
        roles = facts.get("roles", {}).values()
        return [
            *((WARN, _NET, _NO_ROLES) for role in roles if not any(role)),
            (DEBUG, _NET, f"Association Received: {host}"),
            (INFO, _NET, f"Association Received {host}: {titles}"),
            (self._dump_level, _NET, f"Incoming Association Request:\n{dump}"),
        ]

    def _accepted(self, facts: Mapping[str, Any], level: int) -> Messages:
        peer = int(facts.get("max_pdu") or 0) or _UNLIMITED_PDU_BYTES
        room = f"(Max Send PDV: {peer - _PDV_HEADER_BYTES})"
        memory = self._requests.get(str(facts.get("association", "")), {})
        both = {**memory.get("request", {}), **facts}
        if "request" in memory:
            both["contexts"] = memory["request"].get("contexts", [])
            both["roles"] = memory["request"].get("roles", {})
            both["configured_roles"] = facts.get("roles", {})
        dump = (self._dump_level, self._net, association_dump("AC", both, self._names))
        messages: Messages = [(DEBUG, self._net, "Constructing Associate AC PDU")]
        if not self._moves:
            messages.append((DEBUG, _NET, "DcmSCP: Association Acknowledged"))
            messages.append((INFO, _NET, f"Association Acknowledged {room}"))
            return [*messages, dump]
        messages.append((INFO, self._net, f"Sub-Association Acknowledged {room}"))
        if str(facts.get("contexts", "")).startswith("0 of"):
            messages.append((INFO, self._net, "    (but no valid presentation contexts)"))
        return [*messages, dump]

    def _rejected(self, facts: Mapping[str, Any], level: int) -> Messages:
        reason = _reason(facts)
        memory = self._requests.pop(str(facts.get("association", "")), {})
        found = _STRANGE_VERSION.fullmatch(reason)
        if found:
            strange = f"DUL Unsupported peer protocol {found[1].lower()}; expected 0001"
            text = f"Could not receive association request: {strange} in parseAssociate"
            return [(ERROR, self._net, text)]
        messages: Messages = []
        if reason == "no acceptable presentation contexts":
            messages.append((INFO, self._net, "No Acceptable Presentation Contexts"))
        if "request" in memory:
            both = {**memory["request"], **facts}
            messages.append(
                (self._dump_level, self._net, association_dump("RJ", both, self._names))
            )
        said = REASONS.get(reason, reason)
        return [*messages, (INFO, self._net, f"Refusing Association ({said})"), *self._over()]

    def _role_mismatched(self, facts: Mapping[str, Any], level: int) -> Messages:
        proposed = facts.get("proposed")
        if proposed == "none":
            told = "request" in self._requests.get(str(facts.get("association", "")), {})
            return [] if told else [(WARN, self._net, _NO_ROLES)]
        if proposed == "default":
            fault = "Default role (i.e. SCU) proposed but only SCP role configured for acceptance"
            return [(ERROR, self._net, f"ASSOC: SCP/SCU role selection failed, {fault}")]
        none = "NONE, i.e. both role fields are 0 in SCP/SCU role selection sub-item"
        return [(WARN, self._net, f"setting accepted SCP/SCU role to {none}")]

    def _released(self, facts: Mapping[str, Any], level: int) -> Messages:
        self._requests.pop(str(facts.get("association", "")), None)
        if self._moves:
            return []
        return [(INFO, _NET, "Received Association Release Request"), *self._over()]

    def _aborted(self, facts: Mapping[str, Any], level: int) -> Messages:
        self._requests.pop(str(facts.get("association", "")), None)
        messages: Messages = []
        reason = _reason(facts)
        cut = facts.get("cut_context")
        if cut:
            place = f"on presentation context {cut}"
            messages += [
                (ERROR, self._net, f"Unable to receive dataset {place}: {reason}"),
                (ERROR, self._net, f"Unable to receive C-STORE dataset {place}"),
            ]
        elif facts.get("by") != "peer":
            messages.append((DEBUG, self._net, f"DIMSE Error, detail (if available): {reason}"))
        if facts.get("by") == "peer" and not cut:
            messages.append((INFO, self._net, "Received Association Abort Request"))
        return [*messages, *self._over()]

    def _over(self) -> Messages:
        if self._moves:
            return []
        return [
            (DEBUG, _NET, "DcmSCP: Association Terminated"),
            (DEBUG, _NET, "+++++++++++++++++++++++++++++"),
        ]

    def _not_received(self, facts: Mapping[str, Any], level: int) -> Messages:
        reason = _reason(facts)
        if reason == "host not allowed by hosts_access":
            peer = str(facts.get("peer", ""))
            text = f"TCP wrapper: denied connection from {host_name(peer)} ({peer})"
            return [(ERROR, self._net, text)]
        if not self._is_daemon and not self._moves and _NO_REQUEST.fullmatch(reason):
            # What is no request DCMTK takes for one that names nothing.
            host = str(facts.get("peer_name") or facts.get("peer", ""))
            host = host_name(host) if self._host_names else host
            return [
                (DEBUG, _NET, f"Association Received: {host}"),
                (INFO, _NET, f"Association Received {host}:  -> "),
                (INFO, _NET, f"Refusing Association ({_BAD_CONTEXT})"),
                *self._over(),
            ]
        found = _STRANGE_PDU.fullmatch(reason)
        if found:
            reason = f"Unrecognized PDU type: {int(found[1], 16):2x}"
        text = f"Could not receive association request: {REASONS.get(reason, reason)}"
        return [(ERROR if level >= logging.WARNING else DEBUG, self._net, text)]

    # Messages.

    def _received(self, facts: Mapping[str, Any], level: int) -> Messages:
        command = str(facts.get("command", ""))
        memory = self._requests.setdefault(str(facts.get("association", "")), {})
        memory["message"] = dict(facts)
        number = facts.get("message_id", 0)
        known = {"C-STORE": "Store", "C-ECHO": "Echo"}
        if command not in known:
            return []
        dump = (DEBUG, self._net, dimse_dump("INCOMING", command + " RQ", facts, self._names))
        if self._moves:
            what = f"Received {known[command]} Request"
            kind = f", {facts['modality']}" if "modality" in facts else ""
            more = f" (MsgID {number}{kind})"
        else:
            what, more = f"Received {command} Request", f" (MsgID {number})"
        return [(INFO, self._net, self._brief(what, more)), dump]

    def _brief(self, text: str, more: str) -> str:
        """DCMTK leaves the details to the dump that follows, when there is one."""
        return text if self._is_enabled(self._net, DEBUG) else text + more

    def _refused_message(self, facts: Mapping[str, Any], level: int) -> Messages:
        text = str(facts.get("command", ""))
        if text == "0001":
            fault = next(
                (words for known, words in _STORE_FAULTS if known in _reason(facts)), _reason(facts)
            )
            callers = f"({facts.get('calling_ae', '')},{facts.get('called_ae', '')})"
            return [(WARN, self._net, f"DIMSE Warning: {callers}: C-Store RQ: {fault}")]
        field = f"0x{text.lower()}" if len(text) == 4 else text
        return [
            (
                ERROR,
                self._net,
                f"cannot handle this kind of DIMSE command ({field}), we are a Storage SCP only",
            )
        ]

    def _duplicated(self, facts: Mapping[str, Any], level: int) -> Messages:
        if facts.get("outcome") != "overwritten":
            return [(WARN, self._net, f"file already exists, keeping: {facts.get('path', '')}")]
        words = "DICOM file" if self._moves else "file"
        path = facts.get("path", "")
        return [(WARN, self._net, f"{words} already exists, overwriting: {path}")]

    def _stored(self, facts: Mapping[str, Any], level: int) -> Messages:
        if self._moves:
            return []
        messages: Messages = []
        if facts.get("path"):
            messages.append((INFO, _NET, f"Stored received object to file: {facts['path']}"))
        else:
            text = "received dataset is not stored since the storage mode is set to 'ignore'"
            messages.append((DEBUG, _NET, text))
        return [*messages, *self._response("C-STORE", facts, 0)]

    def _refused(self, facts: Mapping[str, Any], level: int) -> Messages:
        status = int(str(facts.get("status", "0")), 16)
        if self._application == "dcmtk.apps.dcmrecv" and not self._is_daemon:
            reason = _reason(facts)
            if reason.startswith(_UNPARSABLE):  # aborted behind it, not answered
                place = f"on presentation context {facts.get('context', '')}"
                return [
                    (ERROR, self._net, f"Unable to receive dataset {place}: {reason}"),
                    (ERROR, self._net, f"Unable to receive C-STORE dataset {place}"),
                ]
            if reason == _EMPTY:  # answered without a word
                return self._response("C-STORE", facts, status)
        messages: Messages = [(ERROR, self._net, f"cannot store received object: {_reason(facts)}")]
        return messages if self._moves else [*messages, *self._response("C-STORE", facts, status)]

    def _echoed(self, facts: Mapping[str, Any], level: int) -> Messages:
        if self._moves:
            return []
        said = self._response("C-ECHO", facts, 0)[:1]
        return [*said, (DEBUG, _NET, "C-ECHO Response successfully sent")]

    def _response(self, command: str, facts: Mapping[str, Any], status: int) -> Messages:
        memory = self._requests.get(str(facts.get("association", "")), {})
        both = {**facts, **memory.get("message", {})}
        words = status_words(_STORE_STATUS, status)
        both["status"] = f"0x{status:04x}: {words}"
        text = self._brief(f"Sending {command} Response", f" ({words})")
        dump = dimse_dump("OUTGOING", command + " RSP", both, self._names)
        return [(INFO, self._net, text), (DEBUG, self._net, dump)]

    # What movescu says of its own association.

    def _call_accepted(self, facts: Mapping[str, Any], level: int) -> Messages:
        room = facts.get("max_send_pdv", 0)
        return [(INFO, self._application, f"Association Accepted (Max Send PDV: {room})")]

    def _call_failed(self, facts: Mapping[str, Any], level: int) -> Messages:
        reason = _reason(facts)
        for known in ("Association Rejected", "No Acceptable Presentation Contexts"):
            if reason.startswith(known):
                return [(FATAL, self._application, reason)]
        if reason.startswith("Association Release Failed"):
            return [(ERROR, self._application, reason)]
        return [(FATAL, self._application, f"Association Request Failed:\n{reason}")]

    def _move_requested(self, facts: Mapping[str, Any], level: int) -> Messages:
        number = facts.get("message", facts.get("message_id", 1))
        text = self._brief("Sending Move Request", f" (MsgID {number})")
        return [(INFO, self._application, text)]

    def _move_answered(self, facts: Mapping[str, Any], level: int) -> Messages:
        words = status_words(_MOVE_STATUS, int(str(facts.get("status", "FF00")), 16))
        text = self._brief(f"Received Move Response {facts.get('number', 1)}", f" ({words})")
        return [(INFO, self._application, text)]

    def _move_cancelled(self, facts: Mapping[str, Any], level: int) -> Messages:
        number, context = facts.get("message", 1), facts.get("context", 3)
        text = self._brief("Sending Cancel Request", f" (MsgID {number}, PresID {context})")
        return [(INFO, self._application, text)]

    def _move_ended(self, facts: Mapping[str, Any], level: int) -> Messages:
        status = int(str(facts.get("status", "0000")), 16)
        words = status_words(_MOVE_STATUS, status)
        messages: Messages = []
        if level >= WARN:
            kind = "warning" if status == 0xB000 else "error"
            text = f"Move response with {kind} status ({words})"
            messages.append((WARN, self._application, text))
        text = self._brief("Received Final Move Response", f" ({words})")
        return [*messages, (INFO, self._application, text)]


def status_words(table: tuple[tuple[int, int, str], ...], status: int) -> str:
    """DCMTK's words for a DIMSE status."""
    for first, last, words in table:
        if first <= status <= last:
            return words
    return f"Unknown Status: 0x{status:x}"


@lru_cache(maxsize=1000)
def host_name(address: str) -> str:
    """The first label of the name that belongs to an address, or the address. Blocks for as long
    as the resolver does: only log lines wait for it."""
    try:
        return socket.gethostbyaddr(address)[0].partition(".")[0] or address
    except OSError:
        return address


def _escaped(text: str, *, lines: bool) -> str:
    return "\n".join(map(escape, text.split("\n"))) if lines else escape(text)


def _reason(facts: Mapping[str, Any]) -> str:
    return str(facts.get("reason") or facts.get("message") or "")
