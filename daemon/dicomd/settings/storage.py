"""One type per kind of sink: naming, subdirectories, what is kept, durability."""

from dataclasses import dataclass
from typing import Literal

from dicomd.settings.units import Bytes, FileMode


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreSettings:
    """Where SOP instances go and how they are written. Defaults are the daemon's."""

    directory: str = ""
    """Folder of the objects, absolute in the daemon. Not used with ``mode: ignore``."""
    mode: Literal["normal", "bit-preserving", "ignore"] = "normal"
    """normal: checked, and rewritten only as ``rewrite`` asks; bit-preserving: the received bytes
    unlooked at; ignore: received and discarded."""
    rewrite: Literal["none", "dcmrecv"] = "none"
    """With ``mode: normal``. none: the data set's bytes as received; dcmrecv: undefined lengths,
    group lengths recalculated, odd lengths padded, elements sorted, as dcmrecv writes."""
    subdirectories: str = "none"
    """``none``, ``series-date`` or a template: ``{StudyInstanceUID}/{SeriesInstanceUID}``."""
    filenames: str = "default"
    """``default``, ``unique``, ``short-unique``, ``system-time`` or a template."""
    extension: str = ""
    """Appended literally to every file name; no dot is added."""
    duplicates: Literal["overwrite", "keep-first", "keep-both"] = "overwrite"
    """What happens when the final name exists. Generated names never overwrite."""
    durability: Literal["object", "none"] = "object"
    """object: file and folder are synced before Success; none: left to the kernel."""
    file_mode: FileMode = 0o640
    """Permission bits of the files, whatever the umask; folders get the same with search."""
    min_free_space: Bytes = 1 << 30
    """Below this many free bytes objects are refused with A700H before they are read."""
    create_directory: bool = False
    """Create ``directory`` when it is missing (dcmrecv does while running). Off: a missing folder
    is likely an unmounted volume, and objects are refused with A700H."""
    abort_unparsable: bool = False
    """A data set that cannot be parsed: abort the association, as dcmrecv does, instead of
    answering C000H."""
    source: Literal["profile", "dcmrecv"] = "profile"
    """How the meta header names its writer: ``profile`` gives dicomd's implementation UID and
    version name and the calling AE title; ``dcmrecv`` what dcmrecv writes."""
