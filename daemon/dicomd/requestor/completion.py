"""Promised x present: is it complete, and if not, what is to be asked for.

The only judge of a retrieval. What an archive says of its own sending is not heard here.
"""

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass

from dicomd.requestor.find_scu import INSTANCE_UID, PATIENT_ID, SERIES_UID, STUDY_UID

_UIDS_IN_ONE_REQUEST = 50
"""Instances named in one C-MOVE; some archives keep such lists in small buffers."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of the promise."""

    promised: int
    present: int
    missing: tuple[str, ...]

    @property
    def is_complete(self) -> bool:
        """Something was promised, and all of it is here."""
        return self.promised > 0 and not self.missing


def judge(promised: Mapping[str, str], present: Set[str]) -> Verdict:
    """Hold what was promised (instance -> series) against what is on disk."""
    missing = tuple(uid for uid in promised if uid not in present)
    return Verdict(len(promised), len(promised) - len(missing), missing)


@dataclass(frozen=True, slots=True)
class Portion:
    """One C-MOVE: a level, its unique keys, and the instances that it should bring."""

    level: str
    keys: Mapping[int, str]
    brings: int


def portions(
    level: str,
    keys: Mapping[int, str],
    promised: Mapping[str, str],
    missing: Sequence[str],
    *,
    one_by_one: bool = False,
) -> list[Portion]:
    """The fewest requests that name what is missing and nothing else.

    All of it: as it was asked for. A whole series: that series. Single instances: lists of them,
    or one by one for archives that take no lists.
    """
    if len(missing) == len(promised):
        return [Portion(level, keys, len(missing))]
    upper = {tag: keys[tag] for tag in (PATIENT_ID, STUDY_UID) if keys.get(tag)}
    if STUDY_UID not in upper or "\\" in upper[STUDY_UID]:
        # Under a patient the study of an instance is not known here: ask again as before.
        return [Portion(level, keys, len(missing))]
    in_series: dict[str, list[str]] = {}
    for uid in missing:
        in_series.setdefault(promised[uid], []).append(uid)
    sizes: dict[str, int] = {}
    for series in promised.values():
        sizes[series] = sizes.get(series, 0) + 1
    found: list[Portion] = []
    for series, uids in in_series.items():
        series_keys = {**upper, SERIES_UID: series}
        if len(uids) == sizes[series]:
            found.append(Portion("SERIES", series_keys, len(uids)))
            continue
        step = 1 if one_by_one else _UIDS_IN_ONE_REQUEST
        for at in range(0, len(uids), step):
            part = uids[at : at + step]
            found.append(
                Portion("IMAGE", {**series_keys, INSTANCE_UID: "\\".join(part)}, len(part))
            )
    return found
