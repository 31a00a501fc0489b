from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from made_data import made_pairs, write_store
from satsynth.generation.saved import require_unseen
from satsynth.pairs.pair import Pair
from satsynth.work.errors import AncestryError


def test_a_generator_that_saw_a_scene_of_val_or_test_is_refused(tmp_path: Path) -> None:
    pairs = made_pairs(3)
    tiles = write_store(
        tmp_path,
        [
            Pair(f"{split} {i}", pair.image, pair.mask, split, f"scene {i}")
            for i, (split, pair) in enumerate(zip(("train", "val", "test"), pairs, strict=True))
        ],
    )

    def generator(*scenes: str) -> Any:
        return SimpleNamespace(scenes=set(scenes), path=tmp_path)

    require_unseen(generator("scene 0"), tiles)
    with pytest.raises(AncestryError, match=r"trained on 2 scene\(s\) that are now val or test"):
        require_unseen(generator("scene 0", "scene 1", "scene 2"), tiles)
