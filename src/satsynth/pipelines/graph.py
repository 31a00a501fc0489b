"""How nodes and entries of pipelines hang together."""

from __future__ import annotations

from collections.abc import Mapping
from graphlib import TopologicalSorter

from kedro.pipeline.node import Node


def data(*names: str) -> dict[str, str]:
    """Return entries as inputs of a node, by arguments of the same names."""
    return {name: name for name in names}


def given(*names: str) -> dict[str, str]:
    """Return groups of parameters as inputs of a node, by arguments of the same names."""
    return {name: f"params:{name}" for name in names}


def data_inputs(node: Node) -> list[str]:
    """Return the entries that a node reads, without parameters."""
    return [name for name in node.inputs if name != "parameters" and not name.startswith("params:")]


def step_name(node: Node) -> str:
    """Return the name of a node without that of its pipeline."""
    return node.name.rsplit(".", 1)[-1]


def in_order(makers: Mapping[str, Node]) -> list[str]:
    """Return entries in an order in which each comes after those that it is made from."""
    waiting = {name: [parent for parent in data_inputs(node) if parent in makers] for name, node in makers.items()}
    return list(TopologicalSorter(waiting).static_order())
