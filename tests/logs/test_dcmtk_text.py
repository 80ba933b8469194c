"""Our events in DCMTK's words, as measured on DCMTK 3.6.7."""

from typing import Any

import pytest

from dicomd.logs.channel import Record
from dicomd.logs.dcmtk_text import DcmtkSpeaker
from dicomd.logs.oflog.layouts import LogEvent
from dicomd.settings.log import DcmtkLogSettings

CT = "1.2.840.10008.5.1.4.1.1.2"
EXPLICIT = "1.2.840.10008.1.2.1"
NAMES = {CT: "CTImageStorage", EXPLICIT: "LittleEndianExplicit"}
BOUND: dict[str, Any] = {
    "association": "a-1",
    "peer": "192.0.2.1",
    "calling_ae": "MOD",
    "called_ae": "US",
}
REQUEST: dict[str, Any] = {
    **BOUND,
    "contexts": [[1, CT, [EXPLICIT, "1.2.3"]]],
    "roles": {CT: [True, True]},
    "max_pdu": 16384,
    "implementation_class": "1.2.3.4",
    "implementation_version": "THEIRS",
    "application_context": "1.2.840.10008.3.1.1.1",
    "our_max_pdu": 16384,
    "our_implementation_class": "1.2.3.5",
    "our_implementation_version": "OURS",
}
STORED: dict[str, Any] = {
    **BOUND,
    "context": 1,
    "sop_class": CT,
    "sop_instance": "1.2.9",
    "path": "/d/CT.1.2.9",
}


def record(event: str, level: int = 20, **facts: Any) -> Record:
    return (0, level, "dicomd.acceptor", event, 7, facts)


class Talk:
    """A speaker at a level, and what it says of records."""

    def __init__(self, level: int, application: str = "dcmrecv", **keys: Any) -> None:
        self.level = level
        settings = DcmtkLogSettings(application=application, uid_names=NAMES, **keys)
        self.speaker = DcmtkSpeaker(settings, lambda logger, level: level >= self.level)

    def hear(self, *records: Record) -> list[str]:
        events: list[LogEvent] = []
        for one in records:
            events += self.speaker.messages(one)
        return [
            f"{event.level} {event.logger.removeprefix('dcmtk.')}: {event.text}"
            for event in events
            if event.level >= self.level
        ]


def test_an_association_at_info() -> None:
    assert Talk(20).hear(
        record("log.opened"),
        record("daemon.starting"),
        record("listener.opened"),
        record("association.requested", 10, **REQUEST),
        record("association.accepted", max_pdu=16384, contexts="1 of 1", **BOUND),
        record("message.received", 10, command="C-STORE", message_id=3, context=1, **BOUND),
        record("object.duplicated", outcome="overwritten", **STORED),
        record("object.stored", status="0000", **STORED),
        record("response.sent", 10, **BOUND),
        record("message.received", 10, command="C-ECHO", message_id=4, context=1, **BOUND),
        record("echo.answered", 10, **BOUND),
        record("association.released", **BOUND),
    ) == [
        "20 apps.dcmrecv: configuring service class provider ...",
        "20 apps.dcmrecv: starting service class provider and listening ...",
        "20 dcmnet: Association Received 192.0.2.1: MOD -> US",
        "20 dcmnet: Association Acknowledged (Max Send PDV: 16372)",
        "20 dcmnet: Received C-STORE Request (MsgID 3)",
        "30 dcmnet: file already exists, overwriting: /d/CT.1.2.9",
        "20 dcmnet: Stored received object to file: /d/CT.1.2.9",
        "20 dcmnet: Sending C-STORE Response (Success)",
        "20 dcmnet: Received C-ECHO Request (MsgID 4)",
        "20 dcmnet: Sending C-ECHO Response (Success)",
        "20 dcmnet: Received Association Release Request",
    ]


def test_at_debug_the_brackets_go_and_dumps_come() -> None:
    said = Talk(10).hear(
        record("association.requested", 10, **REQUEST),
        record("message.received", 10, command="C-STORE", message_id=3, **STORED),
        record("object.stored", status="0000", **STORED),
    )
    assert "20 dcmnet: Received C-STORE Request" in said
    assert "20 dcmnet: Sending C-STORE Response" in said
    incoming = next(text for text in said if "INCOMING" in text).splitlines()
    assert incoming[1:] == [
        "Message Type                  : C-STORE RQ",
        "Presentation Context ID       : 1",
        "Message ID                    : 3",
        "Affected SOP Class UID        : CTImageStorage",
        "Affected SOP Instance UID     : 1.2.9",
        "Data Set                      : present",
        "Priority                      : medium",
        "======================= END DIMSE MESSAGE =======================",
    ]
    outgoing = next(text for text in said if "OUTGOING" in text)
    assert "DIMSE Status                  : 0x0000: Success" in outgoing


def test_verbose_contexts_move_the_dumps_to_info() -> None:
    said = Talk(20, verbose_contexts=True).hear(
        record("association.requested", 10, **REQUEST),
        record(
            "association.accepted",
            max_pdu=16384,
            contexts="1 of 1",
            results=[[1, 0, EXPLICIT]],
            **BOUND,
        ),
    )
    request = said[1].splitlines()
    assert request[0] == "20 dcmnet: Incoming Association Request:"
    assert request[1] == "====================== BEGIN A-ASSOCIATE-RQ ====================="
    assert request[13:19] == [
        "  Context ID:        1 (Proposed)",
        "    Abstract Syntax: =CTImageStorage",
        "    Proposed SCP/SCU Role: SCP/SCU",
        "    Proposed Transfer Syntax(es):",
        "      =LittleEndianExplicit",
        "      1.2.3",
    ]
    accept = said[3].splitlines()
    assert "  Context ID:        1 (Accepted)" in accept
    assert "    Accepted Transfer Syntax: =LittleEndianExplicit" in accept


def test_a_rejection_names_its_reason() -> None:
    assert Talk(20).hear(
        record("association.rejected", 30, reason="no acceptable presentation contexts", **BOUND),
        record(
            "association.rejected", 30, reason="application context name not supported", **BOUND
        ),
    ) == [
        "20 dcmnet: No Acceptable Presentation Contexts",
        "20 dcmnet: Refusing Association (no acceptable presentation contexts)",
        "20 dcmnet: Refusing Association (bad application context)",
    ]


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        ({"by": "peer"}, ["20 dcmnet: Received Association Abort Request"]),
        ({"by": "us", "reason": "idle"}, []),
        (
            {"by": "peer", "reason": "gone", "cut_context": 5},
            [
                "40 dcmnet: Unable to receive dataset on presentation context 5: gone",
                "40 dcmnet: Unable to receive C-STORE dataset on presentation context 5",
            ],
        ),
    ],
)
def test_how_an_association_broke(facts: dict[str, Any], said: list[str]) -> None:
    assert Talk(20).hear(record("association.aborted", 30, **BOUND, **facts)) == said


CUT = "the data set cannot be parsed"


@pytest.mark.parametrize(
    ("reason", "said"),
    [
        (
            "Affected SOP Instance UID is empty or over 64 bytes",
            "AffectedSOPInstanceUID: bad size",
        ),
        ("Affected SOP Class UID is empty or over 64 bytes", "AffectedSOPClassUID: bad size"),
        ("a C-STORE-RQ without data set", "DataSetType == NULL"),
        ("Priority is missing", "Priority is missing"),
    ],
)
def test_a_bad_store_request_is_a_warning(reason: str, said: str) -> None:
    facts = {"calling_ae": "A", "called_ae": "B", "reason": reason}
    (line,) = Talk(30).hear(record("message.refused", 40, command="0001", **facts))
    assert line == f"30 dcmnet: DIMSE Warning: (A,B): C-Store RQ: {said}"


def test_failures_are_errors() -> None:
    assert Talk(40).hear(
        record("object.refused", 30, status="A700", reason="no room", **BOUND),
        record("message.refused", 40, command="0020", **BOUND),
        record("object.refused", 30, status="C000", context=3, reason=f"{CUT}: cut off", **BOUND),
        record("connection.failed", 30, reason="unrecognized PDU type 68H"),
        record("connection.failed", 30, reason="no A-ASSOCIATE-RQ in time"),
    ) == [
        "40 dcmnet: cannot store received object: no room",
        ("40 dcmnet: cannot handle this kind of DIMSE command (0x0020), we are a Storage SCP only"),
        f"40 dcmnet: Unable to receive dataset on presentation context 3: {CUT}: cut off",
        "40 dcmnet: Unable to receive C-STORE dataset on presentation context 3",
        "40 dcmnet: Could not receive association request: Unrecognized PDU type: 68",
        "40 dcmnet: Could not receive association request: DUL network read timeout",
    ]


NEITHER = "both role fields are 0 in SCP/SCU role selection sub-item"


@pytest.mark.parametrize(
    ("level", "configured", "proposed", "said"),
    [
        (
            40,
            "SCP",
            "default",
            (
                "40 dcmnet: ASSOC: SCP/SCU role selection failed, Default role (i.e. SCU) proposed "
                "but only SCP role configured for acceptance"
            ),
        ),
        (30, "SCP", "SCU", f"30 dcmnet: setting accepted SCP/SCU role to NONE, i.e. {NEITHER}"),
        (30, "SCU", "SCP", f"30 dcmnet: setting accepted SCP/SCU role to NONE, i.e. {NEITHER}"),
        (30, "BOTH", "none", f"30 dcmnet: DULFSM: {NEITHER}"),
    ],
)
def test_roles_that_do_not_fit(level: int, configured: str, proposed: str, said: str) -> None:
    talk = Talk(30)
    facts = {**BOUND, "sop_class": CT, "configured": configured, "proposed": proposed}
    assert talk.hear(record("negotiation.role_mismatched", level, **facts)) == [said]


def test_a_role_that_is_neither_is_told_once_with_the_request() -> None:
    facts = {**BOUND, "sop_class": CT, "configured": "SCU", "proposed": "none"}
    assert Talk(30).hear(
        record("association.requested", 10, **{**REQUEST, "roles": {CT: [False, False]}}),
        record("negotiation.role_mismatched", 30, **facts),
    ) == [f"30 dcmnet: DULFSM: {NEITHER}"]


def test_the_dump_of_an_acceptance_has_the_roles_of_the_profile() -> None:
    said = Talk(20, verbose_contexts=True).hear(
        record("association.requested", 10, **REQUEST),
        record(
            "association.accepted",
            contexts="1 of 1",
            max_pdu=16384,
            results=[[1, 0, EXPLICIT]],
            roles={CT: [True, False]},
            **BOUND,
        ),
    )
    assert "    Proposed SCP/SCU Role: SCP/SCU\n    Accepted SCP/SCU Role: SCU\n" in said[-1]


def test_a_protocol_version_that_is_not_known() -> None:
    assert Talk(20).hear(
        record("association.requested", 10, **{**REQUEST, "protocol_version": 2}),
        record("association.rejected", 30, reason="protocol version 0002H not supported", **BOUND),
    ) == [
        (
            "40 dcmnet: Could not receive association request: "
            "DUL Unsupported peer protocol 0002; expected 0001 in parseAssociate"
        )
    ]


@pytest.mark.parametrize(
    "reason",
    ["connection closed by the peer", "aborted by the peer", "PDU of type 04H in state STA2"],
)
def test_what_is_no_request_is_a_request_without_names(reason: str) -> None:
    said = Talk(20, host_names=False).hear(
        record("connection.failed", 10, reason=reason, peer="192.0.2.1")
    )
    assert said == [
        "20 dcmnet: Association Received 192.0.2.1:  -> ",
        "20 dcmnet: Refusing Association (bad application context)",
    ]


def test_an_empty_data_set_is_answered_without_a_word() -> None:
    said = Talk(30).hear(
        record("object.refused", 30, status="C000", reason="the data set is empty", **BOUND)
    )
    assert said == []


def test_movescu_tells_its_own_association_and_those_it_receives() -> None:
    assert Talk(20, "movescu").hear(
        record("log.opened"),
        record("daemon.starting"),
        record("listener.opened"),
        record("call.requested", 10),
        record("call.accepted", 10, max_send_pdv=16372),
        record("move.requested", 10, message=1),
        record("association.requested", 10, **REQUEST),
        record("association.accepted", max_pdu=16384, contexts="0 of 1", **BOUND),
        record("message.received", 10, command="C-STORE", message_id=1, modality="CT", **BOUND),
        record("object.duplicated", outcome="overwritten", **STORED),
        record("object.stored", status="0000", **STORED),
        record("association.released", **BOUND),
        record("move.answered", 10, number=1, status="FF00"),
        record("move.cancelled", 10, message=1),
        record("move.ended", 30, status="A702"),
        record("move.ended", 30, status="B000"),
        record("move.ended", 10, status="0000"),
        record("call.released", 10),
        record("call.failed", 40, reason="TCP Initialization Error: Connection refused"),
        record("call.failed", 40, reason="Association Rejected:\nResult: R\nReason: No\x1b"),
    ) == [
        "20 apps.movescu: Requesting Association",
        "20 apps.movescu: Association Accepted (Max Send PDV: 16372)",
        "20 apps.movescu: Sending Move Request (MsgID 1)",
        "20 apps.movescu: Sub-Association Received",
        "20 apps.movescu: Sub-Association Acknowledged (Max Send PDV: 16372)",
        "20 apps.movescu:     (but no valid presentation contexts)",
        "20 apps.movescu: Received Store Request (MsgID 1, CT)",
        "30 apps.movescu: DICOM file already exists, overwriting: /d/CT.1.2.9",
        "20 apps.movescu: Received Move Response 1 (Pending)",
        "20 apps.movescu: Sending Cancel Request (MsgID 1, PresID 3)",
        ("30 apps.movescu: Move response with error status (Refused: OutOfResourcesSubOperations)"),
        "20 apps.movescu: Received Final Move Response (Refused: OutOfResourcesSubOperations)",
        (
            "30 apps.movescu: Move response with warning status "
            "(Warning: SubOperationsCompleteOneOrMoreFailures)"
        ),
        (
            "20 apps.movescu: Received Final Move Response "
            "(Warning: SubOperationsCompleteOneOrMoreFailures)"
        ),
        "20 apps.movescu: Received Final Move Response (Success)",
        "20 apps.movescu: Releasing Association",
        (
            "50 apps.movescu: Association Request Failed:\n"
            "TCP Initialization Error: Connection refused"
        ),
        "50 apps.movescu: Association Rejected:\nResult: R\nReason: No\\x1b",
    ]


def test_what_dcmtk_has_no_words_for_is_told_in_ours_from_warning_up() -> None:
    assert Talk(20).hear(
        record("worker.started"),
        (0, 30, "dicomd.supervisor", "worker.exited", 7, {"worker": "recv", "exit_code": 9}),
        record("storage.failing", 40, reason="No space left on device"),
        record("config.warned", 30, file="log.cfg", line=3, reason="unknown key"),
    ) == [
        "30 apps.dcmrecv: worker.exited worker=recv exit_code=9",
        "40 dcmnet: storage.failing: No space left on device",
        "30 apps.dcmrecv: log.cfg:3: unknown key",
    ]


def test_the_daemon_tells_its_own_events_at_their_level() -> None:
    assert Talk(20, "dicomd").hear(
        (0, 20, "dicomd.requestor", "job.verified", 7, {"job": "nightly"}),
        (0, 20, "dicomd.supervisor", "config.reloaded", 7, {"seconds": 0.5}),
        (0, 10, "dicomd.supervisor", "worker.started", 7, {}),
        record("association.released", **BOUND),
    ) == [
        "20 apps.movescu: job.verified job=nightly",
        "20 apps.dcmrecv: config.reloaded seconds=0.5",
        "20 dcmnet: Received Association Release Request",
    ]


def test_a_peers_control_characters_are_escaped() -> None:
    odd = {**BOUND, "calling_ae": "A\x1b[2J\nE: fake"}
    (said,) = Talk(20).hear(record("association.requested", 10, **{**REQUEST, **odd}))
    assert "\x1b" not in said
    assert "\n" not in said
