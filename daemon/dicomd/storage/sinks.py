"""Settings -> sink, one line a kind."""

from dicomd.settings.storage import StoreSettings
from dicomd.storage.directory import DirectorySink
from dicomd.storage.discard import DiscardSink
from dicomd.storage.part10 import Implementation
from dicomd.storage.sink import Sink
from dicomd.storage.verdicts import Checks


def open_sink(
    settings: StoreSettings,
    *,
    checks: Checks,
    implementation: Implementation,
    max_object_bytes: int | None,
) -> Sink:
    """Open a sink in the process that will use it. ValueError when a template is wrong.

    A missing folder is no error here: objects are refused until it is there.
    """
    if settings.mode == "ignore":
        return DiscardSink(
            settings,
            checks=checks,
            implementation=implementation,
            max_object_bytes=max_object_bytes,
        )
    return DirectorySink(
        settings, checks=checks, implementation=implementation, max_object_bytes=max_object_bytes
    )
