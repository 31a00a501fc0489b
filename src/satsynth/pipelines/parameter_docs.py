"""The reference of all parameters, written from their models."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from satsynth.pipelines.parameters import MODELS

Schema = Mapping[str, Any]
_BOUNDS = {
    "minimum": "≥ {}",
    "exclusiveMinimum": "> {}",
    "maximum": "≤ {}",
    "exclusiveMaximum": "< {}",
    "multipleOf": "a multiple of {}",
    "minLength": "at least {} character(s)",
    "minItems": "at least {} item(s)",
    "maxItems": "at most {} items",
}


@dataclass(frozen=True)
class Entry:
    """One parameter.

    Args:
        path: Its name below the model, with dots.
        kind: What values it takes.
        bounds: What they must keep to.
        default: Its default as JSON; empty where it must be given.
        text: What it means.
    """

    path: str
    kind: str
    bounds: str
    default: str
    text: str


def entries(name: str) -> list[Entry]:
    """Return the parameters of one of `MODELS`, nested ones too."""
    schema = MODELS[name].model_json_schema()
    return list(_walk(schema, schema.get("$defs", {}), ""))


def parameters_page(configured: Mapping[str, Any]) -> str:
    """Return the reference as Markdown, a table for each group of parameters.

    Args:
        configured: All parameters as `conf/base` gives them.
    """
    lines = [
        "# Parameters",
        "",
        "Written from the models that check them. All are set in `conf/base/parameters_*.yml`; an environment changes "
        "single ones in `conf/<environment>/parameters.yml`, a command by `--params=diffusion.images=60000`. A wrong "
        "name is refused.",
        "",
    ]
    # A description is long, and only of interest to people who write one.
    for name in sorted(MODELS, key=lambda name: name == "description"):
        model = MODELS[name]
        lines += [f"## {name}", "", (model.__doc__ or "").split("\n")[0], ""]
        # A description is each data set's own.
        base = {} if name == "description" else configured.get(name, {})
        lines += ["| parameter | values | default | in `conf/base` | meaning |", "|---|---|---|---|---|"]
        for entry in entries(name):
            values = entry.kind + (f", {entry.bounds}" if entry.bounds else "")
            default = f"`{entry.default}`" if entry.default else "must be given"
            cells = [f"`{entry.path}`", values, default, _configured(base, entry.path), entry.text]
            lines.append("| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |")
        lines.append("")
    return "\n".join(lines)


def _configured(base: Any, path: str) -> str:
    """Return the configured value as JSON; nothing where there is none, or where it is a group."""
    for part in path.split("."):
        if not isinstance(base, Mapping) or part not in base:
            return ""
        base = base[part]
    return "" if isinstance(base, Mapping) else f"`{json.dumps(base)}`"


def _walk(schema: Schema, known: Schema, prefix: str) -> Iterator[Entry]:
    required = schema.get("required", [])
    for name, field in schema.get("properties", {}).items():
        path = f"{prefix}{name}"
        models = list(_models(field, known))
        default = "" if name in required else json.dumps(field.get("default"))
        kind, bounds = _kind(field, known), ", ".join(_bounds(field))
        if "description" in field or not models:
            yield Entry(path, kind, bounds, default, field.get("description", ""))
        for suffix, model in models:
            yield from _walk(model, known, f"{path}{suffix}.")


def _models(field: Schema, known: Schema) -> Iterator[tuple[str, Schema]]:
    """Yield the models that a field holds, and what their parameters' names have after the field's own."""
    for option in [field, *field.get("anyOf", []), *field.get("oneOf", [])]:
        if "$ref" in option and "properties" in (model := _resolved(option, known)):
            kind = model["properties"].get("kind", {})
            named = kind.get("const") if len(field.get("oneOf", [])) > 1 else None
            yield (f" ({named})" if named else ""), model
        elif isinstance(option.get("additionalProperties"), Mapping):
            yield from ((f".<name>{suffix}", model) for suffix, model in _models(option["additionalProperties"], known))
        elif isinstance(option.get("items"), Mapping):
            yield from ((f"[]{suffix}", model) for suffix, model in _models(option["items"], known))


def _resolved(field: Schema, known: Schema) -> Schema:
    found: Schema = known[field["$ref"].rsplit("/", 1)[1]] if "$ref" in field else field
    return found


def _kind(field: Schema, known: Schema) -> str:
    """Return what values a field takes, in words."""
    field = _resolved(field, known)
    options = field.get("anyOf") or field.get("oneOf")
    if options:
        return " or ".join(dict.fromkeys(_kind(option, known) for option in options))
    if "enum" in field:
        return ", ".join(f"`{value}`" for value in field["enum"])
    if "const" in field:
        return f"`{field['const']}`"
    if "prefixItems" in field:
        return f"{len(field['prefixItems'])} values, each {_kind(field['prefixItems'][0], known)}"
    if field.get("type") == "array":
        return f"list of {_kind(field.get('items', {}), known)}"
    if field.get("type") == "object":
        return "parameters" if "properties" in field else "names and values"
    words = {"integer": "whole number", "number": "number", "string": "text", "boolean": "yes or no", "null": "none"}
    return words.get(field.get("type", ""), "any value")


def _bounds(field: Schema) -> Iterator[str]:
    for part in [field, *field.get("anyOf", [])]:
        yield from (text.format(part[name]) for name, text in _BOUNDS.items() if name in part)
    for items in [field.get("items"), *field.get("prefixItems", [])[:1]]:
        if isinstance(items, Mapping) and (bounds := ", ".join(_bounds(items))):
            yield f"each {bounds}"
