"""The JSON Schema of dicomd.yaml, for editors, and the settings in force as YAML.

Both are made from the settings types, so they can't fall behind them: names, choices, bounds and
defaults from the fields, descriptions from the text that stands under each field.
"""

import ast
import inspect
import itertools
import textwrap
from dataclasses import fields, is_dataclass
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import yaml
from pydantic import TypeAdapter

from dicomd.config.build import INTERNAL, dataclass_in, item_type, key_of, public_fields
from dicomd.settings.daemon import DaemonSettings

MASK = "********"
_DIALECT = "https://json-schema.org/draft/2020-12/schema"
_INCLUDE = {
    "description": "More files: a file, a folder of *.yaml files, a pattern, or a list of these.",
    "anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}],
}


def json_schema() -> dict[str, Any]:
    """The schema, in the 2020-12 dialect. Unknown keys are not allowed by it."""
    schema = TypeAdapter(DaemonSettings).json_schema(mode="validation")
    definitions: dict[str, Any] = schema.pop("$defs", {})
    reached = {"DaemonSettings": DaemonSettings, **_types_below(DaemonSettings)}
    definitions["DaemonSettings"] = schema
    kept = {}
    for name, settings_type in reached.items():
        definition = definitions[name]
        _tidy(definition, settings_type)
        if name != "DaemonSettings":
            kept[name] = definition
    schema["properties"]["include"] = _INCLUDE
    return {"$schema": _DIALECT, **schema, "$defs": dict(sorted(kept.items()))}


def effective_yaml(settings: DaemonSettings) -> str:
    """The settings in force, defaults included, as the file would have them; secrets masked."""
    return str(yaml.safe_dump(_plain(settings), sort_keys=False, width=100))


def _types_below(settings_type: type) -> dict[str, type]:
    """Every settings type that a file can reach, by name."""
    found: dict[str, type] = {}
    for hint in public_fields(settings_type).values():
        inner = dataclass_in(hint)
        if inner is None:
            inner = dataclass_in(item_type(hint))
        if inner is not None and inner.__name__ not in found:
            found |= {inner.__name__: inner, **_types_below(inner)}
    return found


def _tidy(definition: dict[str, Any], settings_type: type) -> None:
    texts = _texts(settings_type)
    properties = definition.get("properties", {})
    tidied = {}
    for name, value in properties.items():
        if (settings_type.__name__, name) in INTERNAL:
            continue
        value.pop("title", None)
        if name in texts:
            value["description"] = texts[name]
        tidied[key_of(name)] = value
    definition["properties"] = tidied
    definition["additionalProperties"] = False
    definition.pop("title", None)
    definition["description"] = inspect.cleandoc(settings_type.__doc__ or "")


def _texts(settings_type: type) -> dict[str, str]:
    """The text under each field, which Python itself does not keep."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(settings_type)))
    body = tree.body[0].body if isinstance(tree.body[0], ast.ClassDef) else []
    texts: dict[str, str] = {}
    for statement, following in itertools.pairwise(body):
        if (
            isinstance(statement, ast.AnnAssign)
            and isinstance(statement.target, ast.Name)
            and isinstance(following, ast.Expr)
            and isinstance(following.value, ast.Constant)
        ):
            texts[statement.target.id] = inspect.cleandoc(str(following.value.value))
    return texts


def _plain(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        kind = type(value)
        return {
            key_of(one.name): _shown(kind.__name__, one.name, getattr(value, one.name))
            for one in fields(value)
            if (kind.__name__, one.name) not in INTERNAL
        }
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(inner) for inner in value]
    return value


def _shown(settings_type: str, name: str, value: Any) -> Any:
    if (settings_type, name) == ("StoreSettings", "file_mode") and value is not None:
        return f"{value:04o}"
    if (settings_type, name) == ("JobsSettings", "database"):
        return _without_password(str(value))
    return _plain(value)


def _without_password(url: str) -> str:
    parts = urlsplit(url)
    query = MASK if "password" in parts.query else parts.query
    place = parts.netloc
    if parts.password:
        place = f"{parts.username}:{MASK}@{place.rpartition('@')[2]}"
    return urlunsplit(parts._replace(netloc=place, query=query))
