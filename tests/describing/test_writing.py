"""What is proposed is written such that a run reads back what was meant, whatever the names hold."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from omegaconf import OmegaConf

from described import described
from made_data import blobs, picture, save
from satsynth.datasets.places import has_control_characters
from satsynth.describing.proposal import Proposal
from satsynth.describing.proposed import ProposedClass, ProposedClasses
from satsynth.describing.text import _comment, _flow, _list, _value, description_text
from satsynth.describing.writing import checked, raw_of, refused

ODD = [
    "${oc.env:HOME}",
    "${",
    r"\${x}",
    r"\\${x}",
    r"(?P<name>\d+)\.tif$",
    "null",
    "yes",
    "1e3",
    "~",
    "#hash",
    "a: b",
    "- a",
    'it\'s "so"',
    "two  blanks   three",
    "tab\tnew\nline\r\x85\u2028",
    "\x1b[31m",
    "{group}, [x]",
    "%TAG",
    "*alias &anchor !tag",
    "",
    " ",
    "naïve Straße",
    "\ufeffmark",
    "???",
]


def read(text: str) -> Any:
    return OmegaConf.to_container(OmegaConf.create(text), resolve=True)


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=40))
@example("$${a}")
def test_every_text_is_read_back(text: str) -> None:
    assert read(f"value: {_value(text)}\n") == {"value": text}


@pytest.mark.parametrize("text", ODD)
def test_odd_texts_are_read_back(text: str) -> None:
    assert read(f"value: {_value(text)}\n") == {"value": text}
    assert read(f"value: {_flow({'inner': [text, {'deep': text}]})}\n") == {"value": {"inner": [text, {"deep": text}]}}


@given(st.lists(st.sampled_from(ODD) | st.integers(0, 255), max_size=60))
def test_lists_are_read_back_however_long(values: list[str | int]) -> None:
    assert read(f"outer:\n  value: {_list(values, '    ')}\n") == {"outer": {"value": values}}


@given(st.text(max_size=300))
def test_comments_stay_comments(text: str) -> None:
    lines = _comment(f"- {text}", "# ", "#   ")
    assert read("\n".join([*lines, "value: 1"])) == {"value": 1}


def test_a_whole_description_of_odd_names_is_read_back(tmp_path: Path) -> None:
    # Descriptions may hold no control characters, as names of classes could not be printed.
    names = [text for text in ODD if text and not has_control_characters(text)]
    classes = [ProposedClass(name, number, "#000000", f"seen {name}") for number, name in enumerate(names)]
    layout = {
        "kind": "files",
        "pattern": r"\$\{x\}/(?P<name>[^/]+)\.tif$",
        "mask": "$HOME/it's # {name}.png",
        "scene": "{name}",
        "group": "{name}",
    }
    splits = {"val": names, "test": ["b ${y}"]}
    proposal = Proposal(
        2, layout, {}, {"encoding": "index"}, ProposedClasses(classes), splits, "why\x00", ["note\nof\x07it"]
    )
    raw = raw_of(tmp_path / "${HOME} #1", tmp_path)
    description = checked("odd", description_text("odd", raw, proposal))
    assert description.raw == raw == "${HOME} #1"
    assert [one.name for one in description.classes] == names
    assert description.splits.val == tuple(names) and description.splits.test == ("b ${y}",)
    assert description.layout.mask == layout["mask"] and description.layout.pattern == layout["pattern"]


def test_what_ingestion_will_refuse_is_known_when_a_folder_is_described(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for number in range(6):
        save(tmp_path / "images" / f"s{number}.png", picture(rng, 24, 24))
        save(tmp_path / "masks" / f"s{number}.png", blobs(rng, 23 if number == 4 else 24, 24))
    description, _ = described(tmp_path)
    assert [file.file for file in refused(description, tmp_path)] == ["images/s4.png"]
