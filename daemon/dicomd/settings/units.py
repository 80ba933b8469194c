"""Units of settings: durations, sizes and file modes as people write them.

Each alias is the plain Python type with a marker. The marker tells pydantic, when ``config`` asks
it, how to read the text form; nothing here imports pydantic unless it is already asking.
"""

import re
from dataclasses import dataclass
from typing import Annotated, Any

_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)?")
_DURATION_S = {None: 1.0, "ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_SIZE = re.compile(r"(\d+)\s*(B|KiB|MiB|GiB|TiB|kB|KB|MB|GB|TB)?")
_SIZE_BYTES = {
    None: 1,
    "B": 1,
    "KiB": 1 << 10,
    "MiB": 1 << 20,
    "GiB": 1 << 30,
    "TiB": 1 << 40,
    "kB": 10**3,
    "KB": 10**3,
    "MB": 10**6,
    "GB": 10**9,
    "TB": 10**12,
}
_MODE = re.compile(r"0?o?[0-7]{3,4}")


def parse_duration(value: object) -> float:
    """``30``, ``30s``, ``5m``, ``2h``, ``1d`` or ``250ms`` to seconds. ValueError otherwise."""
    if isinstance(value, bool):
        raise ValueError("not a duration; write seconds or a number with s, m, h or d")  # noqa: TRY004 - pydantic reports ValueError only
    if isinstance(value, (int, float)) and value >= 0:
        return float(value)
    match = _DURATION.fullmatch(str(value).strip())
    if match is None:
        raise ValueError(
            "not a duration; write seconds or a number with s, m, h or d (30, 30s, 5m)"
        )
    return float(match[1]) * _DURATION_S[match[2]]


def parse_size(value: object) -> int:
    """``512``, ``64KiB``, ``2GiB`` or ``10MB`` to bytes. ValueError otherwise."""
    if isinstance(value, bool):
        raise ValueError("not a size; write bytes or a number with KiB, MiB or GiB")  # noqa: TRY004 - pydantic reports ValueError only
    if isinstance(value, int) and value >= 0:
        return value
    match = _SIZE.fullmatch(str(value).strip())
    if match is None:
        raise ValueError("not a size; write bytes or a number with KiB, MiB or GiB (512, 64KiB)")
    return int(match[1]) * _SIZE_BYTES[match[2]]


def parse_mode(value: object) -> int:
    """``"0640"`` to a file mode. ValueError otherwise; a bare number is refused as ambiguous."""
    if not isinstance(value, str) or _MODE.fullmatch(value) is None:
        raise ValueError('not a file mode; write it quoted and in octal, as in "0640"')
    return int(value.replace("o", ""), 8)


@dataclass(frozen=True, slots=True)
class Unit:
    """Marks a setting that has a text form. ``parse`` is one of this module's functions."""

    name: str

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> Any:
        """Read the text form first (called by pydantic, from ``config`` only)."""
        from pydantic_core import core_schema

        parse = {"duration": parse_duration, "size": parse_size, "mode": parse_mode}[self.name]
        inner = handler(source)
        return core_schema.no_info_before_validator_function(
            parse,
            inner,
            json_schema_input_schema=core_schema.union_schema(
                [
                    core_schema.str_schema(),
                    core_schema.float_schema()
                    if self.name == "duration"
                    else core_schema.int_schema(),
                ]
            ),
        )


Seconds = Annotated[float, Unit("duration")]
"""Seconds on the monotonic clock; in files ``30``, ``30s``, ``5m``, ``2h``."""

Bytes = Annotated[int, Unit("size")]
"""Bytes; in files ``512``, ``64KiB``, ``2GiB``."""

FileMode = Annotated[int, Unit("mode")]
"""Permission bits; in files quoted octal, ``"0640"``."""
