"""The few elements that a name needs, out of a data set's first bytes.

At most 1 MiB is looked at. A deflated data set is inflated as far as that and no further; the
inflater's output is bounded whatever goes in.
"""

import zlib
from collections.abc import Set

from dicomd.storage.elements import ElementWalker
from dicomd.storage.transfer_syntaxes import encoding_of

LIMIT_BYTES = 1 << 20
_INFLATED_BYTES = 65536


class DatasetHead:
    """Takes a data set's bytes until it has seen enough. Mutable: ``values``, ``done``."""

    def __init__(self, transfer_syntax_uid: str, wanted: Set[int]) -> None:
        encoding = encoding_of(transfer_syntax_uid)
        self._walker = ElementWalker(encoding, wanted, head=LIMIT_BYTES)
        self._inflater = zlib.decompressobj(-zlib.MAX_WBITS) if encoding.deflated else None
        self._inflated = 0
        self.values = self._walker.values
        self.done = False

    @property
    def fault(self) -> str:
        """Why the head cannot be parsed; "" when it can."""
        return self._walker.fault

    def feed(self, span: memoryview | bytes) -> None:
        """Look at the next bytes."""
        walker = self._walker
        if self.done:
            return
        if self._inflater is None:
            walker.feed(span)
            self.done = walker.done
            return
        data: memoryview | bytes = span
        try:
            while not self.done and (data or self._inflated):
                out = self._inflater.decompress(data, _INFLATED_BYTES)
                walker.feed(out)
                self._inflated += len(out)
                data = self._inflater.unconsumed_tail
                self.done = walker.done or self._inflated > LIMIT_BYTES
                if not out or (not data and len(out) < _INFLATED_BYTES):
                    break
        except zlib.error:
            walker.fault = walker.fault or "the data set does not inflate"
            self.done = True

    def finish(self) -> None:
        """The data set has ended."""
        if not self.done:
            self._walker.finish()
            self.done = True
