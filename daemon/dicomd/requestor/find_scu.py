"""C-FIND: matches of a query, and what an archive promises of a study (PS3.4 C.4.1).

Matches are handed over one by one, so that a hundred thousand of them need no memory here. Only the
values that were asked for by tag are kept; the data sets are never logged.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from dicomd.errors import MoveError
from dicomd.query.identifier import Identifier, encode
from dicomd.requestor.association import Alive, Association
from dicomd.requestor.messages import (
    C_FIND_RSP,
    CommandSetError,
    decode_response,
    encode_cancel_request,
    encode_find_request,
)
from dicomd.requestor.responses import read_values

STUDY_UID = 0x0020000D
SERIES_UID = 0x0020000E
INSTANCE_UID = 0x00080018
PATIENT_ID = 0x00100020
LEVEL = 0x00080052
STUDY_INSTANCES = 0x00201208
SERIES_INSTANCES = 0x00201209


class FindFailed(MoveError):  # noqa: N818 - reads as what happened
    """The archive did not answer a C-FIND with Success. ``status`` is what it said."""

    def __init__(self, text: str, *, status: int = 0, retryable: bool = True) -> None:
        super().__init__(text, retryable=retryable)
        self.status = status


@dataclass(slots=True)
class FindScu:
    """C-FINDs on one association. Mutable: the next message id."""

    association: Association
    context_id: int
    sop_class_uid: str
    timeout: float
    """Seconds without any response; 0: no limit."""
    alive: Alive | None = None
    """May raise to give up; see ``association``."""
    next_message_id: int = 1

    def matches(
        self, identifier: Identifier, wanted: Sequence[int], *, most: int = 0
    ) -> Iterator[dict[int, str]]:
        """The wanted values of each match, in the archive's order.

        FindFailed when the archive refuses or breaks off, when a match cannot be read, and when
        there are more than ``most`` (0: any number) of them.
        """
        message_id = self.next_message_id
        self.next_message_id = message_id % 0xFFFF + 1
        transfer_syntax = self.association.accepted[self.context_id]
        self.association.send(
            self.context_id,
            encode_find_request(self.sop_class_uid, message_id),
            encode(identifier, transfer_syntax),
        )
        count = 0
        while True:
            message = self.association.receive_command(timeout=self.timeout, alive=self.alive)
            try:
                response = decode_response(message.command)
            except CommandSetError as exc:
                raise FindFailed(f"C-FIND: {exc}") from exc
            if response.command_field != C_FIND_RSP or response.message_id != message_id:
                raise FindFailed("C-FIND: an answer to something else")
            data = b""
            if response.has_dataset:
                data = self.association.receive_dataset(timeout=self.timeout, alive=self.alive)
            if not response.is_pending:
                if response.status:
                    raise FindFailed(
                        f"C-FIND failed with status {response.status:04X}H", status=response.status
                    )
                return
            count += 1
            if most and count > most:
                self.association.send(self.context_id, encode_cancel_request(message_id))
                raise FindFailed(f"C-FIND has more than {most} matches", retryable=False)
            try:
                yield read_values(data, transfer_syntax, wanted)
            except ValueError as exc:
                raise FindFailed(f"C-FIND: a match that is no data set: {exc}") from exc

    def instances_of(self, unique_keys: dict[int, str]) -> dict[str, str]:
        """What the archive promises: SOP instance UID -> series UID of all instances under the
        given patient, study, series or instances.

        Asked strictly by the hierarchy (series of the study, then instances of each series), since
        many archives answer nothing else (PS3.4 C.4.1.2.1).
        """
        promised: dict[str, str] = {}
        for study in self._unique(unique_keys, STUDY_UID, "STUDY"):
            keys = {**unique_keys, STUDY_UID: study}
            for series in self._unique(keys, SERIES_UID, "SERIES"):
                for instance in self._unique({**keys, SERIES_UID: series}, INSTANCE_UID, "IMAGE"):
                    promised[instance] = series
        return promised

    def count_of(self, unique_keys: dict[int, str]) -> int | None:
        """The number of instances of a study as the archive counts them, None if it does not."""
        query = _query("STUDY", {**unique_keys, STUDY_INSTANCES: ""})
        counts = [match[STUDY_INSTANCES] for match in self.matches(query, (STUDY_INSTANCES,))]
        if not counts or not all(count.isdecimal() for count in counts):
            return None
        return sum(int(count) for count in counts)

    def _unique(self, keys: dict[int, str], wanted: int, level: str) -> list[str]:
        """UIDs of one level. A UID given already is taken as it is, and a list of them too; only
        instances are looked up, for their existence is what is promised."""
        given = keys.get(wanted, "")
        if given and wanted != INSTANCE_UID and "*" not in given and "?" not in given:
            return given.split("\\")
        query = _query(level, {**_above(keys, wanted), wanted: given})
        found = (match[wanted] for match in self.matches(query, (wanted,)))
        return list(dict.fromkeys(uid for uid in found if uid))


_HIERARCHY = (PATIENT_ID, STUDY_UID, SERIES_UID, INSTANCE_UID)


def _above(keys: dict[int, str], wanted: int) -> dict[int, str]:
    upper = _HIERARCHY[: _HIERARCHY.index(wanted)]
    return {tag: keys[tag] for tag in upper if keys.get(tag)}


def _query(level: str, keys: dict[int, str]) -> Identifier:
    identifier = Identifier()
    identifier.put_text(LEVEL, "CS", level)
    for tag, value in keys.items():
        vr = {PATIENT_ID: "LO", STUDY_INSTANCES: "IS", SERIES_INSTANCES: "IS"}.get(tag, "UI")
        identifier.put_text(tag, vr, value)
    return identifier


def retrieve_identifier(level: str, keys: dict[int, str]) -> Identifier:
    """The identifier of a C-MOVE: the level and unique keys only (PS3.4 C.4.2.2.1)."""
    return _query(level, keys)
