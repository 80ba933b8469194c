"""DCMTK's dumps of associations and DIMSE messages, in its layout. Plain."""

from collections.abc import Mapping, Sequence
from typing import Any

from dicomd.logs.privacy import escape

_RESULTS = {
    0: "Accepted",
    1: "User Rejection",
    2: "No Reason",
    3: "Abstract Syntax Not Supported",
    4: "Transfer Syntaxes Not Supported",
}
"""PS3.8 table 9-18 in DCMTK's words."""

_PRIORITIES = {0: "medium", 1: "high", 2: "low"}


def name_of(uid: str, names: Mapping[str, str]) -> str:
    """``=Name`` as DCMTK writes a UID that it knows, or the UID."""
    return f"={names[uid]}" if uid in names else escape(uid)


def association_dump(kind: str, facts: Mapping[str, Any], names: Mapping[str, str]) -> str:
    """The frame with all parameters; ``kind`` is RQ, AC or RJ."""
    responding = "" if kind == "RQ" else str(facts.get("called_ae", ""))
    lines = [
        f"====================== BEGIN A-ASSOCIATE-{kind} =====================",
        f"Our Implementation Class UID:      {facts.get('our_implementation_class', '')}",
        f"Our Implementation Version Name:   {facts.get('our_implementation_version', '')}",
        f"Their Implementation Class UID:    {facts.get('implementation_class', '')}",
        f"Their Implementation Version Name: {facts.get('implementation_version', '')}",
        f"Application Context Name:    {facts.get('application_context', '')}",
        f"Calling Application Name:    {facts.get('calling_ae', '')}",
        f"Called Application Name:     {facts.get('called_ae', '')}",
        f"Responding Application Name: {responding}",
        f"Our Max PDU Receive Size:    {facts.get('our_max_pdu', 0)}",
        f"Their Max PDU Receive Size:  {facts.get('max_pdu', 0)}",
        "Presentation Contexts:",
    ]
    roles = facts.get("roles", {})
    configured = facts.get("configured_roles", {})
    results = {result[0]: result for result in facts.get("results", ())}
    for context_id, abstract_syntax, transfer_syntaxes in facts.get("contexts") or ():
        role = _role(roles.get(abstract_syntax))
        result = results.get(context_id, (context_id, 3, ""))
        state = "Proposed" if kind == "RQ" else _RESULTS.get(result[1], "No Reason")
        lines += [
            f"  Context ID:        {context_id} ({state})",
            f"    Abstract Syntax: {name_of(abstract_syntax, names)}",
            f"    Proposed SCP/SCU Role: {role}",
        ]
        if kind == "RQ":
            lines.append("    Proposed Transfer Syntax(es):")
            lines += [f"      {name_of(uid, names)}" for uid in transfer_syntaxes]
        else:
            role = _role(configured.get(abstract_syntax) if result[1] == 0 else None)
            lines.append(f"    Accepted SCP/SCU Role: {role}")
            if result[1] == 0:
                lines.append(f"    Accepted Transfer Syntax: {name_of(result[2], names)}")
    lines += [
        "Requested Extended Negotiation: none",
        "Accepted Extended Negotiation:  none",
        "Requested User Identity Negotiation: none",
        "User Identity Negotiation Response:  none",
        f"======================= END A-ASSOCIATE-{kind} ======================",
    ]
    return "\n".join(lines)


def dimse_dump(
    direction: str, kind: str, facts: Mapping[str, Any], names: Mapping[str, str]
) -> str:
    """The frame of a command set; ``direction`` is INCOMING or OUTGOING."""
    response = kind.endswith("RSP")
    number = "Message ID Being Responded To" if response else "Message ID"
    rows: list[tuple[str, Any]] = [
        ("Message Type", kind),
        ("Presentation Context ID", facts.get("context", 0)),
        (number, facts.get("message_id", 0)),
    ]
    if kind.startswith("C-STORE"):
        sop_class = str(facts.get("sop_class", ""))
        rows += [
            ("Affected SOP Class UID", names.get(sop_class, sop_class)),
            ("Affected SOP Instance UID", facts.get("sop_instance", "")),
        ]
    rows.append(("Data Set", "present" if kind == "C-STORE RQ" else "none"))
    if kind == "C-STORE RQ":
        rows.append(("Priority", _PRIORITIES.get(int(facts.get("priority", 0)), "medium")))
    if response:
        rows.append(("DIMSE Status", facts.get("status", "")))
    body = [f"{name:<30}: {value}" for name, value in rows]
    begin = f"===================== {direction} DIMSE MESSAGE ===================="
    end = "======================= END DIMSE MESSAGE ======================="
    return "\n".join([begin, *body, end])


def _role(proposed: Sequence[bool] | None) -> str:
    """(SCU, SCP) in DCMTK's words. What proposes neither it shows as both."""
    match tuple(proposed) if proposed is not None else None:
        case (True, True) | (False, False):
            return "SCP/SCU"
        case (False, True):
            return "SCP"
        case (True, False):
            return "SCU"
        case _:
            return "Default"
