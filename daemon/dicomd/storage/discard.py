"""DiscardSink: receives and keeps nothing (``mode: ignore``, --ignore).

Data sets are still walked: dcmrecv and movescu abort on one that cannot be parsed, and a strict
listener refuses it. An empty data set passes, as with those tools, unless checks are strict.
"""

from collections.abc import Sequence

from dicomd.errors import StorageError
from dicomd.settings.storage import StoreSettings
from dicomd.storage.elements import ElementWalker
from dicomd.storage.faults import OUT_OF_RESOURCES
from dicomd.storage.inspection import Inspector
from dicomd.storage.part10 import Implementation
from dicomd.storage.sink import Delivery, Instance, Receipt
from dicomd.storage.verdicts import (
    SERIES_INSTANCE_UID,
    STUDY_INSTANCE_UID,
    Checks,
    Rules,
    text_of,
)


class DiscardSink:
    """Keeps nothing, never waits."""

    blocking = False

    def __init__(
        self,
        settings: StoreSettings,
        *,
        checks: Checks,
        implementation: Implementation,
        max_object_bytes: int | None,
    ) -> None:
        self.strict = checks == "strict"
        self.rules = Rules(checks, implementation, False, settings.abort_unparsable)
        self.inspector = Inspector(
            settings, checks=checks, implementation=implementation, tags=frozenset()
        )
        self.max_object_bytes = max_object_bytes

    def begin(self, instance: Instance) -> Delivery:
        """Start to count. StorageError for an invalid UID, in strict mode."""
        self.rules.check_command(instance)
        return DiscardDelivery(self, instance)

    def close(self) -> None:
        """Nothing is held."""


class DiscardDelivery:
    """Counts and looks. Mutable: the bytes so far."""

    __slots__ = ("_inspection", "_instance", "_received", "_sink")

    blocking = False

    def __init__(self, sink: DiscardSink, instance: Instance) -> None:
        self._sink = sink
        self._instance = instance
        self._inspection = sink.inspector.begin(instance)
        self._received = 0

    def write(self, spans: Sequence[memoryview]) -> None:
        """Look at the spans and forget them."""
        inspection = self._inspection
        for span in spans:
            self._received += len(span)
            if inspection is not None:
                inspection.feed(span)
        limit = self._sink.max_object_bytes
        if limit is not None and self._received > limit:
            raise StorageError(
                "larger than the object size limit",
                status=OUT_OF_RESOURCES,
                comment="Object larger than the limit",
            )

    def commit(self) -> Receipt:
        """The receipt of something that is not kept."""
        sink = self._sink
        study = series = ""
        if sink.strict:
            sink.rules.check_not_empty(self._received)
        inspection = self._inspection
        if inspection is not None and self._received:
            inspection.finish()
            trailing = inspection.trailing_bytes if isinstance(inspection, ElementWalker) else 0
            sink.rules.check_sound(inspection.fault, trailing)
            if sink.strict:
                sink.rules.check_uids(self._instance, inspection.values)
            study = text_of(inspection.values, STUDY_INSTANCE_UID)
            series = text_of(inspection.values, SERIES_INSTANCE_UID)
        return Receipt(
            instance=self._instance,
            path="",
            bytes=self._received,
            study_instance_uid=study,
            series_instance_uid=series,
            outcome="discarded",
        )

    def discard(self) -> None:
        """Nothing to forget."""
