"""What is wrong with a data set -> the status, as one table of cases.

=========================== ======== ================== ================== =================
what was received           strict   tolerant, normal   movescu, normal    bit-preserving,
                                                                           tolerant
=========================== ======== ================== ================== =================
invalid UID in the command  0117H    kept, name safe    kept, name safe    kept, name safe
no data at all              C000H    C000H              A700H              header only
cannot be parsed            C000H    C000H or abort     C000H or abort     not looked at
ends inside a header        C000H    kept, without      kept, without      not looked at
UIDs missing in it          A900H    kept, UIDs made    C000H              not looked at
UIDs not the command's      A900H    kept               A900H              not looked at
=========================== ======== ================== ================== =================

Strict is the same in both modes, except that bit-preserving looks at the head of the data set only.
The tolerant columns were measured on DCMTK 3.6.7. Whether what cannot be parsed aborts the
association is the store's ``abort_unparsable``.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from dicomd.errors import StorageError
from dicomd.storage.faults import (
    CANNOT_UNDERSTAND,
    DATA_SET_MISMATCH,
    INVALID_OBJECT_INSTANCE,
    OUT_OF_RESOURCES,
)
from dicomd.storage.naming import is_safe_uid
from dicomd.storage.part10 import Implementation
from dicomd.storage.sink import Instance

SOP_CLASS_UID = 0x00080016
SOP_INSTANCE_UID = 0x00080018
STUDY_INSTANCE_UID = 0x0020000D
SERIES_INSTANCE_UID = 0x0020000E

Checks = Literal["strict", "tolerant"]


@dataclass(frozen=True, slots=True)
class Rules:
    """Which row and column apply."""

    checks: Checks
    implementation: Implementation
    bit_preserving: bool
    abort_unparsable: bool

    def check_command(self, instance: Instance) -> None:
        """Refuse UIDs that are none, in strict mode."""
        if self.checks == "strict" and not (
            is_safe_uid(instance.sop_instance_uid) and is_safe_uid(instance.sop_class_uid)
        ):
            raise StorageError(
                "invalid UID in the command",
                status=INVALID_OBJECT_INSTANCE,
                comment="Invalid UID in the command",
            )

    def check_not_empty(self, received_bytes: int) -> None:
        """Refuse an object without data set."""
        if received_bytes or (self.bit_preserving and self.checks == "tolerant"):
            return
        movescu = self.implementation == "movescu" and self.checks == "tolerant"
        raise StorageError(
            "the data set is empty",
            status=OUT_OF_RESOURCES if movescu else CANNOT_UNDERSTAND,
            comment="The data set is empty",
        )

    def check_sound(self, fault: str, trailing_bytes: int) -> tuple[str, ...]:
        """Refuse a data set with a fault; returns what is odd but kept: in tolerant mode a few
        bytes behind the last element, which dcmrecv passes over."""
        if not fault or (self.bit_preserving and self.checks == "tolerant"):
            return ()
        if trailing_bytes and self.checks == "tolerant":
            return ("a few bytes behind the last element",)
        raise self.unparsable(fault)

    def unparsable(self, reason: str) -> StorageError:
        """The refusal of a data set that is not what its transfer syntax says."""
        return StorageError(
            f"the data set cannot be parsed: {reason}",
            status=CANNOT_UNDERSTAND,
            comment="The data set cannot be parsed",
            abort=self.abort_unparsable,
        )

    def check_uids(self, instance: Instance, values: Mapping[int, bytes]) -> tuple[str, ...]:
        """Compare command and data set; returns what was odd but is kept."""
        if self.bit_preserving and self.checks == "tolerant":
            return ()
        sop_class = text_of(values, SOP_CLASS_UID)
        sop_instance = text_of(values, SOP_INSTANCE_UID)
        missing = not sop_class or not sop_instance
        if not missing and (sop_class, sop_instance) == (
            instance.sop_class_uid,
            instance.sop_instance_uid,
        ):
            return ()
        if missing:
            odd = "SOP class or instance UID missing in the data set"
        else:
            odd = "SOP class or instance UID of the data set differ from the command's"
        if self.checks == "strict":
            raise StorageError(odd, status=DATA_SET_MISMATCH, comment=odd[:64])
        if self.implementation == "movescu":
            status = CANNOT_UNDERSTAND if missing else DATA_SET_MISMATCH
            raise StorageError(odd, status=status)
        return (odd,)


def text_of(values: Mapping[int, bytes], tag: int) -> str:
    """A UID of the data set without its padding; "" when missing."""
    return values.get(tag, b"").rstrip(b" \0").decode("ascii", "replace")
