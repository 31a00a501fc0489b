"""The parameters of all families of generators as inputs of a node."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from inspect import Parameter, signature
from typing import Any, TypeVar

from satsynth.generation.families import FAMILIES, Family, FamilySettings, family_of
from satsynth.pipelines.graph import given

Function = TypeVar("Function", bound=Callable[..., Any])


def family_models() -> dict[str, type[FamilySettings]]:
    """Return the parameter model of each family by its name, which is that of its group of parameters."""
    return {name: family_of(name).settings for name in FAMILIES}


def family_inputs() -> dict[str, str]:
    """Return the inputs that a function marked by `takes_families` needs beside its own."""
    return given(*FAMILIES)


def takes_families(function: Function) -> Function:
    """Give a node one typed argument for each family in place of its ``**families``, so that Kedro validates each."""
    models = family_models()
    named = [p for p in signature(function).parameters.values() if p.kind is not Parameter.VAR_KEYWORD]
    added = [Parameter(name, Parameter.KEYWORD_ONLY, annotation=model) for name, model in models.items()]
    function.__annotations__ = {k: v for k, v in function.__annotations__.items() if k != "families"} | models
    # Where `inspect`, and so Kedro, looks for it.
    function.__dict__["__signature__"] = signature(function).replace(parameters=[*named, *added])
    return function


def chosen(family: str, families: Mapping[str, FamilySettings]) -> tuple[Family, FamilySettings]:
    """Return a family and its parameters."""
    return family_of(family), families[family]
