"""Names given to `kedro run`: pipelines, nodes, tags, data and runners that do not exist are refused at once."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping
from typing import Any

from satsynth.work.checking import did_you_mean
from satsynth.work.errors import SatSynthError


def check_selection(arguments: Mapping[str, Any]) -> None:
    """Refuse names that do not exist, and a selection that leaves no node.

    Args:
        arguments: The arguments of `kedro run` by their names there.

    Raises:
        SatSynthError: Something does not exist; the message names what does.
    """
    from kedro.framework.project import pipelines
    from kedro.pipeline import Pipeline

    _check_runner(arguments.get("runner"), arguments.get("runner_params") or {})
    given = [arguments["pipeline"]] if arguments.get("pipeline") else list(arguments.get("pipelines") or [])
    shown = [name for name in pipelines if name != "__default__"]
    for name in given:
        if name not in pipelines:
            _refuse("pipeline", name, shown, "Choose one of them with --pipeline=<name>.")
    chosen = sum((pipelines[name] for name in given or ["__default__"]), Pipeline([]))
    where = ", ".join(given) or "augment"
    nodes = [node.name for node in chosen.nodes]
    for option in ("node_names", "from_nodes", "to_nodes"):
        for name in arguments.get(option) or ():
            if name not in nodes:
                _refuse("node", name, nodes, f"These are the nodes of {where}; choose among them.")
    tags = sorted({tag for node in chosen.nodes for tag in node.tags})
    for name in arguments.get("tags") or ():
        if name not in tags:
            _refuse("tag", name, tags, f"These are the tags of {where}; choose among them.")
    data = sorted(name for name in chosen.datasets() if not name.startswith("params:"))
    for option in ("from_inputs", "to_outputs", "load_versions"):
        for name in arguments.get(option) or ():
            if name not in data:
                _refuse("catalog entry", name, data, f"These are the entries of {where}; choose among them.")
    options = ("tags", "from_nodes", "to_nodes", "node_names", "from_inputs", "to_outputs")
    try:
        chosen.filter(**{name: arguments.get(name) for name in options}, node_namespaces=arguments.get("namespaces"))
    except ValueError as error:
        raise SatSynthError(f"Nothing is left to run: {error}", "Leave one of these options out.") from None


def _check_runner(name: str | None, options: Mapping[str, Any]) -> None:
    if name is None:
        return
    from kedro import runner as runners
    from kedro.runner import AbstractRunner
    from kedro.utils import load_obj

    try:
        found = load_obj(name, "kedro.runner")
    except (ImportError, AttributeError, ValueError):
        found = None
    if not (isinstance(found, type) and issubclass(found, AbstractRunner)):
        known = [one for one in runners.__all__ if one.endswith("Runner") and one != "AbstractRunner"]
        _refuse("runner", name, known, "Choose one of them with --runner=<name>, or leave --runner out.")
    accepted = sorted(set(inspect.signature(found).parameters))
    for option in options:
        if option not in accepted:
            _refuse(f"parameter of {name}", option, accepted, "Correct --runner-params.")


def _refuse(what: str, name: str, known: Iterable[str], remedy: str) -> None:
    names = sorted(known)
    raise SatSynthError(
        f"There is no {what} '{name}'.{did_you_mean(name, names)} There are: {', '.join(names)}.", remedy
    )
