"""A remote as the engine uses it: associations with a C-FIND and a C-MOVE context, kept for reuse.

An association that ended well serves the next retrieval from the same remote when that comes soon;
so a run does not pay for a handshake a study.
"""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from dicomd.errors import MoveError
from dicomd.requestor.association import Alive, Association, Call, open_association
from dicomd.requestor.find_scu import FindScu
from dicomd.requestor.move_scu import FIND_CLASSES, MOVE_CLASSES
from dicomd.requestor.tls import client_context
from dicomd.settings.remote import RemoteSettings
from dicomd.storage.part10 import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME

FIND_CONTEXT_ID = 1
MOVE_CONTEXT_ID = 3
_TRANSFER_SYNTAXES = ("1.2.840.10008.1.2.1", "1.2.840.10008.1.2")
_KEPT_S = 5.0
"""An idle association is released after this; archives count them."""


@dataclass(slots=True)
class Line:
    """An association to a remote, under one information model. Mutable: the next message id."""

    association: Association
    model: str
    next_message_id: int = 1
    idle_since: float = 0.0

    def take_message_id(self) -> int:
        """A message id, 1 to 65535 (PS3.7 9.3)."""
        message_id = self.next_message_id
        self.next_message_id = message_id % 0xFFFF + 1
        return message_id

    def finder(self, timeout: float, alive: Alive | None) -> FindScu:
        """C-FINDs on this line. MoveError when the remote does not take them."""
        if FIND_CONTEXT_ID not in self.association.accepted:
            raise MoveError("the remote accepts no C-FIND of this model", retryable=False)
        return FindScu(
            association=self.association,
            context_id=FIND_CONTEXT_ID,
            sop_class_uid=FIND_CLASSES[self.model],
            timeout=timeout,
            alive=alive,
            next_message_id=self.take_message_id(),
        )


class Remote:
    """Lines to one remote. Safe to use from several threads. Mutable: idle lines."""

    def __init__(self, name: str, settings: RemoteSettings) -> None:
        self.name = name
        self.settings = settings
        self._idle: list[Line] = []
        self._lock = threading.Lock()

    @contextmanager
    def line(self, model: str, alive: Alive | None = None) -> Iterator[Line]:
        """A line for one use; it is kept when the block ends well, aborted when it raises."""
        line = self._take(model) or self._open(model, alive)
        try:
            yield line
        except BaseException:
            line.association.abort()
            raise
        line.idle_since = time.monotonic()
        with self._lock:
            self._idle.append(line)

    def hang_up(self, *, idle_s: float = _KEPT_S) -> None:
        """Release the lines that have been idle for so long."""
        now = time.monotonic()
        with self._lock:
            old = [line for line in self._idle if now - line.idle_since >= idle_s]
            self._idle = [line for line in self._idle if now - line.idle_since < idle_s]
        for line in old:
            try:
                line.association.release()
            except (MoveError, OSError):
                line.association.close()

    def _take(self, model: str) -> Line | None:
        with self._lock:
            for number, line in enumerate(self._idle):
                if line.model == model:
                    del self._idle[number]
                    break
            else:
                return None
        if line.association.is_quiet():
            return line
        line.association.close()
        return None

    def _open(self, model: str, alive: Alive | None) -> Line:
        settings = self.settings
        call = Call(
            host=settings.host,
            port=settings.port,
            called_ae_title=settings.ae_title,
            calling_ae_title=settings.calling_ae_title,
            contexts=(
                (FIND_CLASSES[model], _TRANSFER_SYNTAXES),
                (MOVE_CLASSES[model], _TRANSFER_SYNTAXES),
            ),
            max_pdu=settings.max_pdu,
            connect_timeout=settings.connect_timeout,
            acse_timeout=settings.acse_timeout,
            implementation_class_uid=IMPLEMENTATION_CLASS_UID,
            implementation_version_name=IMPLEMENTATION_VERSION_NAME,
            tls=client_context(settings.tls) if settings.tls else None,
        )
        return Line(open_association(call, alive=alive), model)
