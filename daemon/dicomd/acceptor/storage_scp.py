"""C-STORE (PS3.4 B, PS3.7 9.1.1): command -> delivery -> receipt -> response.

A failure at any point is kept while the rest of the data set is read and dropped, and answered
after its last fragment, so that the association goes on. Success is answered only once
``Delivery.commit`` has returned.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from dicomd.acceptor.counters import Counters
from dicomd.dimse import status
from dicomd.dimse.codec import encode_store_response
from dicomd.dimse.commands import CStoreRequest
from dicomd.errors import StorageError
from dicomd.storage.sink import Delivery, Instance, Receipt, Sink

Recorder = Callable[[Receipt], None]
"""Keeps a receipt; called on the thread that committed, before the answer. May raise OSError."""


@dataclass(slots=True, kw_only=True)
class StorageScp:
    """The C-STORE service of one association. ``log`` is bound to the association."""

    sink: Sink
    counters: Counters
    recorder: Recorder | None
    log: Any
    strict: bool
    calling_ae_title: str
    called_ae_title: str
    peer: str
    association: str
    says_stored: bool = True
    """Whether a line at info level would be written: asked once, it is a line an object."""
    stored: int = 0
    stored_bytes: int = 0

    def begin(
        self, context_id: int, abstract_syntax: str, transfer_syntax: str, request: CStoreRequest
    ) -> "Reception":
        """Start to receive an object; a refusal is answered after its data set."""
        instance = Instance(
            request.sop_class_uid,
            request.sop_instance_uid,
            transfer_syntax,
            self.calling_ae_title,
            self.called_ae_title,
            self.peer,
            self.association,
        )
        if self.strict and request.sop_class_uid != abstract_syntax:
            return Reception(
                self,
                request,
                context_id,
                instance,
                None,
                StorageError(
                    "the command's SOP class is not that of its presentation context",
                    status=status.SOP_CLASS_NOT_SUPPORTED,
                    comment="SOP class is not that of the presentation context",
                ),
            )
        try:
            delivery = self.sink.begin(instance)
        except StorageError as error:
            return Reception(self, request, context_id, instance, None, error)
        return Reception(self, request, context_id, instance, delivery, None)


class Reception:
    """One object on its way. Mutable: its delivery, then its receipt or its failure."""

    command = "C-STORE"
    __slots__ = (
        "_context_id",
        "_delivery",
        "_failure",
        "_instance",
        "_receipt",
        "_request",
        "_scp",
        "_started",
    )

    def __init__(
        self,
        scp: StorageScp,
        request: CStoreRequest,
        context_id: int,
        instance: Instance,
        delivery: Delivery | None,
        failure: StorageError | None,
    ) -> None:
        self._scp = scp
        self._request = request
        self._context_id = context_id
        self._instance = instance
        self._delivery = delivery
        self._failure = failure
        self._receipt: Receipt | None = None
        self._started = time.monotonic()

    @property
    def status(self) -> int:
        """Success, or the failure's."""
        return 0 if self._failure is None else self._failure.status

    @property
    def waits(self) -> bool:
        """Whether there is something to commit that may wait for a disk or work for long."""
        return self._delivery is not None and self._delivery.blocking

    def write(self, spans: Sequence[memoryview]) -> None:
        """Hand the spans on; after a failure they are dropped."""
        if self._delivery is not None:
            try:
                self._delivery.write(spans)
            except StorageError as error:
                self._fail(error)

    def commit(self) -> None:
        """Keep the object, and note it in the receipts."""
        if self._delivery is None:
            return
        try:
            receipt = self._delivery.commit()
        except StorageError as error:
            self._fail(error)
            return
        except Exception as error:  # the one place of a helper thread that catches broadly
            self._scp.log.exception("storage.broken", error=type(error).__name__)
            self._fail(StorageError("an error of ours", status=status.OUT_OF_RESOURCES, comment=""))
            return
        self._delivery = None
        self._receipt = receipt
        if self._scp.recorder is not None:
            try:
                self._scp.recorder(receipt)
            except OSError as error:
                # The object is safe and the index can be rebuilt from the files.
                self._scp.log.error(  # noqa: TRY400 - expected, no traceback
                    "receipt.lost", reason=error.strerror or "", path=receipt.path
                )

    def conclude(self) -> bytes | None:
        """Count, log, and encode the answer; None when the association must be aborted."""
        scp = self._scp
        receipt = self._receipt
        if receipt is not None:
            counters = scp.counters
            counters.objects += 1
            counters.bytes += receipt.bytes
            counters.statuses[0] += 1
            scp.stored += 1
            scp.stored_bytes += receipt.bytes
            instance = self._instance
            if receipt.outcome != "stored" and receipt.outcome != "discarded":
                counters.duplicates += 1
                scp.log.info(
                    "object.duplicated",
                    sop_class=instance.sop_class_uid,
                    sop_instance=instance.sop_instance_uid,
                    path=receipt.path,
                    outcome=receipt.outcome,
                )
            if receipt.warnings:
                scp.log.warning(
                    "object.doubtful",
                    sop_class=instance.sop_class_uid,
                    sop_instance=instance.sop_instance_uid,
                    path=receipt.path,
                    warnings=list(receipt.warnings),
                )
            if scp.says_stored:
                scp.log.info(
                    "object.stored",
                    context=self._context_id,
                    sop_class=instance.sop_class_uid,
                    sop_instance=instance.sop_instance_uid,
                    transfer_syntax=instance.transfer_syntax_uid,
                    bytes=receipt.bytes,
                    seconds=round(time.monotonic() - self._started, 6),
                    status="0000",
                    path=receipt.path,
                )
            return encode_store_response(self._request, 0)
        failure = self._failure
        assert failure is not None, "a reception ends with a receipt or a failure"
        scp.counters.refused += 1
        scp.counters.statuses[failure.status] += 1
        scp.log.warning(
            "object.refused",
            context=self._context_id,
            sop_class=self._instance.sop_class_uid,
            sop_instance=self._instance.sop_instance_uid,
            transfer_syntax=self._instance.transfer_syntax_uid,
            seconds=round(time.monotonic() - self._started, 6),
            status=f"{failure.status:04X}",
            reason=str(failure),
        )
        if failure.abort:
            return None
        return encode_store_response(
            self._request, failure.status, failure.comment if scp.strict else ""
        )

    def discard(self) -> None:
        """The association broke: leave nothing behind."""
        if self._delivery is not None:
            self._delivery.discard()
            self._delivery = None

    def _fail(self, error: StorageError) -> None:
        self._failure = error
        self.discard()
