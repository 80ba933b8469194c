"""AssociationProfile: what an association negotiates, resolved to UIDs.

The model behind both file forms (DCMTK's asconfig and YAML). Two profiles are equal when they
negotiate the same, whatever the names were in the files.
"""

from dataclasses import dataclass, field
from enum import Enum

VERIFICATION = "1.2.840.10008.1.1"
IMPLICIT_VR_LITTLE_ENDIAN = "1.2.840.10008.1.2"
EXPLICIT_VR_LITTLE_ENDIAN = "1.2.840.10008.1.2.1"
DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN = "1.2.840.10008.1.2.1.99"
EXPLICIT_VR_BIG_ENDIAN = "1.2.840.10008.1.2.2"


class Role(Enum):
    """The configured role of a SOP class: which roles the acceptor grants the requestor."""

    SCU = "SCU"
    SCP = "SCP"
    BOTH = "BOTH"


@dataclass(frozen=True, slots=True, kw_only=True)
class PresentationContext:
    """An abstract syntax with its transfer syntaxes, the acceptor's most wanted first."""

    abstract_syntax: str
    transfer_syntaxes: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class AssociationProfile:
    """Presentation contexts, roles and extended negotiation of one profile.

    ``roles`` and ``extended_negotiation`` are keyed by abstract syntax UID. A requestor may name
    an abstract syntax in several contexts; an acceptor's profile names each once.
    """

    contexts: tuple[PresentationContext, ...]
    roles: dict[str, Role] = field(default_factory=dict)
    extended_negotiation: dict[str, bytes] = field(default_factory=dict)


VERIFICATION_ONLY = AssociationProfile(
    contexts=(
        PresentationContext(
            abstract_syntax=VERIFICATION, transfer_syntaxes=(IMPLICIT_VR_LITTLE_ENDIAN,)
        ),
    )
)
"""What dcmrecv accepts without a profile (spec: Verification with Implicit VR only)."""
