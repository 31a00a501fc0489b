"""Scenes of different splits that show the same, whatever became of the file."""

from __future__ import annotations

import io
import logging
import shutil
import threading
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from made_data import make_data, write_store
from satsynth.pairs.pair import Pair
from satsynth.pairs.repeats import RESULT_VERSION, cell_means, in_words, repeated_scenes
from satsynth.pairs.settings import TilingSettings
from satsynth.pairs.store import HELD_OUT_IMAGES, PairStore
from satsynth.pipelines.tiling.nodes import cut_tiles
from satsynth.scenes.scene import scenes_to_frame
from satsynth.training.settings import ComputeSettings
from satsynth.work.folder import Step, WorkFolder, work_folder
from satsynth.work.locks import PATIENCE
from satsynth.work.remembered import TABLE_VERSION
from satsynth.work.workspace import Workspace

SIDE = 32


def landscape(seed: int) -> np.ndarray:
    """Return a tile ``(32, 32, 3)`` of large shapes with some grain."""
    random = np.random.default_rng(seed)
    coarse = np.kron(random.uniform(40, 210, (4, 4, 1)), np.ones((8, 8, 3))) + random.uniform(-20, 20, 3)
    return np.clip(coarse + random.normal(0, 8, (SIDE, SIDE, 1)), 0, 255).astype(np.uint8)


def saved_anew(image: np.ndarray, quality: int = 80) -> np.ndarray:
    """Return an image as a JPEG of it is read."""
    file = io.BytesIO()
    Image.fromarray(image).save(file, "JPEG", quality=quality)
    return np.array(Image.open(file))


def store_of(root: Path, scenes: dict[tuple[str, str], list[np.ndarray]], **extra: object) -> PairStore:
    """Return a store of scenes by (split, name), each a list of tiles in a row."""
    pairs = [
        Pair(f"{split}-{name}-{i}", image, np.zeros((SIDE, SIDE), np.uint8), split, name, 0, i * SIDE)
        for (split, name), images in scenes.items()
        for i, image in enumerate(images)
    ]
    return write_store(root, pairs, SIDE, extra=extra)


def scenes() -> dict[tuple[str, str], list[np.ndarray]]:
    """Return scenes of all splits, none like another."""
    names = [("train", "a"), ("train", "b"), ("val", "v"), ("test", "t"), ("unlabelled", "u")]
    return {name: [landscape(10 * k + i) for i in range(3)] for k, name in enumerate(names)}


def test_scenes_of_their_own_are_not_taken_for_one_another(tmp_path: Path) -> None:
    found = repeated_scenes(store_of(tmp_path, scenes()))
    assert found.empty and not in_words(found)


@pytest.mark.parametrize(
    ("place", "held_out"),
    [(("unlabelled", "u"), ("test", "t")), (("train", "b"), ("val", "v")), (("val", "v"), ("test", "t"))],
)
def test_an_image_saved_anew_is_found_in_another_split(
    tmp_path: Path, place: tuple[str, str], held_out: tuple[str, str]
) -> None:
    made = scenes()
    made[place] = [saved_anew(image) for image in made[held_out]]
    assert all((one != two).any() for one, two in zip(made[place], made[held_out], strict=True))
    (row,) = repeated_scenes(store_of(tmp_path, made)).to_dict("records")
    assert row == {
        "held_out": held_out[1], "split": held_out[0], "scene": place[1], "scene_split": place[0], "tiles": 3,
    }  # fmt: skip
    assert f"'{place[1]}' ({place[0]}) has the like of 3 tile(s) of '{held_out[1]}' ({held_out[0]})" in in_words(
        repeated_scenes(store_of(tmp_path, made))
    )


def test_the_same_within_a_split_and_known_images_are_no_news(tmp_path: Path) -> None:
    made = scenes()
    made["train", "b"] = made["train", "a"]
    made["unlabelled", "u"] = made["test", "t"]
    assert repeated_scenes(store_of(tmp_path / "known", made, **{HELD_OUT_IMAGES: ["t"]})).empty
    # What is known of one image hides no other: neither a training scene nor another held-out one.
    made["train", "b"] = [saved_anew(image) for image in made["test", "t"]]
    made["unlabelled", "v"] = made["val", "v"]
    found = repeated_scenes(store_of(tmp_path / "more", made, **{HELD_OUT_IMAGES: ["t"]}))
    assert sorted(zip(found["held_out"], found["scene_split"], strict=True)) == [("t", "train"), ("v", "unlabelled")]


def test_tiles_without_contrast_say_nothing(tmp_path: Path) -> None:
    made = scenes()
    for place in (("train", "a"), ("test", "t")):
        made[place] = [np.full((SIDE, SIDE, 3), 77, np.uint8)] * 3
    assert repeated_scenes(store_of(tmp_path, made)).empty


def test_means_are_those_of_loops() -> None:
    image = landscape(0)
    means = [image[4 * r : 4 * r + 4, 4 * c : 4 * c + 4].mean((0, 1)) for r in range(8) for c in range(8)]
    np.testing.assert_allclose(cell_means(image), np.concatenate(means), rtol=1e-5)


def test_tiling_says_it_each_time(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    made = make_data(tmp_path / "raw")
    by_split = {scene.split: scene for scene in made.scenes() if scene.height >= SIDE and scene.width >= SIDE}
    copied, original = (by_split[split] for split in ("train", "test"))
    height, width = (max(getattr(copied, name), getattr(original, name)) for name in ("height", "width"))
    wide = np.concatenate([landscape(k) for k in range(-(-width // SIDE))], 1)
    whole = np.concatenate([wide] * -(-height // SIDE))
    for scene, kind in ((copied, "JPEG"), (original, "PNG")):
        Image.fromarray(whole[: scene.height, : scene.width]).save(made.raw / scene.image, kind)
    workspace = Workspace(project=str(tmp_path), raw=str(tmp_path / "raw"))
    for _ in range(2):
        caplog.clear()
        with caplog.at_level(logging.WARNING):
            cut_tiles(
                scenes_to_frame(made.scenes()),
                made.description,
                TilingSettings(tile_size=SIDE, stride=SIDE),
                ComputeSettings(device="cpu"),
                workspace,
            )
        assert (
            f"'{copied.scene_id}' (train) has the like of" in caplog.text
            and f"'{original.scene_id}' (test)" in caplog.text
        )


def test_processes_that_come_to_the_comparison_at_once_wait_for_one_another(tmp_path: Path) -> None:
    """Those that share the tiling may finish it together."""
    made = make_data(tmp_path / "raw")
    scenes = scenes_to_frame(made.scenes())
    workspace = Workspace(project=str(tmp_path), raw=str(tmp_path / "raw"))

    def cut() -> PairStore:
        tiling = TilingSettings(tile_size=SIDE, stride=SIDE)
        return cut_tiles(scenes, made.description, tiling, ComputeSettings(device="cpu"), workspace)

    step = Step("repeated_scenes", RESULT_VERSION, {"tiles": cut().digest}, {"table_version": TABLE_VERSION})
    shutil.rmtree(WorkFolder(workspace.work, step).path)
    held, free = threading.Event(), threading.Event()

    def hold() -> None:
        with work_folder(workspace.work, step):
            held.set()
            assert free.wait(60)

    holder = threading.Thread(target=hold)
    holder.start()
    assert held.wait(60)
    threading.Timer(4 * PATIENCE, free.set).start()
    assert cut().count()
    assert free.is_set()
    holder.join()
