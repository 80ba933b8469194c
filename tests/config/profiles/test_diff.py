"""What a change of profiles would accept or refuse that was not so before."""

from dicomd.config.profiles.diff import SopClassChange, compare_files, compare_profiles
from dicomd.settings.profile import AssociationProfile, PresentationContext, Role

CT, MR = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.4"
A, B, C = "1.2.1", "1.2.2", "1.2.3"


def profile(
    *contexts: tuple[str, tuple[str, ...]],
    roles: dict[str, Role] | None = None,
    data: dict[str, bytes] | None = None,
) -> AssociationProfile:
    return AssociationProfile(
        contexts=tuple(
            PresentationContext(abstract_syntax=uid, transfer_syntaxes=syntaxes)
            for uid, syntaxes in contexts
        ),
        roles=roles or {},
        extended_negotiation=data or {},
    )


def only_change(old: AssociationProfile, new: AssociationProfile) -> SopClassChange:
    change = compare_profiles("P", old, new)
    assert change is not None
    (one,) = change.changed
    return one


def test_the_same_profile_is_no_change() -> None:
    assert compare_profiles("P", profile((CT, (A,))), profile((CT, (A,)))) is None


def test_sop_classes_that_come_and_go() -> None:
    change = compare_profiles("P", profile((CT, (A,))), profile((MR, (A,))))
    assert change is not None
    assert (change.accepted, change.refused, change.changed) == ((MR,), (CT,), ())


def test_transfer_syntaxes_that_come_and_go() -> None:
    change = only_change(profile((CT, (A, B))), profile((CT, (B, C))))
    assert change == SopClassChange(CT, accepted=(C,), refused=(A,))


def test_a_new_syntax_that_is_preferred_to_an_old_one_is_told() -> None:
    change = only_change(profile((CT, (A, B))), profile((CT, (A, C, B))))
    assert change == SopClassChange(CT, accepted=(C,), preferred={C: (B,)})


def test_another_order_of_preference_is_a_change() -> None:
    change = only_change(profile((CT, (A, B))), profile((CT, (B, A))))
    assert change == SopClassChange(CT, order=((A, B), (B, A)))


def test_roles_and_extended_negotiation_are_compared() -> None:
    old = profile((CT, (A,)), roles={CT: Role.SCU})
    new = profile((CT, (A,)), data={CT: b"\x01"})
    change = only_change(old, new)
    assert change == SopClassChange(CT, role=(Role.SCU, None), extended_negotiation=(None, b"\x01"))


def test_a_context_that_is_split_is_a_change_for_requestors() -> None:
    change = compare_profiles("P", profile((CT, (A, B))), profile((CT, (A,)), (CT, (B,))))
    assert change is not None
    assert change.changed == (SopClassChange(CT, contexts=(1, 2)),)
    assert change.acceptor is not None
    assert change.acceptor[0] is None
    assert change.acceptor[1] is not None


def test_the_order_of_contexts_alone_is_told_as_such() -> None:
    change = compare_profiles("P", profile((CT, (A,)), (MR, (A,))), profile((MR, (A,)), (CT, (A,))))
    assert change is not None
    assert change.order_of_contexts
    assert not change.changed


def test_profiles_of_files_are_matched_by_name_without_case_and_blanks() -> None:
    same, other = profile((CT, (A,))), profile((MR, (A,)))
    comparison = compare_files({"De fault": same, "Old": same}, {"DEFAULT": same, "New": same})
    assert (comparison.added, comparison.removed, comparison.changed) == (("New",), ("Old",), ())
    assert compare_files({"A": same}, {"a": same}).is_same
    assert not compare_files({"A": same}, {"a": other}).is_same
