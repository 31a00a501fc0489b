"""Checking parameters by their models, with problems in words."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ValidationError

from satsynth.work.errors import SatSynthError, listing

Model = TypeVar("Model", bound=BaseModel)


def checked(name: str, model: type[Model], values: Mapping[str, Any] | None) -> Model:
    """Return a group of parameters.

    Args:
        name: Its name, such as `sampling`.
        model: Its model.
        values: Those that differ from the defaults, by name.

    Raises:
        SatSynthError: There is no such parameter, or a value is not valid.
    """
    try:
        return model.model_validate(dict(values) if isinstance(values, Mapping) else {} if values is None else values)
    except ValidationError as error:
        problems = problems_in(name, model, error)
    raise SatSynthError(
        f"Parameters are not valid:\n{listing(problems)}",
        "Correct them. The page *Parameters* of the documentation lists all parameters with their bounds.",
    )


def problems_in(name: str, model: type[BaseModel], error: ValidationError) -> list[str]:
    """Return what is wrong with a group of parameters, a line each, naming them as `a.b.c`.

    Args:
        name: Name of the group.
        model: Its model.
        error: What the model says.
    """
    found = []
    for problem in error.errors(include_url=False):
        where = [str(part) for part in problem["loc"]]
        if problem["type"] == "extra_forbidden":
            text = f"there is no such parameter.{did_you_mean(where[-1], _fields(model, where[:-1]))}"
        else:
            text = f"{problem['msg'].removeprefix('Value error, ')}; found {problem['input']!r}"[:500]
        found.append(f"`{'.'.join([name, *where])}`: {text}")
    return found


def did_you_mean(name: str, known: Sequence[str]) -> str:
    """Return a sentence that names the nearest known name, or nothing."""
    close = difflib.get_close_matches(name, known, 1)
    return f" Did you mean '{close[0]}'?" if close else ""


def _fields(model: Any, path: Sequence[str]) -> list[str]:
    """Return the fields of the model at a path, as far as it can be followed."""
    for part in path:
        if not (isinstance(model, type) and issubclass(model, BaseModel)):
            return []
        if part not in model.model_fields:
            continue
        annotation = model.model_fields[part].annotation
        inner = [kind for kind in get_args(annotation) if isinstance(kind, type) and issubclass(kind, BaseModel)]
        model = inner[0] if inner else annotation
    return sorted(model.model_fields) if isinstance(model, type) and issubclass(model, BaseModel) else []
