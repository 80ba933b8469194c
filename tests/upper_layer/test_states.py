"""The state table whole, against the standard's as pynetdicom has it."""

import pytest
from pynetdicom.fsm import ACTIONS, TRANSITION_TABLE

from dicomd.upper_layer.states import NEXT_STATE, TABLE, TRANSITIONS, Action, State, StateEvent

CELLS = [(event, state) for event in StateEvent for state in State]


def test_the_table_has_thirteen_states_and_nineteen_events() -> None:
    assert len(State) == 13
    assert len(StateEvent) == 19
    assert list(TABLE) == list(range(1, 20))
    assert all(len(row) == 13 for row in TABLE.values())


@pytest.mark.parametrize(
    ("event", "state"), CELLS, ids=[f"Evt{event}-{state.name}" for event, state in CELLS]
)
def test_each_cell_has_the_standards_action(event: StateEvent, state: State) -> None:
    theirs = TRANSITION_TABLE.get((f"Evt{event:d}", state.name.title()))
    ours = TRANSITIONS.get((event, state))
    assert (ours and ours.name.replace("_", "-")) == theirs


NEXT = {
    **dict.fromkeys(("AE_4", "AR_3", "AR_5", "AA_2", "AA_3", "AA_4", "AA_5"), State.STA1),
    "AE_5": State.STA2,
    "AE_6": State.STA3,
    "AE_1": State.STA4,
    "AE_2": State.STA5,
    **dict.fromkeys(("AE_3", "AE_7", "DT_1", "DT_2"), State.STA6),
    **dict.fromkeys(("AR_1", "AR_6"), State.STA7),
    **dict.fromkeys(("AR_2", "AR_7"), State.STA8),
    "AR_8": State.STA10,
    "AR_9": State.STA11,
    "AR_10": State.STA12,
    **dict.fromkeys(("AE_8", "AR_4", "AA_1", "AA_6", "AA_7", "AA_8"), State.STA13),
}


@pytest.mark.parametrize("action", Action, ids=lambda action: action.name)
def test_each_action_leads_to_the_standards_state(action: Action) -> None:
    assert NEXT_STATE[action] is NEXT[action.name]
    assert action.name.replace("_", "-") in ACTIONS


@pytest.mark.parametrize(
    ("readable", "standard"),
    [
        ("CLOSED", "STA1"),
        ("AWAITING_REQUEST", "STA2"),
        ("AWAITING_ANSWER", "STA3"),
        ("ESTABLISHED", "STA6"),
        ("RELEASE_REQUESTED", "STA8"),
        ("AWAITING_CLOSE", "STA13"),
    ],
)
def test_readable_names_are_the_acceptors_states(readable: str, standard: str) -> None:
    assert State[readable] is State[standard]
