"""What a change of profiles would accept or refuse that was not so before.

Profiles are compared as they negotiate, never as they are written: two files in different forms
with other list names are the same when they accept the same in the same order of preference.
"""

from collections import Counter
from dataclasses import dataclass, field
from typing import TypeVar

from dicomd.config.profiles.asconfig_lexer import reference_name
from dicomd.config.profiles.file import acceptor_obstacle, requestor_obstacle
from dicomd.settings.profile import AssociationProfile, PresentationContext, Role

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class SopClassChange:
    """One SOP class that both profiles have, and what is not the same about it. UIDs throughout.

    ``order`` holds the old and the new order where syntaxes that both have changed places;
    ``preferred`` maps a new transfer syntax to the old ones that it is now preferred to.
    """

    sop_class: str
    accepted: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()
    order: tuple[tuple[str, ...], tuple[str, ...]] | None = None
    preferred: dict[str, tuple[str, ...]] = field(default_factory=dict)
    contexts: tuple[int, int] | None = None
    """How often the class is proposed, before and now; only requestors' profiles repeat one."""
    role: tuple[Role | None, Role | None] | None = None
    extended_negotiation: tuple[bytes | None, bytes | None] | None = None


@dataclass(frozen=True, slots=True)
class ProfileChange:
    """One profile that both files have, and that is not the same."""

    name: str
    accepted: tuple[str, ...] = ()
    """SOP classes that are new."""
    refused: tuple[str, ...] = ()
    """SOP classes that are gone."""
    changed: tuple[SopClassChange, ...] = ()
    order_of_contexts: bool = False
    """Only the order of the contexts is another: a requestor proposes them so, an acceptor does
    not care."""
    acceptor: tuple[str | None, str | None] | None = None
    """Why it cannot serve an acceptor, before and now, where that is not the same."""
    requestor: tuple[str | None, str | None] | None = None


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two files of profiles."""

    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    changed: tuple[ProfileChange, ...] = ()

    @property
    def is_same(self) -> bool:
        """Whether nothing would be negotiated otherwise."""
        return not (self.added or self.removed or self.changed)


def compare_files(
    old: dict[str, AssociationProfile], new: dict[str, AssociationProfile]
) -> Comparison:
    """Compare profiles by name; case and white space do not count."""
    before = {reference_name(name): profile for name, profile in old.items()}
    now = {reference_name(name): name for name in new}
    changes = [
        compare_profiles(name, before[key], new[name]) for key, name in now.items() if key in before
    ]
    return Comparison(
        added=tuple(name for key, name in now.items() if key not in before),
        removed=tuple(name for name in old if reference_name(name) not in now),
        changed=tuple(change for change in changes if change is not None),
    )


def compare_profiles(
    name: str, old: AssociationProfile, new: AssociationProfile
) -> ProfileChange | None:
    """What is not the same; None when both negotiate alike."""
    if old == new:
        return None
    before, now = _by_class(old), _by_class(new)
    changed = [
        change
        for sop_class in now
        if sop_class in before
        and (change := _compare_class(sop_class, before[sop_class], now[sop_class], old, new))
    ]
    accepted = tuple(sop_class for sop_class in now if sop_class not in before)
    refused = tuple(sop_class for sop_class in before if sop_class not in now)
    return ProfileChange(
        name=name,
        accepted=accepted,
        refused=refused,
        changed=tuple(changed),
        order_of_contexts=not (accepted or refused or changed),
        acceptor=_differing(acceptor_obstacle(old), acceptor_obstacle(new)),
        requestor=_differing(requestor_obstacle(old), requestor_obstacle(new)),
    )


def _by_class(profile: AssociationProfile) -> dict[str, list[PresentationContext]]:
    found: dict[str, list[PresentationContext]] = {}
    for context in profile.contexts:
        found.setdefault(context.abstract_syntax, []).append(context)
    return found


def _compare_class(
    sop_class: str,
    before: list[PresentationContext],
    now: list[PresentationContext],
    old: AssociationProfile,
    new: AssociationProfile,
) -> SopClassChange | None:
    role = _differing(old.roles.get(sop_class), new.roles.get(sop_class))
    negotiation = _differing(
        old.extended_negotiation.get(sop_class), new.extended_negotiation.get(sop_class)
    )
    if before == now and role is None and negotiation is None:
        return None
    was, comes = _syntaxes(before), _syntaxes(now)
    kept_was = [uid for uid in was if uid in comes]
    kept_comes = [uid for uid in comes if uid in was]
    accepted = tuple(uid for uid in comes if uid not in was)
    preferred = {
        uid: tuple(other for other in comes[comes.index(uid) :] if other in was) for uid in accepted
    }
    same_proposals = Counter(map(_proposal, before)) == Counter(map(_proposal, now))
    if was == comes and same_proposals and role is None and negotiation is None:
        return None
    regrouped = len(before) != len(now) or (was == comes and not same_proposals)
    return SopClassChange(
        sop_class=sop_class,
        accepted=accepted,
        refused=tuple(uid for uid in was if uid not in comes),
        order=(tuple(was), tuple(comes)) if kept_was != kept_comes else None,
        preferred={uid: others for uid, others in preferred.items() if others},
        contexts=(len(before), len(now)) if regrouped else None,
        role=role,
        extended_negotiation=negotiation,
    )


def _syntaxes(contexts: list[PresentationContext]) -> list[str]:
    """All transfer syntaxes of one class, each once, in the order of preference."""
    return list(dict.fromkeys(uid for context in contexts for uid in context.transfer_syntaxes))


def _proposal(context: PresentationContext) -> tuple[str, ...]:
    return context.transfer_syntaxes


def _differing(before: _T, now: _T) -> tuple[_T, _T] | None:
    return None if before == now else (before, now)
