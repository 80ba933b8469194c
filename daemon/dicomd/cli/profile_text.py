"""Association profiles and their differences as lines for people."""

from collections.abc import Iterable, Iterator

from dicomd.config.profiles.diff import Comparison, ProfileChange, SopClassChange
from dicomd.config.profiles.file import acceptor_obstacle, requestor_obstacle
from dicomd.config.profiles.uid_names import described, keyword_of
from dicomd.settings.profile import AssociationProfile


def profile_lines(name: str, profile: AssociationProfile, *, with_uids: bool) -> Iterator[str]:
    """One profile: what it can serve, then its contexts, grouped by their transfer syntaxes."""
    shown = described if with_uids else keyword_of
    yield f"profile {name}"
    for role, obstacle, works in (
        ("acceptor", acceptor_obstacle(profile), "accepts"),
        ("requestor", requestor_obstacle(profile), "proposes"),
    ):
        count = len(profile.contexts)
        can = f"{works} {count} {_plural(count, 'presentation context')}"
        yield f"  {role + ':':<10} {can if obstacle is None else f'not usable: {obstacle}'}"
    groups: dict[tuple[str, ...], list[str]] = {}
    for context in profile.contexts:
        notes = []
        if context.abstract_syntax in profile.roles:
            notes.append(f"role {profile.roles[context.abstract_syntax].value}")
        if context.abstract_syntax in profile.extended_negotiation:
            data = profile.extended_negotiation[context.abstract_syntax]
            notes.append(f"extended negotiation {data.hex()}")
        line = shown(context.abstract_syntax)
        groups.setdefault(context.transfer_syntaxes, []).append(", ".join([line, *notes]))
    for syntaxes, classes in groups.items():
        yield ""
        yield "  transfer syntaxes, the most wanted first:"
        yield from (f"    {shown(uid)}" for uid in syntaxes)
        yield f"  {_plural(len(classes), 'SOP class', 'SOP classes')}:"
        yield from (f"    {line}" for line in classes)


def change_lines(comparison: Comparison) -> Iterator[str]:
    """The differences; + is accepted now, - is refused now, ~ is negotiated otherwise."""
    for name in comparison.removed:
        yield f"profile {name}: removed"
    for name in comparison.added:
        yield f"profile {name}: added"
    for change in comparison.changed:
        yield from _profile_change(change)


def _profile_change(change: ProfileChange) -> Iterator[str]:
    yield f"profile {change.name}"
    for role, pair in (("acceptor", change.acceptor), ("requestor", change.requestor)):
        if pair is not None:
            before, now = (f"not usable ({reason})" if reason else "usable" for reason in pair)
            yield f"  for a {role}: {before} -> {now}".replace("a acceptor", "an acceptor")
    yield from (f"  + {described(uid)}" for uid in change.accepted)
    yield from (f"  - {described(uid)}" for uid in change.refused)
    alike: dict[tuple[str, ...], list[str]] = {}
    for one in change.changed:
        alike.setdefault(tuple(_class_change(one)), []).append(described(one.sop_class))
    for lines, classes in alike.items():
        yield from (f"  ~ {sop_class}" for sop_class in classes)
        yield from (f"      {line}" for line in lines)
    if change.order_of_contexts:
        yield "  ~ the order in which a requestor proposes the contexts"


def _class_change(change: SopClassChange) -> Iterator[str]:
    for uid in change.accepted:
        before = change.preferred.get(uid, ())
        yield f"+ {described(uid)}" + (f", preferred to {_names(before)}" if before else "")
    yield from (f"- {described(uid)}" for uid in change.refused)
    if change.order is not None:
        yield f"order: {_names(change.order[0])} -> {_names(change.order[1])}"
    if change.contexts is not None:
        before_count, now_count = change.contexts
        yield f"proposed in {before_count} -> {now_count} contexts, or grouped otherwise"
    if change.role is not None:
        before_role, now_role = (role.value if role else "none" for role in change.role)
        yield f"role: {before_role} -> {now_role}"
    if change.extended_negotiation is not None:
        old, new = (data.hex() if data else "none" for data in change.extended_negotiation)
        yield f"extended negotiation: {old} -> {new}"


def _names(uids: Iterable[str]) -> str:
    return ", ".join(keyword_of(uid) for uid in uids)


def _plural(count: int, one: str, many: str = "") -> str:
    return one if count == 1 else many or f"{one}s"
