"""A proposal as a commented YAML file."""

from __future__ import annotations

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
        f"  {name}:",
        f"    name: {name}",
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
        lines.append(f"      - {_flow(fields)}{f'  # {one.seen}' if one.seen else ''}")
    return lines


def _ignore(proposal: Proposal) -> list[str]:
    classes = proposal.classes
    if not classes.ignore:
        return []
    return [*_comment(classes.ignore_comment, "    # ", "    # "), f"    ignore: {_list(classes.ignore, '      ')}"]


def _comment(text: str, first: str, further: str) -> list[str]:
    return textwrap.wrap(text, WIDTH, initial_indent=first, subsequent_indent=further, break_long_words=False)


def _flow(fields: dict[str, Any]) -> str:
    return "{" + ", ".join(f"{key}: {_value(value)}" for key, value in fields.items()) + "}"


def _list(values: Sequence[Any], indent: str) -> str:
    """Return a list in brackets, wrapped if it is long."""
    text = ", ".join(_value(value) for value in values)
    if len(text) <= WIDTH - 20:
        return f"[{text}]"
    lines = textwrap.wrap(
        text, WIDTH, initial_indent=indent, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
    )
    return "\n".join(["[", *lines, f"{indent[:-2]}]"])


def _value(value: Any) -> str:
    """Return a value as YAML on one line, with quotes if it is text that needs them."""
    if isinstance(value, list):
        return _list(value, "")
    if isinstance(value, dict):
        return _flow(value)
    if not isinstance(value, str):
        return str(value)
    plain = value.replace("_", "").replace("/", "").isalnum() and not value[0].isdigit()
    if plain and isinstance(yaml.safe_load(value), str):
        return value
    # In single quotes, backslashes of patterns need no escaping.
    return yaml.safe_dump(value, default_style="'", width=1 << 20, allow_unicode=True).strip()
