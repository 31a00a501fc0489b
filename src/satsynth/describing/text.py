"""A proposal as a commented YAML file."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Sequence
from typing import Any

import yaml

from satsynth.describing.proposal import Proposal

WIDTH = 140


def description_text(name: str, raw: str, proposal: Proposal) -> str:
    """Return the text of `parameters_dataset_<name>.yml`.

    Args:
        name: Name of the data set.
        raw: Raw folder, as written in the description.
        proposal: The proposal.
    """
    notes = [line for note in proposal.notes for line in _comment(f"- {note}", "# ", "#   ")]
    head = [
        f"# Proposed from {proposal.scenes} scenes. Please check it. Not certain:",
        *(notes or ["# nothing."]),
    ]
    body = [
        "datasets:",
        f"  {_value(name)}:",
        f"    name: {_value(name)}",
        f"    title: {_value(name)}",
        "    # Who owns these data, and what may be done with them.",
        "    licence: unknown",
        f"    obtain: {_value(f'They were at {raw} when they were described.')}",
        f"    raw: {_value(raw)}",
        "    layout:",
        *(f"      {key}: {_value(value)}" for key, value in proposal.layout.items()),
        *([f"    images: {_flow(proposal.images)}"] if proposal.images else []),
        f"    masks: {_flow(proposal.masks)}",
        "    classes:",
        *_classes(proposal),
        *_ignore(proposal),
        "    # Values below 1 scale images and masks down: less detail, but more ground per tile.",
        "    scale: 1.0",
        *_comment(f"{proposal.why_splits} All other groups are for training.", "    # ", "    # "),
        "    splits:",
        *(
            f"      {key}: {_flow(value) if isinstance(value, dict) else _list(value, '        ')}"
            for key, value in proposal.splits.items()
        ),
    ]
    return "\n".join([*head, *body]) + "\n"


def _classes(proposal: Proposal) -> list[str]:
    lines = []
    for one in proposal.classes.classes:
        fields = {"name": one.name, "raw": one.raw, "color": one.color}
        lines.append(f"      - {_flow(fields)}{f'  # {_printable(one.seen)}' if one.seen else ''}")
    return lines


def _ignore(proposal: Proposal) -> list[str]:
    classes = proposal.classes
    if not classes.ignore:
        return []
    return [*_comment(classes.ignore_comment, "    # ", "    # "), f"    ignore: {_list(classes.ignore, '      ')}"]


def _comment(text: str, first: str, further: str) -> list[str]:
    return textwrap.wrap(
        _printable(text), WIDTH, initial_indent=first, subsequent_indent=further, break_long_words=False
    )


def _flow(fields: dict[str, Any]) -> str:
    return "{" + ", ".join(f"{key}: {_value(value)}" for key, value in fields.items()) + "}"


def _list(values: Sequence[Any], indent: str) -> str:
    """Return a list in brackets, on several lines if it is long."""
    items = [_value(value) for value in values]
    if len(", ".join(items)) <= WIDTH - 20:
        return f"[{', '.join(items)}]"
    # Between values only: a break inside one would change its blanks.
    lines = [""]
    for item in items:
        if lines[-1] and len(indent) + len(lines[-1]) + len(item) > WIDTH:
            lines.append("")
        lines[-1] += f"{' ' if lines[-1] else ''}{item},"
    return "\n".join(["[", *(f"{indent}{line}" for line in lines), f"{indent[:-2]}]"])


def _value(value: Any) -> str:
    """Return a value as YAML on one line, with quotes if it is text that needs them, and without interpolations."""
    if isinstance(value, list):
        return f"[{', '.join(map(_value, value))}]"
    if isinstance(value, dict):
        return _flow(value)
    if not isinstance(value, str):
        return str(value)
    plain = value.replace("_", "").replace("/", "").isalnum() and not value[0].isdigit()
    if plain and isinstance(yaml.safe_load(value), str):
        return value
    # OmegaConf would resolve it; backslashes count as escapes only before it.
    value = re.sub(r"(\\*)\$\{", lambda found: f"{found[1] * 2}\\${{", value)
    # In single quotes backslashes of patterns need no escaping, but only double quotes hold control characters.
    style = "'" if value.isprintable() else '"'
    return yaml.safe_dump(value, default_style=style, width=1 << 20, allow_unicode=True).strip()


def _printable(text: str) -> str:
    """Return text for a comment: control characters, which YAML refuses, as question marks; line breaks as blanks."""
    return "".join(
        letter if letter.isprintable() else " " if letter.isspace() else "\N{REPLACEMENT CHARACTER}" for letter in text
    )
