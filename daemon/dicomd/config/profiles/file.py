"""ProfileFile: what a file of association profiles defines, whichever form it is written in.

Lists of transfer syntaxes, presentation contexts, roles and extended negotiation, and the profiles
that join them. ``resolved`` makes an AssociationProfile of one; the two checks say whether it can
serve an acceptor or a requestor.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from dicomd.config.profiles.asconfig_lexer import reference_name
from dicomd.config.profiles.uid_names import keyword_of
from dicomd.settings.profile import AssociationProfile, PresentationContext, Role

YAML_KEYS = (
    "include",
    "transfer_syntaxes",
    "presentation_contexts",
    "role_selection",
    "extended_negotiation",
    "profiles",
)
"""The top keys of the YAML form, by which it is known."""

MOST_PROPOSED_CONTEXTS = 128
"""Odd identifiers from 1 to 255 (PS3.8 9.3.2.2)."""
MOST_PROPOSED_TRANSFER_SYNTAXES = 128
"""What DCMTK's requestors propose in one context at most."""


@dataclass(frozen=True, slots=True)
class ListedContext:
    """An entry of a list of presentation contexts; ``line`` is where it is defined."""

    abstract_syntax: str
    transfer_syntax_list: str
    line: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class ProfileEntry:
    """A profile: the names of its lists; "" = none."""

    contexts: str
    roles: str = ""
    extended_negotiation: str = ""
    line: int = field(default=0, compare=False)


@dataclass(slots=True)
class ProfileFile:
    """All that one file defines. The names of lists and profiles are as they are spelt."""

    file: str
    form: str
    """``asconfig`` or ``yaml``."""
    transfer_syntaxes: dict[str, tuple[str, ...]] = field(default_factory=dict)
    contexts: dict[str, tuple[ListedContext, ...]] = field(default_factory=dict)
    roles: dict[str, dict[str, Role]] = field(default_factory=dict)
    extended_negotiation: dict[str, dict[str, bytes]] = field(default_factory=dict)
    profiles: dict[str, ProfileEntry] = field(default_factory=dict)

    def profile_name(self, name: str) -> str | None:
        """The spelling of the profile that ``name`` asks for: case and white space don't count."""
        return spelling_of(name, self.profiles)

    def resolved(self, profile: str) -> AssociationProfile:
        """The profile of that spelling with everything looked up. KeyError when there is none."""
        entry = self.profiles[profile]
        return AssociationProfile(
            contexts=tuple(
                PresentationContext(
                    abstract_syntax=context.abstract_syntax,
                    transfer_syntaxes=self.transfer_syntaxes[context.transfer_syntax_list],
                )
                for context in self.contexts[entry.contexts]
            ),
            roles=dict(self.roles[entry.roles]) if entry.roles else {},
            extended_negotiation=(
                dict(self.extended_negotiation[entry.extended_negotiation])
                if entry.extended_negotiation
                else {}
            ),
        )

    def resolved_all(self) -> dict[str, AssociationProfile]:
        """Every profile of the file, by its spelling."""
        return {name: self.resolved(name) for name in self.profiles}


def spelling_of(name: str, names: Iterable[str]) -> str | None:
    """The one of ``names`` that is the same but for case and white space."""
    wanted = reference_name(name)
    return next((known for known in names if reference_name(known) == wanted), None)


def repeated_abstract_syntax(profile: AssociationProfile) -> str | None:
    """The first SOP class that has two contexts; then the profile can't serve an acceptor."""
    seen: set[str] = set()
    for context in profile.contexts:
        if context.abstract_syntax in seen:
            return context.abstract_syntax
        seen.add(context.abstract_syntax)
    return None


def acceptor_obstacle(profile: AssociationProfile) -> str | None:
    """Why an acceptor can't use this profile, or None. There is no limit of 128 contexts here."""
    repeated = repeated_abstract_syntax(profile)
    if repeated is None:
        return None
    return (
        f"SOP class {keyword_of(repeated)} stands in more than one presentation context; "
        "an acceptor's profile names each once, with all its transfer syntaxes in one list"
    )


def requestor_obstacle(profile: AssociationProfile) -> str | None:
    """Why a requestor can't propose this profile, or None."""
    if len(profile.contexts) > MOST_PROPOSED_CONTEXTS:
        return (
            f"{len(profile.contexts)} presentation contexts; "
            f"an association can propose {MOST_PROPOSED_CONTEXTS} at most"
        )
    for context in profile.contexts:
        if len(context.transfer_syntaxes) > MOST_PROPOSED_TRANSFER_SYNTAXES:
            return (
                f"{len(context.transfer_syntaxes)} transfer syntaxes for "
                f"{keyword_of(context.abstract_syntax)}; a requestor proposes "
                f"{MOST_PROPOSED_TRANSFER_SYNTAXES} at most"
            )
    return None
