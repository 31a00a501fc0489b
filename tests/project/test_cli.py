from __future__ import annotations

from typing import Any

import click
import pytest
from kedro.framework.cli.utils import _split_params

from satsynth.cli import run

OPTION = next(option for option in run.params if option.name == "params")
CONTEXT = click.Context(run)


def read(text: str) -> Any:
    assert OPTION.callback is not None
    return OPTION.callback(CONTEXT, OPTION, text)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("segmentation.seeds=[0,1,2],dataset=dubai", {"segmentation": {"seeds": [0, 1, 2]}, "dataset": "dubai"}),
        ("a.b=[null,0.5], a.c = x", {"a": {"b": [None, 0.5], "c": "x"}}),
        ("keep={classes: [a, b], share: 0.1}", {"keep": {"classes": ["a", "b"], "share": 0.1}}),
    ],
)
def test_lists_are_parameters_too(text: str, wanted: Any) -> None:
    assert read(text) == wanted


@pytest.mark.parametrize("text", ["", "a=1", "a.b=true,c=x=y, d = text", "raw=/some/where,a=null", "a=1,,b=2"])
def test_without_lists_all_is_as_in_kedro(text: str) -> None:
    assert read(text) == _split_params(CONTEXT, OPTION, text)


@pytest.mark.parametrize("text", ["dataset", "=3", "a=1,b"])
def test_what_is_no_parameter_is_refused(text: str) -> None:
    with pytest.raises(click.UsageError, match="key and a value"):
        read(text)
