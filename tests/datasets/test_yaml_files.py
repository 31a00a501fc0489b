from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from satsynth.datasets import yaml_files
from satsynth.datasets.yaml_files import require_small
from satsynth.work.errors import DataError

LAUGHS = "a0: &a0 [lol, lol]\n" + "".join(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 12))
BOMBS = {
    "billion laughs": LAUGHS,
    "laughs in keys": "a0: &a0 {x: y}\n"
    + "".join(f"a{i}: &a{i} {{p: *a{i - 1}, q: *a{i - 1}, r: *a{i - 1}}}\n" for i in range(1, 20)),
    "merged": "a0: &a0 {x: y}\n"
    + "".join(f"a{i}: &a{i} {{<<: [*a{i - 1}, *a{i - 1}, *a{i - 1}]}}\n" for i in range(1, 20)),
    "itself": "a: &a [*a]\n",
    "deep": "a: " + "[" * 5000 + "]" * 5000,
    "deep and open": "a: " + "{a: " * 5000,
    "long text": "a: &a [" + "x" * 1000 + "]\n" + "b: [" + ", ".join(["*a"] * 60_000) + "]\n",
    "large": "a: " + "x" * (1 << 20),
}


@pytest.mark.parametrize("bomb", BOMBS)
def test_bombs_are_refused_before_anything_is_built(tmp_path: Path, bomb: str) -> None:
    path = tmp_path / "parameters_dataset_bomb.yml"
    path.write_text(BOMBS[bomb])
    with pytest.raises(DataError, match=r"parameters_dataset_bomb\.yml is not read"):
        require_small(path)


def test_every_shipped_file_and_broken_ones_pass(project: Path, tmp_path: Path) -> None:
    for path in (project / "conf").rglob("*.yml"):
        require_small(path)
    (tmp_path / "broken.yml").write_text("a: [\nb: }")
    require_small(tmp_path / "broken.yml")


VALUES = st.recursive(st.integers(), lambda inner: st.lists(inner, max_size=4), max_leaves=12)


@given(st.lists(VALUES, max_size=3), st.integers(1, 4))
def test_values_are_counted_as_they_will_be_built(values: list[object], times: int) -> None:
    shared = {"top": [values] * times, "again": values}

    def count(value: object) -> int:
        inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
        return 1 + sum(map(count, inner)) + (len(value) if isinstance(value, dict) else 0)

    text = yaml.safe_dump(shared).encode()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(yaml_files, "MAX_VALUES", count(shared))
        assert not yaml_files._excess(text)
        patch.setattr(yaml_files, "MAX_VALUES", count(shared) - 1)
        assert yaml_files._excess(text)
