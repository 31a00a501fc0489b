"""Every number of every parameter model is finite and bounded, whoever adds the next one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from pydantic import Field, ValidationError

from satsynth.pipelines.parameters import MODELS, problems_of
from satsynth.segmentation.settings import SegmentationNetwork
from satsynth.work.frozen import Frozen

NUMBERS = ("integer", "number")


def subclasses(model: type[Frozen]) -> Iterator[type[Frozen]]:
    for below in model.__subclasses__():
        if below.__module__.startswith("satsynth."):
            yield below
        yield from subclasses(below)


ALL = sorted(set(subclasses(Frozen)), key=lambda model: model.__qualname__)


def numbers_in(schema: Mapping[str, Any], place: str = "") -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield place and schema of each number of a field, in lists and unions too; models are walked by themselves."""
    if schema.get("type") in NUMBERS:
        yield place, schema
    for key in ("anyOf", "oneOf", "prefixItems"):
        for number, part in enumerate(schema.get(key, [])):
            yield from numbers_in(part, f"{place}/{key}/{number}")
    for key in ("items", "additionalProperties"):
        if isinstance(schema.get(key), Mapping):
            yield from numbers_in(schema[key], f"{place}/{key}")


def fields_with_numbers() -> list[tuple[type[Frozen], str, str, Mapping[str, Any]]]:
    return [
        (model, name, place, schema)
        for model in ALL
        for name, field in model.model_json_schema().get("properties", {}).items()
        for place, schema in numbers_in(field)
    ]


def value_at(place: str, value: Any) -> Any:
    """Return a value for a field such that a number is at a place of its schema."""
    for part in reversed(place.strip("/").split("/")):
        if part == "items":
            value = [value] * 2
        elif part == "prefixItems":
            value = [value] * 3
        elif part == "additionalProperties":
            value = {"name": value}
    return value


def refused(model: type[Frozen], name: str, value: Any) -> bool:
    try:
        model.model_validate({name: value})
    except ValidationError as error:
        return any(problem["loc"][0] == name for problem in error.errors())
    return False


FIELDS = fields_with_numbers()
IDS = [f"{model.__qualname__}.{name}{place}" for model, name, place, _ in FIELDS]


def test_all_models_are_looked_at() -> None:
    assert set(MODELS.values()) <= set(ALL)
    assert len(FIELDS) > 50


def test_no_field_takes_anything_unless_its_numbers_are_checked() -> None:
    unclear = {
        f"{model.__qualname__}.{name}"
        for model in ALL
        for name, field in model.model_json_schema().get("properties", {}).items()
        if field.get("additionalProperties") is True
        or not field.keys() & {"type", "anyOf", "oneOf", "$ref", "const", "enum"}
    }
    assert unclear == {"SegmentationNetwork.options"}


@pytest.mark.parametrize(("model", "name", "place", "schema"), FIELDS, ids=IDS)
def test_a_number_has_a_lower_and_an_upper_bound(
    model: type[Frozen], name: str, place: str, schema: Mapping[str, Any]
) -> None:
    lower = [schema[key] for key in ("minimum", "exclusiveMinimum", "const", "enum") if key in schema]
    upper = [schema[key] for key in ("maximum", "exclusiveMaximum", "const", "enum") if key in schema]
    assert lower and upper, f"{model.__qualname__}.{name} has no bounds; give its Field `ge` or `gt`, and `le` or `lt`"
    if "enum" in schema or "const" in schema:
        return
    for value in (lower[0] - 1, upper[0] + 1, -(10**30), 10**30, float("nan"), float("inf"), float("-inf"), "nan"):
        assert refused(model, name, value_at(place, value)), value


def test_seeds_fit_all_generators_of_random_numbers() -> None:
    seeds = [(model, name, place) for model, name, place, _ in FIELDS if name in ("seed", "seeds")]
    assert len(seeds) >= 4
    for model, name, place in seeds:
        assert refused(model, name, value_at(place, -1)) and refused(model, name, value_at(place, 2**32))


class Loose(Frozen):
    images: int = Field(default=1, ge=1)
    share: float = Field(default=0.5)


def test_the_walk_finds_what_is_missing() -> None:
    found = {
        name: schema
        for name, field in Loose.model_json_schema()["properties"].items()
        for _, schema in numbers_in(field)
    }
    assert "maximum" not in found["images"] and "minimum" not in found["share"]
    assert refused(Loose, "share", float("inf")), "the base class itself refuses infinity"


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 10**12, [1, -float("inf")], {"deep": [float("nan")]}])
def test_arguments_of_architectures_are_finite_too(value: Any) -> None:
    with pytest.raises(ValidationError, match="must be finite"):
        SegmentationNetwork(architecture="fpn", encoder="resnet18", options={"decoder_dropout": value})


@pytest.mark.parametrize(
    ("group", "values", "place"),
    [
        ("diffusion", {"drawing": {"sigma_max": float("inf")}}, "diffusion.drawing.sigma_max"),
        ("diffusion", {"model": {"network": {"widths": [-32, 64]}}}, "diffusion.model.network.widths.0"),
        ("diffusion", {"batch_size": 10**8}, "diffusion.batch_size"),
        ("segmentation", {"ratios": [0, float("nan")]}, "segmentation.ratios.1"),
        ("segmentation", {"seeds": [-1]}, "segmentation.seeds.0"),
        ("sampling", {"seed": -1}, "sampling.seed"),
    ],
)
def test_what_once_ended_in_a_traceback_or_in_noise_is_named(group: str, values: dict[str, Any], place: str) -> None:
    assert [problem for problem in problems_of({group: values}) if problem.startswith(f"`{place}`: ")]
