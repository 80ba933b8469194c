"""How closely a store looks at what passes through: not at all, at the head, at every element."""

from collections.abc import Set

from dicomd.settings.storage import StoreSettings
from dicomd.storage.dataset_head import DatasetHead
from dicomd.storage.elements import ElementWalker
from dicomd.storage.part10 import Implementation
from dicomd.storage.sink import Instance
from dicomd.storage.transfer_syntaxes import encoding_of
from dicomd.storage.verdicts import (
    SERIES_INSTANCE_UID,
    SOP_CLASS_UID,
    SOP_INSTANCE_UID,
    STUDY_INSTANCE_UID,
    Checks,
)

IDENTITY = frozenset({SOP_CLASS_UID, SOP_INSTANCE_UID, STUDY_INSTANCE_UID, SERIES_INSTANCE_UID})


class Inspector:
    """Chooses, once a store, what each object is looked at with.

    Bit-preserving, tolerant, as DCMTK's tools, with names that need nothing from the data set:
    nothing is looked at. Bit-preserving otherwise: the head. Normal: every element, but of a
    deflated data set only the head, since inflating is work that a peer could make endless; it is
    inflated whole where a rewriting asks for it, on a helper thread.
    """

    def __init__(
        self,
        settings: StoreSettings,
        *,
        checks: Checks,
        implementation: Implementation,
        tags: Set[int],
    ) -> None:
        self._walks = settings.mode != "bit-preserving"
        self._looks = self._walks or checks == "strict" or implementation == "dicomd" or bool(tags)
        self._lenient = checks == "tolerant"
        self._wanted = IDENTITY | frozenset(tags)

    def begin(self, instance: Instance) -> DatasetHead | ElementWalker | None:
        """What the object's bytes are to be fed to."""
        if not self._looks:
            return None
        encoding = encoding_of(instance.transfer_syntax_uid)
        if self._walks and not encoding.deflated:
            return ElementWalker(encoding, self._wanted, lenient=self._lenient)
        return DatasetHead(instance.transfer_syntax_uid, self._wanted)
