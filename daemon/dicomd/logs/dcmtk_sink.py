"""The output that speaks DCMTK: records to its messages, messages through its logger tree."""

from collections.abc import Sequence

from dicomd.logs.channel import Record
from dicomd.logs.dcmtk_text import DcmtkSpeaker
from dicomd.logs.oflog.tree import LoggerTree
from dicomd.settings.log import DcmtkLogSettings


class DcmtkSink:
    """All appenders of a DCMTK log configuration, behind one queue."""

    def __init__(self, settings: DcmtkLogSettings) -> None:
        self.name = "dcmtk"
        self.tree = LoggerTree(settings)
        self._speaker = DcmtkSpeaker(settings, self.tree.is_enabled)

    def begin(self) -> None:
        """The log starts: files that are not appended to are emptied."""
        for appender in self.tree.appenders:
            appender.target.begin()

    def write(self, records: Sequence[Record]) -> None:
        """Log each record in DCMTK's words."""
        for record in records:
            for event in self._speaker.messages(record):
                self.tree.log(event)
        self.tree.flush()

    def resume(self) -> None:
        """Go on where a full disk ended."""
        self.tree.flush()

    def turn(self) -> None:
        """Nothing to do: files roll when something is written."""

    def reopen(self) -> None:
        """Open all files anew; one that cannot be opened keeps its old one."""
        failed: OSError | None = None
        for appender in self.tree.appenders:
            try:
                appender.target.reopen()
            except OSError as error:
                failed = failed or error
        if failed is not None:
            raise failed

    def close(self) -> None:
        """The normal end, at which daily files roll."""
        failed: OSError | None = None
        for appender in self.tree.appenders:
            try:
                appender.target.close()
            except OSError as error:
                failed = failed or error
        if failed is not None:
            raise failed

    def descriptors(self) -> set[int]:
        """Of all appenders."""
        found: set[int] = set()
        for appender in self.tree.appenders:
            found |= appender.target.descriptors()
        return found

    def release(self) -> None:
        """Let go of all files."""
        for appender in self.tree.appenders:
            appender.target.release()
