"""NamedUid: one row of the tables of UIDs."""

from typing import Literal, NamedTuple


class NamedUid(NamedTuple):
    """A UID with DCMTK's symbolic name and the keyword of PS3.6 A-1 ("" = the same as the name).

    ``dcmtk`` says which DCMTK knows the name: ``all``, ``old`` (3.6.7, renamed later), ``new``
    (after 3.6.7) or ``none`` (the name is the keyword).
    """

    uid: str
    name: str
    keyword: str = ""
    dcmtk: Literal["all", "old", "new", "none"] = "all"
