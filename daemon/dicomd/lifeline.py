"""The line between parent and child: reports up, orders down, and the scoreboard beside it.

A lifeline is one end of a socket pair. Messages are JSON objects behind a four-byte length. Nobody
ever blocks on it: what the other side does not take waits here, bounded. End of file means that
the other side is gone: a child that sees it stops at once, so nothing outlives the supervisor.

Orders (parent to child), each a message with the key ``order``:

========== ============================= ====================================================
order      further keys                  the child
========== ============================= ====================================================
drain      seconds, reason               takes nothing new, ends what runs, exits 0; ``seconds``
                                         null: in its own time; ``reason`` is ``stop`` or
                                         ``reload`` (then what runs goes on under the old settings)
stop                                     the same with no time left
ask        id, what, arguments           answers with the same id; ``what`` is ``snapshot`` for
                                         every child, ``jobs.…`` for the requestor
told       id, result                    what it asked for
========== ============================= ====================================================

Reports (child to parent), each a message with the key ``report``:

========== ============================= ====================================================
report     further keys                  meaning
========== ============================= ====================================================
ready                                    the child does its work from now on
failed     text                          it cannot be born; it exits next
alive      counters                      heartbeat, every second; counters only ever grow
answer     id, result | error            to ``ask``
asks       id, what                      it wants to know ``status`` (the metrics server)
========== ============================= ====================================================
"""

import json
import mmap
import socket
import struct
from typing import Any

Message = dict[str, Any]

HEARTBEAT_S = 1.0
_LENGTH = struct.Struct("!I")
_RECEIVE_BYTES = 65536
_UNSENT_LIMIT_BYTES = 8 << 20
_CONNECTIONS, _LOAD, _ASSOCIATIONS, _USED, _ROW_HEADER = 0, 1, 2, 3, 4
"""Where the numbers of a scoreboard's row stand, before its cells."""


class Lifeline:
    """One end. Mutable: bytes not yet sent, bytes not yet a whole message, ``closed``."""

    def __init__(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        self._sock = sock
        self._unsent = bytearray()
        self._received = bytearray()
        self.closed = False

    @classmethod
    def pair(cls) -> tuple["Lifeline", "Lifeline"]:
        """Both ends; after the fork each side closes the one that is not its own."""
        left, right = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        return cls(left), cls(right)

    def fileno(self) -> int:
        """For select, epoll and the like."""
        return self._sock.fileno()

    @property
    def wants_write(self) -> bool:
        """True while something waits for the other side to read; then watch for writability."""
        return bool(self._unsent)

    def send(self, message: Message) -> None:
        """Queue a message and send what goes out now. Dropped when 8 MiB are waiting already."""
        if self.closed or len(self._unsent) > _UNSENT_LIMIT_BYTES:
            return
        body = json.dumps(message, separators=(",", ":")).encode()
        self._unsent += _LENGTH.pack(len(body)) + body
        self.flush()

    def flush(self) -> None:
        """Send what goes out without waiting."""
        while self._unsent:
            try:
                sent = self._sock.send(self._unsent, socket.MSG_NOSIGNAL)
            except (BlockingIOError, InterruptedError):
                return
            except OSError:
                self.closed = True
                self._unsent.clear()
                return
            del self._unsent[:sent]

    def receive(self) -> list[Message]:
        """The whole messages that have come. Sets ``closed`` when the other side is gone."""
        while not self.closed:
            try:
                data = self._sock.recv(_RECEIVE_BYTES)
            except (BlockingIOError, InterruptedError):
                break
            except OSError:
                data = b""
            if not data:
                self.closed = True
                break
            self._received += data
        messages: list[Message] = []
        while len(self._received) >= _LENGTH.size:
            (length,) = _LENGTH.unpack_from(self._received)
            end = _LENGTH.size + length
            if len(self._received) < end:
                break
            messages.append(json.loads(self._received[_LENGTH.size : end]))
            del self._received[:end]
        return messages

    def close(self) -> None:
        """Give up this end."""
        self.closed = True
        self._sock.close()


class Scoreboard:
    """Live associations of one listener, over all its workers and generations.

    Memory that the supervisor shares with the workers it forks. Each worker owns one row and writes
    only there: a count of connections without association, its load plus one while it takes calls
    (else 0), a count of associations, how many cells were ever used, then a hash of the peer host
    for each association (0 = free). Reading others' rows needs no lock; a limit may be passed over
    by one for an instant when two workers accept at the same moment. Cells that were never used
    are never read: they cost no memory.
    """

    def __init__(self, *, rows: int, associations: int) -> None:
        self.rows = rows
        self.associations_per_row = associations
        self._width = _ROW_HEADER + associations
        self._memory = mmap.mmap(-1, rows * self._width * 8)
        self._table = memoryview(self._memory).cast("Q")
        # The owner's own notes: cells of its row that were used and are free again.
        self._free: dict[int, list[int]] = {}

    def clear(self, row: int) -> None:
        """Forget a worker that is gone."""
        start = row * self._width
        used = self._table[start + _USED]
        for cell in range(start, start + _ROW_HEADER + used):
            self._table[cell] = 0
        self._free.pop(row, None)

    def set_connections(self, row: int, count: int) -> None:
        """How many connections without association this worker holds."""
        self._table[row * self._width + _CONNECTIONS] = count

    def set_load(self, row: int, load: int | None) -> None:
        """How many connections of any kind this worker holds; None: it takes no more calls."""
        self._table[row * self._width + _LOAD] = 0 if load is None else load + 1

    def lightest_load(self, row: int) -> int | None:
        """The smallest load among this worker's siblings that take calls; None without any."""
        loads = self._table[_LOAD :: self._width].tolist()
        loads[row] = 0
        return min((load - 1 for load in loads if load), default=None)

    def add(self, row: int, host_hash: int) -> int:
        """Note an association of a host (non-zero 64-bit hash); returns its cell, or -1 when the
        row is full."""
        start = row * self._width
        free = self._free.setdefault(row, [])
        if free:
            cell = free.pop()
        else:
            used = self._table[start + _USED]
            if used >= self.associations_per_row:
                return -1
            cell = start + _ROW_HEADER + used
            self._table[start + _USED] = used + 1
        self._table[cell] = host_hash
        self._table[start + _ASSOCIATIONS] += 1
        return cell

    def remove(self, cell: int) -> None:
        """The association in that cell has ended."""
        row = cell // self._width
        if not self._table[cell]:
            return
        self._table[cell] = 0
        self._table[row * self._width + _ASSOCIATIONS] -= 1
        self._free.setdefault(row, []).append(cell)

    def associations(self) -> int:
        """Live associations of the listener."""
        return sum(self._table[row * self._width + _ASSOCIATIONS] for row in range(self.rows))

    def associations_of(self, host_hash: int) -> int:
        """Live associations of one host."""
        found = 0
        for row in range(self.rows):
            start = row * self._width
            if self._table[start + _ASSOCIATIONS]:
                first = start + _ROW_HEADER
                cells = self._table[first : first + self._table[start + _USED]]
                found += cells.tolist().count(host_hash)
        return found

    def connections(self) -> int:
        """Connections without an association, over all workers."""
        return sum(self._table[row * self._width + _CONNECTIONS] for row in range(self.rows))

    def close(self) -> None:
        """Give the memory back; the workers' own mappings stay until they end."""
        self._table.release()
        self._memory.close()


class Activity:
    """What arrives just now: two counters a worker that only grow, in shared memory.

    The supervisor makes it when a retrieval runs in the same service without receipts
    (``dicomd move``). Acceptor workers add to their row; the requestor reads the sums, to keep its
    clock alive and to show progress.
    """

    def __init__(self, *, rows: int) -> None:
        self.rows = rows
        self._memory = mmap.mmap(-1, rows * 2 * 8)
        self._table = memoryview(self._memory).cast("Q")

    def add(self, row: int, *, reads: int = 0, objects: int = 0) -> None:
        """Count reads that held data set bytes, and objects that are whole."""
        self._table[row * 2] += reads
        self._table[row * 2 + 1] += objects

    def reads(self) -> int:
        """Reads of data set bytes, over all workers."""
        return sum(self._table[0::2].tolist())

    def objects(self) -> int:
        """Whole objects, over all workers."""
        return sum(self._table[1::2].tolist())
