"""A data set in a file, read and written in bounded pieces."""

import os
import zlib
from collections.abc import Callable, Iterator

WINDOW_BYTES = 1 << 16
CHUNK_BYTES = 1 << 20


class DatasetReader:
    """Random access to a data set within a file. Mutable: one window of bytes.

    Offsets count from the start of the data set. Never reads past its end.
    """

    def __init__(self, descriptor: int, start: int, size: int) -> None:
        self._descriptor = descriptor
        self._start = start
        self.size = size
        self._window = b""
        self._window_at = 0

    def at(self, offset: int, length: int) -> bytes:
        """A few bytes, such as an element header; fewer at the end of the data set. OSError."""
        begin = offset - self._window_at
        if begin < 0 or begin + length > len(self._window):
            self._window_at = offset
            wanted = min(max(WINDOW_BYTES, length), self.size - offset)
            self._window = self._read(offset, wanted) if wanted > 0 else b""
            begin = 0
        return self._window[begin : begin + length]

    def chunks(self, offset: int, length: int) -> Iterator[bytes]:
        """A value in pieces of an even length, the last one apart. OSError."""
        if length <= WINDOW_BYTES:
            if length:
                yield self.at(offset, length)
            return
        end = offset + length
        while offset < end:
            piece = self._read(offset, min(CHUNK_BYTES, end - offset))
            yield piece
            offset += len(piece)

    def _read(self, offset: int, length: int) -> bytes:
        """All of it, also where one system call gives less."""
        data = os.pread(self._descriptor, length, self._start + offset)
        if len(data) == length:
            return data
        pieces = [data]
        missing = length - len(data)
        while missing and pieces[-1]:
            position = self._start + offset + length - missing
            pieces.append(os.pread(self._descriptor, missing, position))
            missing -= len(pieces[-1])
        if missing:
            raise OSError("the temporary file is shorter than what was written")
        return b"".join(pieces)


class DatasetWriter:
    """Appends to a file through a small buffer, deflated where asked. Mutable: both."""

    def __init__(self, descriptor: int, *, deflate_level: int | None = None) -> None:
        self._descriptor = descriptor
        self._buffer = bytearray()
        self._compressor = (
            None
            if deflate_level is None
            else zlib.compressobj(deflate_level, zlib.DEFLATED, -zlib.MAX_WBITS)
        )
        self._written = 0

    def write(self, data: bytes) -> None:
        """Append. OSError."""
        self._buffer += data
        if len(self._buffer) >= WINDOW_BYTES:
            self._flush()

    def finish(self) -> int:
        """Write what is buffered; returns the bytes that this writer appended in all."""
        self._flush()
        if self._compressor is not None:
            self._append(self._compressor.flush())
            if self._written & 1:
                self._append(b"\0")  # PS3.5 A.5: padded to an even length
        return self._written

    def _flush(self) -> None:
        data = bytes(self._buffer)
        self._buffer.clear()
        self._append(data if self._compressor is None else self._compressor.compress(data))

    def _append(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            done = os.write(self._descriptor, view)
            self._written += done
            view = view[done:]


def inflate(
    reader: DatasetReader, descriptor: int, look: Callable[[bytes], None], limit: int | None
) -> int:
    """Inflate a data set into a file, piece by piece, showing each to ``look``.

    Returns the inflated size. ValueError when it does not inflate, is cut off, or is larger than
    ``limit``; OSError.
    """
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    writer = DatasetWriter(descriptor)
    size = 0
    try:
        for piece in reader.chunks(0, reader.size):
            data = piece
            while data and not inflater.eof:
                out = inflater.decompress(data, CHUNK_BYTES)
                data = inflater.unconsumed_tail
                size += len(out)
                if limit is not None and size > limit:
                    raise ValueError("inflates to more than the object size limit")
                look(out)
                writer.write(out)
        while not inflater.eof:
            out = inflater.decompress(inflater.unconsumed_tail, CHUNK_BYTES)
            if not out:
                raise ValueError("the deflated data set is cut off")
            size += len(out)
            look(out)
            writer.write(out)
    except zlib.error as exc:
        raise ValueError("the data set does not inflate") from exc
    writer.finish()
    return size
