"""A generator made small for others, and those that lie in the package."""

import pytest
import torch
from safetensors.torch import load_file
from test_starting import FOUR, saved_generator

import tiny
from satsynth.diffusion.family import FAMILY
from satsynth.diffusion.settings import DiffusionSettings
from satsynth.diffusion.sharing import write_starting_point
from satsynth.diffusion.starting import start_from
from satsynth.diffusion.starting_points import SHIPPED, shipped, starting_point
from satsynth.generation.saved import SavedGenerator
from satsynth.generation.seen import Seen
from satsynth.scenes.image_parts import ImagePart, parts_entry
from satsynth.work.errors import DataError, SatSynthError

PART = ImagePart("a", "f00d", (0, 0, 64, 32))


def test_a_start_in_half_precision_is_that_of_the_generator_but_for_rounding(tmp_path):
    saved, made = saved_generator(
        tmp_path / "made", tiny.SEPARATE, images=40, held_out_images=["c"], **parts_entry([PART])
    )
    write_starting_point(saved, tmp_path / "small", {"licence": "CC0"})
    small = starting_point(str(tmp_path / "small"))
    small.verify()
    assert small.manifest["about"] == {"licence": "CC0"} and small.manifest["made_from"] == saved.digest
    assert FAMILY.seen_before(DiffusionSettings(start_from=str(small.path))) == Seen.by(saved)
    assert Seen.by(saved) == Seen(frozenset({"a", "b", "c"}), frozenset({PART}))
    new = tiny.random_generator(4, tiny.SEPARATE)
    assert start_from(new, tiny.SEPARATE, FOUR, small) == 1
    now = new.denoiser.state_dict()
    for name, value in made.denoiser.state_dict().items():
        assert now[name].dtype == value.dtype
        assert torch.allclose(now[name], value, rtol=1e-3, atol=1e-7), name
    assert (small.path / "ema.safetensors").stat().st_size < 0.6 * (saved.path / "ema.safetensors").stat().st_size


def test_what_is_there_is_kept_and_other_families_are_refused(tmp_path):
    saved, _ = saved_generator(tmp_path / "made", tiny.MODEL)
    (tmp_path / "there").mkdir()
    with pytest.raises(DataError, match="already exists"):
        write_starting_point(saved, tmp_path / "there", {})
    other, _ = saved_generator(tmp_path / "other", tiny.MODEL, family="replay")
    with pytest.raises(DataError, match="'replay'"):
        write_starting_point(other, tmp_path / "new", {})
    assert not (tmp_path / "new").exists()


def test_a_name_that_is_neither_folder_nor_in_the_package_is_refused_with_those_that_are():
    with pytest.raises(SatSynthError, match="nowhere holds no finished generator") as refused:
        starting_point("nowhere")
    assert str(shipped()) in str(refused.value)


@pytest.mark.parametrize("name", shipped())
def test_those_of_the_package_say_where_they_come_from_and_are_small(name):
    start = starting_point(name)
    start.verify()
    assert start.path == SHIPPED / name and isinstance(start, SavedGenerator)
    assert {"data", "licence", "command", "machine"} <= set(start.manifest["about"])
    assert {part.scene_id for part in start.image_parts} == start.scenes
    assert len(start.scenes) > 10 and start.manifest["images"] > 50_000
    weights = load_file(start.file("ema.safetensors"))
    assert {value.dtype for value in weights.values()} == {torch.float16}
    assert all(torch.isfinite(value).all() for value in weights.values())
    assert sum(file.stat().st_size for file in start.path.iterdir()) < 8 * 2**20
