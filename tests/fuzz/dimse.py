"""Fuzzer of ``dimse``: command sets."""

from random import Random
from struct import pack

from dicomd.dimse import codec
from dicomd.dimse.commands import CEchoRequest, CommandError, CStoreRequest
from dicomd.upper_layer.framing import announces_dataset
from tests.fuzz.target import Target
from tests.upper_layer.wire import ECHO, STORE, command_set, element

MOVED = STORE + element(0x1030, b"MOVER ") + element(0x1031, pack("<H", 9))
RESPONSE = command_set(
    element(0x0002, b"1.2\0"),
    element(0x0100, pack("<H", 0x8001)),
    element(0x0120, pack("<H", 1)),
    element(0x0800, pack("<H", 0x0101)),
    element(0x0900, pack("<H", 0)),
)


def run_command(data: bytes, random: Random) -> None:
    """A command or a CommandError; the fast way says what the slow one says, as does the peek."""
    fast = codec._decode_usual_store(data)
    try:
        command = codec.decode_command(data)
    except CommandError as error:
        assert error.has_dataset is announces_dataset(data)  # noqa: PT017  # either is right
        return
    assert fast is None or codec._decode(codec._walk(data)) == fast
    if isinstance(command, CStoreRequest):
        assert announces_dataset(data)
        sent = codec.encode_store_response(command, random.randrange(0x10000), "why")
        assert len(sent) % 2 == 0
    elif isinstance(command, CEchoRequest):
        assert len(codec.encode_echo_response(command)) % 2 == 0


TARGETS = (Target("command", (STORE, ECHO, MOVED, RESPONSE), run_command),)
