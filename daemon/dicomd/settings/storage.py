"""One type per kind of sink: naming, subdirectories, what is kept, durability."""

from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_types import Ge, Le

from dicomd.settings.units import Bytes, FileMode


@dataclass(frozen=True, slots=True, kw_only=True)
class RewriteSettings:
    """How a data set is written again in normal mode. Values are never changed.

    Odd lengths are padded, elements sorted, and of duplicate elements the first is kept, whatever
    is chosen here. Each default is what dcmrecv does.
    """

    transfer_syntax: str = ""
    """UID of an uncompressed or the deflated syntax to write in; empty: as received. Encapsulated
    data sets are always kept in their own."""
    group_lengths: Literal["recalculate", "add", "remove"] = "recalculate"
    """(gggg,0000): recalculate those that are present, give every group one, or drop them all."""
    sequence_lengths: Literal["explicit", "undefined"] = "undefined"
    """Of sequences and items."""
    padding: Literal["keep", "remove", "pad"] = "keep"
    """Data Set Trailing Padding (FFFC,FFFC); ``pad`` writes it anew, to the two sizes below."""
    pad_file: Annotated[int, Ge(0)] = 0
    """With ``pad``: the file's size becomes a multiple of this many bytes; 0 = no padding."""
    pad_items: Annotated[int, Ge(0)] = 0
    """With ``pad``: likewise the size of each sequence item."""
    new_vrs: bool = True
    """Write UN, UT and the value representations added since 1993 as themselves, not as OB."""
    compression_level: Annotated[int, Ge(0), Le(9)] = 6
    """zlib's level where the deflated syntax is written."""


DCMRECV_REWRITE = RewriteSettings()
"""What dcmrecv does in normal mode: undefined lengths, present group lengths recalculated."""

MOVESCU_REWRITE = RewriteSettings(sequence_lengths="explicit", padding="remove")
"""What movescu does without output options: explicit lengths, trailing padding removed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreSettings:
    """Where SOP instances go and how they are written. Defaults are the daemon's."""

    directory: str = ""
    """Folder of the objects, absolute in the daemon. Not used with ``mode: ignore``."""
    mode: Literal["normal", "bit-preserving", "ignore"] = "normal"
    """normal: checked, and rewritten only as ``rewrite`` asks; bit-preserving: the received bytes
    unlooked at; ignore: received and discarded."""
    rewrite: RewriteSettings | None = None
    """With ``mode: normal``. None: the data set's bytes as received."""
    meta_header: bool = True
    """Write preamble and file meta information; without them a file is a bare data set."""
    subdirectories: str = "none"
    """``none``, ``series-date`` or a template: ``{StudyInstanceUID}/{SeriesInstanceUID}``."""
    filenames: str = "default"
    """``default``, ``unique``, ``short-unique``, ``system-time`` or a template."""
    extension: str = ""
    """Appended literally to every file name; no dot is added."""
    duplicates: Literal["overwrite", "keep-first", "keep-both"] = "overwrite"
    """What happens when the final name exists. Generated names never overwrite. keep-first refuses
    other content under a name that is taken; identical content is answered with Success."""
    durability: Literal["object", "none"] = "object"
    """object: file and folder are synced before Success; none: left to the kernel."""
    file_mode: FileMode | None = 0o640
    """Permission bits of the files, whatever the umask; folders get the same with search. None:
    what the umask leaves of 0666 and 0777, as DCMTK's tools do."""
    min_free_space: Bytes = 1 << 30
    """Below this many free bytes objects are refused with A700H before they are read."""
    create_directory: bool = False
    """Create ``directory`` when it is missing (dcmrecv does while running). Off: a missing folder
    is likely an unmounted volume, and objects are refused with A700H."""
    abort_unparsable: bool = False
    """A data set that cannot be parsed: abort the association, as dcmrecv does, instead of
    answering C000H."""
