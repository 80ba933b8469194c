"""PS3.8 9.2: the states of an association and what happens in each, as the standard's table.

``TABLE`` is Table 9-10 whole: thirteen states, nineteen events, both roles. The acceptor lives in
six of the states; the rest stands here so that the table can be held against the standard. An
empty cell is an event that cannot come in that state (a local call there is a bug of ours).
Order is all that this module knows: no bytes, no lengths.
"""

from enum import Enum, IntEnum


class State(Enum):
    """The states of PS3.8 9.2.1; those of an acceptor have a second, readable name."""

    STA1 = "Sta1: idle"
    STA2 = "Sta2: transport connection open, awaiting A-ASSOCIATE-RQ"
    STA3 = "Sta3: awaiting the local A-ASSOCIATE response"
    STA4 = "Sta4: awaiting the transport connection"
    STA5 = "Sta5: awaiting A-ASSOCIATE-AC or -RJ"
    STA6 = "Sta6: association established"
    STA7 = "Sta7: awaiting A-RELEASE-RP"
    STA8 = "Sta8: awaiting the local A-RELEASE response"
    STA9 = "Sta9: release collision, requestor, awaiting the local A-RELEASE response"
    STA10 = "Sta10: release collision, acceptor, awaiting A-RELEASE-RP"
    STA11 = "Sta11: release collision, requestor, awaiting A-RELEASE-RP"
    STA12 = "Sta12: release collision, acceptor, awaiting the local A-RELEASE response"
    STA13 = "Sta13: awaiting the close of the transport connection"

    CLOSED = STA1
    AWAITING_REQUEST = STA2
    AWAITING_ANSWER = STA3
    ESTABLISHED = STA6
    RELEASE_REQUESTED = STA8
    AWAITING_CLOSE = STA13


class StateEvent(IntEnum):
    """The events of Table 9-10, by their numbers there."""

    ASSOCIATE_REQUEST = 1
    TRANSPORT_CONFIRMED = 2
    ASSOCIATE_AC_PDU = 3
    ASSOCIATE_RJ_PDU = 4
    TRANSPORT_INDICATED = 5
    ASSOCIATE_RQ_PDU = 6
    ACCEPT = 7
    REJECT = 8
    P_DATA_REQUEST = 9
    P_DATA_TF_PDU = 10
    RELEASE_REQUEST = 11
    RELEASE_RQ_PDU = 12
    RELEASE_RP_PDU = 13
    RELEASE_RESPONSE = 14
    ABORT_REQUEST = 15
    ABORT_PDU = 16
    TRANSPORT_CLOSED = 17
    ARTIM_EXPIRED = 18
    INVALID_PDU = 19


class Action(Enum):
    """The actions of PS3.8 9.2.3 (Tables 9-6 to 9-9)."""

    AE_1 = "connect"
    AE_2 = "send A-ASSOCIATE-RQ"
    AE_3 = "confirm acceptance"
    AE_4 = "confirm rejection, close"
    AE_5 = "confirm the transport connection, start ARTIM"
    AE_6 = "stop ARTIM, indicate the request, or send A-ASSOCIATE-RJ and start ARTIM"
    AE_7 = "send A-ASSOCIATE-AC"
    AE_8 = "send A-ASSOCIATE-RJ, start ARTIM"
    DT_1 = "send P-DATA-TF"
    DT_2 = "indicate P-DATA"
    AR_1 = "send A-RELEASE-RQ"
    AR_2 = "indicate the release"
    AR_3 = "confirm the release, close"
    AR_4 = "send A-RELEASE-RP, start ARTIM"
    AR_5 = "stop ARTIM"
    AR_6 = "indicate P-DATA while a release is awaited"
    AR_7 = "send P-DATA-TF before the release is answered"
    AR_8 = "indicate the release: a collision"
    AR_9 = "send A-RELEASE-RP in a collision"
    AR_10 = "confirm the release in a collision"
    AA_1 = "send A-ABORT, start ARTIM"
    AA_2 = "stop ARTIM, close"
    AA_3 = "indicate the abort, close"
    AA_4 = "indicate a provider abort: the transport connection is gone"
    AA_5 = "stop ARTIM: the transport connection is gone"
    AA_6 = "ignore the PDU"
    AA_7 = "send A-ABORT again"
    AA_8 = "send A-ABORT, indicate a provider abort, start ARTIM"


# fmt: off
____: None = None
AE_1, AE_2, AE_3, AE_4 = Action.AE_1, Action.AE_2, Action.AE_3, Action.AE_4
AE_5, AE_6, AE_7, AE_8 = Action.AE_5, Action.AE_6, Action.AE_7, Action.AE_8
DT_1, DT_2 = Action.DT_1, Action.DT_2
AR_1, AR_2, AR_3, AR_4, AR_5 = Action.AR_1, Action.AR_2, Action.AR_3, Action.AR_4, Action.AR_5
AR_6, AR_7, AR_8, AR_9, AR10 = Action.AR_6, Action.AR_7, Action.AR_8, Action.AR_9, Action.AR_10
AA_1, AA_2, AA_3, AA_4 = Action.AA_1, Action.AA_2, Action.AA_3, Action.AA_4
AA_5, AA_6, AA_7, AA_8 = Action.AA_5, Action.AA_6, Action.AA_7, Action.AA_8

TABLE: dict[int, tuple[Action | None, ...]] = {
    # state 1     2     3     4     5     6     7     8     9    10    11    12    13
    1:  (AE_1, ____, ____, ____, ____, ____, ____, ____, ____, ____, ____, ____, ____),
    2:  (____, ____, ____, AE_2, ____, ____, ____, ____, ____, ____, ____, ____, ____),
    3:  (____, AA_1, AA_8, ____, AE_3, AA_8, AA_8, AA_8, AA_8, AA_8, AA_8, AA_8, AA_6),
    4:  (____, AA_1, AA_8, ____, AE_4, AA_8, AA_8, AA_8, AA_8, AA_8, AA_8, AA_8, AA_6),
    5:  (AE_5, ____, ____, ____, ____, ____, ____, ____, ____, ____, ____, ____, ____),
    6:  (____, AE_6, AA_8, ____, AA_8, AA_8, AA_8, AA_8, AA_8, AA_8, AA_8, AA_8, AA_7),
    7:  (____, ____, AE_7, ____, ____, ____, ____, ____, ____, ____, ____, ____, ____),
    8:  (____, ____, AE_8, ____, ____, ____, ____, ____, ____, ____, ____, ____, ____),
    9:  (____, ____, ____, ____, ____, DT_1, ____, AR_7, ____, ____, ____, ____, ____),
    10: (____, AA_1, AA_8, ____, AA_8, DT_2, AR_6, AA_8, AA_8, AA_8, AA_8, AA_8, AA_6),
    11: (____, ____, ____, ____, ____, AR_1, ____, ____, ____, ____, ____, ____, ____),
    12: (____, AA_1, AA_8, ____, AA_8, AR_2, AR_8, AA_8, AA_8, AA_8, AA_8, AA_8, AA_6),
    13: (____, AA_1, AA_8, ____, AA_8, AA_8, AR_3, AA_8, AA_8, AR10, AR_3, AA_8, AA_6),
    14: (____, ____, ____, ____, ____, ____, ____, AR_4, AR_9, ____, ____, AR_4, ____),
    15: (____, ____, AA_1, AA_2, AA_1, AA_1, AA_1, AA_1, AA_1, AA_1, AA_1, AA_1, ____),
    16: (____, AA_2, AA_3, ____, AA_3, AA_3, AA_3, AA_3, AA_3, AA_3, AA_3, AA_3, AA_2),
    17: (____, AA_5, AA_4, AA_4, AA_4, AA_4, AA_4, AA_4, AA_4, AA_4, AA_4, AA_4, AR_5),
    18: (____, AA_2, ____, ____, ____, ____, ____, ____, ____, ____, ____, ____, AA_2),
    19: (____, AA_1, AA_8, ____, AA_8, AA_8, AA_8, AA_8, AA_8, AA_8, AA_8, AA_8, AA_7),
}
"""Table 9-10: number of the event -> the action in each of the states 1 to 13."""
# fmt: on

NEXT_STATE: dict[Action, State] = {
    Action.AE_1: State.STA4,
    Action.AE_2: State.STA5,
    Action.AE_3: State.STA6,
    Action.AE_4: State.STA1,
    Action.AE_5: State.STA2,
    Action.AE_6: State.STA3,  # Sta13 when the provider itself rejects; we leave that to the user
    Action.AE_7: State.STA6,
    Action.AE_8: State.STA13,
    Action.DT_1: State.STA6,
    Action.DT_2: State.STA6,
    Action.AR_1: State.STA7,
    Action.AR_2: State.STA8,
    Action.AR_3: State.STA1,
    Action.AR_4: State.STA13,
    Action.AR_5: State.STA1,
    Action.AR_6: State.STA7,
    Action.AR_7: State.STA8,
    Action.AR_8: State.STA10,  # the acceptor's; Sta9 for the requestor of the association
    Action.AR_9: State.STA11,
    Action.AR_10: State.STA12,
    Action.AA_1: State.STA13,
    Action.AA_2: State.STA1,
    Action.AA_3: State.STA1,
    Action.AA_4: State.STA1,
    Action.AA_5: State.STA1,
    Action.AA_6: State.STA13,
    Action.AA_7: State.STA13,
    Action.AA_8: State.STA13,
}
"""Where each action leads, in the acceptor's role."""

TRANSITIONS: dict[tuple[StateEvent, State], Action] = {
    (StateEvent(event), state): action
    for event, row in TABLE.items()
    for state, action in zip(State, row, strict=True)
    if action is not None
}
"""The table by cell; cells that cannot happen are absent."""
