import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

import satsynth.diffusion.sampling as sampling
from satsynth.diffusion.sampling import draw, pair_total, sample_pairs
from satsynth.diffusion.settings import SamplingSettings
from satsynth.training.settings import ComputeSettings
from satsynth.work.finished import TIMING
from satsynth.work.folder import Step, WorkFolder

CPU, COMPUTE = torch.device("cpu"), ComputeSettings(device="cpu")
SETTINGS = SamplingSettings(steps=4, batch_size=3, shard_pairs=4, sigma_max=20.0, sigma_min=0.1, seed=7)
TOTAL = 10


def drawn(generator, numbers, settings=SETTINGS):
    return draw(generator, numbers, 32, settings, CPU, COMPUTE)


def near(a, b):
    """Whether pairs are equal but for one grey level and hardly a label."""
    grey = np.abs(a[0].astype(int) - b[0].astype(int)).max()
    return grey <= 1 and np.mean(a[1] != b[1]) < 1e-3


def test_shapes_and_types(random_generator):
    images, masks = drawn(random_generator, range(3))
    assert images.shape == (3, 32, 32, 3)
    assert masks.shape == (3, 32, 32)
    assert images.dtype == masks.dtype == np.uint8
    assert masks.max() < 4
    assert images.std() > 5
    assert len(np.unique(masks)) > 1


def test_a_pair_does_not_depend_on_its_neighbours(random_generator):
    first, shifted = drawn(random_generator, range(0, 4)), drawn(random_generator, range(2, 6))
    for a, b in zip(first, shifted, strict=True):
        # The same batch size computes alike, wherever in the batch the pair stands.
        assert np.array_equal(a[2:], b[:2])
        assert not np.array_equal(a[:2], a[2:])


@pytest.mark.parametrize("numbers", [range(5, 6), range(4, 6), range(0, 9), range(5, 20)])
def test_a_pair_does_not_depend_on_the_batch_size(random_generator, numbers):
    alone = drawn(random_generator, range(5, 6))
    batch = drawn(random_generator, numbers)
    i = numbers.index(5)
    assert near((batch[0][i], batch[1][i]), (alone[0][0], alone[1][0]))


def test_another_seed_gives_other_pairs(random_generator):
    other = SETTINGS.model_copy(update={"seed": 8})
    assert not near(drawn(random_generator, range(2)), drawn(random_generator, range(2), other))


def folder_at(root):
    folder = WorkFolder(root, Step("sampling", 1, {"generator": "0"}, SETTINGS.model_dump(mode="json")))
    folder.result.mkdir(parents=True, exist_ok=True)
    return folder


def contents(store):
    return {path.name: path.read_bytes() for path in sorted(store.path.iterdir()) if path.name != TIMING}


@pytest.fixture
def whole(trained, tmp_path):
    return sample_pairs(folder_at(tmp_path / "whole"), trained, TOTAL, SETTINGS, COMPUTE)


def test_store_holds_the_pairs(whole, trained):
    assert whole.count("synthetic") == whole.count() == TOTAL
    assert [shard["rows"] for shard in whole.manifest["shards"]] == [4, 4, 2]
    index = whole.index()
    assert index["row"].tolist() == list(range(TOTAL))
    assert index["pair_id"].tolist() == [f"synthetic-{i:06d}" for i in range(TOTAL)]
    assert whole.class_names == [f"class {k}" for k in range(4)]
    assert whole.tile_size == 32
    assert whole.pixel_counts().sum(1).tolist() == [32 * 32] * TOTAL
    images = np.stack([image for image, _ in whole.arrays()])
    assert len(np.unique(images.reshape(TOTAL, -1), axis=0)) == TOTAL


@pytest.mark.parametrize("lost", [0, 1, 2])
def test_a_lost_shard_is_drawn_again_alike(whole, trained, lost):
    before = contents(whole)
    (whole.path / f"synthetic-{lost:05d}.parquet").unlink()
    (whole.path / "manifest.json").unlink()
    again = sample_pairs(folder_at(whole.path.parents[2]), trained, TOTAL, SETTINGS, COMPUTE)
    assert again.path == whole.path
    assert contents(again) == before


@pytest.mark.parametrize(("first", "then", "taken"), [(10, 18, 2), (18, 10, 2), (9, 4, 1), (10, 10, 3)])
def test_a_set_of_another_size_takes_the_shards_that_are_the_same(trained, tmp_path, monkeypatch, first, then, taken):
    def folder(place, total):
        settings = {**SETTINGS.model_dump(mode="json"), sampling.NUMBER: total}
        made = WorkFolder(tmp_path / place, Step("sampling", 1, {"generator": "0"}, settings))
        made.result.mkdir(parents=True)
        return made

    known = sample_pairs(folder("a", first), trained, first, SETTINGS, COMPUTE)
    whole = sample_pairs(folder("b", then), trained, then, SETTINGS, COMPUTE)
    write, written = sampling.write_shard, []
    monkeypatch.setattr(sampling, "write_shard", lambda path, *rest: written.append(path.name) or write(path, *rest))
    grown = sample_pairs(folder("c", then), trained, then, SETTINGS, COMPUTE, [known.path])
    # Byte for byte, also the shard that the smaller set holds in part.
    assert contents(grown) == contents(whole)
    assert len(written) == len(grown.manifest["shards"]) - taken
    # How long it took is known of what was drawn here.
    assert known.seconds > 0 and grown.seconds is None
    assert grown.manifest["drawn"] == known.manifest["drawn"] and (grown.digest == known.digest) == (first == then)


def test_a_shard_that_was_copied_in_part_is_not_taken_for_whole(whole, trained, tmp_path, monkeypatch):
    def killed(source, target):
        target.write_bytes(source.read_bytes()[:100])
        raise KeyboardInterrupt

    folder = folder_at(tmp_path / "b")
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(sampling, "link_or_copy", killed)
        sample_pairs(folder, trained, TOTAL, SETTINGS, COMPUTE, [whole.path])
    assert not list(folder.result.glob("*.parquet"))
    assert contents(sample_pairs(folder, trained, TOTAL, SETTINGS, COMPUTE, [whole.path])) == contents(whole)


def test_interrupted_sampling_continues(whole, trained, tmp_path, monkeypatch):
    write = sampling.write_shard
    written = []

    def failing(path, pairs, names):
        if len(written) == 1:
            raise KeyboardInterrupt
        written.append(path.name)
        write(path, pairs, names)

    monkeypatch.setattr(sampling, "write_shard", failing)
    with pytest.raises(KeyboardInterrupt):
        sample_pairs(folder_at(tmp_path / "b"), trained, TOTAL, SETTINGS, COMPUTE)
    monkeypatch.setattr(sampling, "write_shard", lambda path, *rest: written.append(path.name) or write(path, *rest))
    store = sample_pairs(folder_at(tmp_path / "b"), trained, TOTAL, SETTINGS, COMPUTE)
    assert written == [f"synthetic-{i:05d}.parquet" for i in range(3)]
    assert contents(store) == contents(whole)


def test_a_finished_folder_loads_no_generator(whole, monkeypatch):
    def refuse(*arguments):
        raise AssertionError("a generator was loaded although every shard is there")

    before = contents(whole)
    monkeypatch.setattr(sampling, "load_generator", refuse)
    manifest = {"classes": whole.manifest["classes"], "tile_size": 32}
    saved = type("Saved", (), {"manifest": manifest, "tile_size": 32})()
    assert contents(sample_pairs(folder_at(whole.path.parents[2]), saved, TOTAL, SETTINGS, COMPUTE)) == before


@given(real=st.integers(1, 5000), ratio=st.floats(0.01, 10), cap=st.none() | st.integers(1, 3000))
def test_number_of_pairs(real, ratio, cap):
    total = pair_total(real, SamplingSettings(ratio=ratio, max_pairs=cap))
    assert total >= 1
    if cap is None or real * ratio < cap - 1:
        assert abs(total - real * ratio) <= max(0.5, 1 - real * ratio)
    else:
        assert cap - 1 <= total <= cap


def test_levels_must_fall():
    with pytest.raises(ValidationError, match=r"`sigma_min` 2\.0 must be below `sigma_max` 1\.0"):
        SamplingSettings(sigma_min=2.0, sigma_max=1.0)
