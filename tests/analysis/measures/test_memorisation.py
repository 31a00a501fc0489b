import itertools
import tracemalloc

import cv2
import numpy as np
import pytest

from satsynth.analysis.measures.memorisation import Space, neighbours, symmetries, thumbnails
from satsynth.pairs.repeats import nearest


def noise_images(number, seed, side=32):
    """Coarse noise, so that thumbnails differ."""
    random = np.random.default_rng(seed)
    return random.integers(0, 256, (number, 8, 8, 3), np.uint8).repeat(side // 8, 1).repeat(side // 8, 2)


def pixels(synthetic, train, held_out):
    return {"pixels": Space(thumbnails(synthetic), thumbnails(train), thumbnails(held_out))}


def test_thumbnails_are_the_eight_symmetries():
    image = noise_images(1, 0, side=64)[0]
    views = thumbnails(image[None])
    assert views.shape == (1, 8, 768)
    assert views.dtype == np.float32
    assert len(np.unique(views[0], axis=0)) == 8
    expected = np.stack(
        [cv2.resize(np.ascontiguousarray(v), (16, 16), interpolation=cv2.INTER_AREA).ravel() for v in symmetries(image)]
    )
    assert np.array_equal(np.sort(views[0], axis=0), np.sort(expected.astype(np.float32) / 255, axis=0))


def test_one_view_is_the_image_itself_and_takes_an_eighth_of_the_memory():
    images = noise_images(600, 3, side=16)
    whole = thumbnails(images)
    tracemalloc.start()
    one = thumbnails(images, views=1)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert np.array_equal(one, whole[:, :1]) and whole.nbytes == 8 * one.nbytes
    assert peak < 1.1 * one.nbytes, "nothing else of the size of all images"
    found, expected = (nearest(thumbnails(noise_images(5, 4)), references) for references in (one, whole))
    assert all(np.array_equal(a, b) for a, b in zip(found, expected, strict=True))


@pytest.mark.parametrize("chunk", [1, 3, 64])
def test_nearest_against_brute_force(chunk, monkeypatch):
    queries, references = thumbnails(noise_images(7, 1)), thumbnails(noise_images(9, 2))
    monkeypatch.setattr("satsynth.pairs.repeats.MOST", chunk * 8 * 9)
    index, distance = nearest(queries, references)
    table = np.zeros((7, 9))
    for i, j in itertools.product(range(7), range(9)):
        table[i, j] = min(np.sqrt(((view - references[j, 0]) ** 2).mean()) for view in queries[i])
    assert index.tolist() == table.argmin(1).tolist()
    np.testing.assert_allclose(distance, table.min(1), rtol=1e-4)


def test_distance_is_between_zero_and_one():
    black, white = (thumbnails(np.full((1, 32, 32, 3), value, np.uint8)) for value in (0, 255))
    assert nearest(black, white)[1].tolist() == [1]
    assert nearest(white, white)[1].tolist() == [0]


@pytest.mark.parametrize("turn", range(8))
def test_a_copy_is_found_however_it_is_turned(turn):
    train, held_out, synthetic = noise_images(12, 3), noise_images(40, 4), noise_images(6, 5)
    synthetic[2] = symmetries(train[7])[turn]
    ids = [f"s{i}" for i in range(6)], [f"t{i}" for i in range(12)]
    table, summary = neighbours(pixels(synthetic, train, held_out), *ids)
    first = table.iloc[0]
    assert (first["pair_id"], first["nearest"], first["distance"]) == ("s2", "t7", 0)
    assert first["suspicious"]
    assert table["distance"].is_monotonic_increasing
    assert sorted(table["pair_id"]) == ids[0]
    summary = summary["pixels"]
    assert summary["suspicious_share"] == table["suspicious"].mean() >= 1 / 6
    assert summary["median_distance"] == table["distance"].median()


def test_yardstick_is_the_first_percentile_of_held_out_images():
    train, held_out, synthetic = noise_images(5, 6), noise_images(30, 7), noise_images(8, 8)
    table, summary = neighbours(pixels(synthetic, train, held_out), list("abcdefgh"), list("12345"))
    summary = summary["pixels"]
    usual = nearest(thumbnails(held_out), thumbnails(train))[1]
    assert summary["suspicious_below"] == pytest.approx(np.quantile(usual, 0.01))
    assert summary["median_distance_held_out"] == pytest.approx(np.median(usual))
    assert np.array_equal(table["suspicious"], table["distance"] < summary["suspicious_below"])


def test_what_is_usual_among_real_images_is_not_suspicious():
    """Plain water looks alike everywhere: where held-out images equal training images, so may synthetic ones."""
    train = noise_images(5, 9)
    table, summary = neighbours(pixels(train[:2], train, train[2:4]), ["a", "b"], list("12345"))
    assert table["distance"].tolist() == [0, 0]
    assert summary["pixels"]["suspicious_below"] == summary["pixels"]["suspicious_share"] == 0


def test_each_space_has_a_verdict_of_its_own():
    """An image may be a copy in its features and not in its pixels."""
    sets = noise_images(4, 10), noise_images(6, 11), noise_images(30, 12)
    random = np.random.default_rng(0)
    synthetic, train, held_out = (random.normal(size=(len(part), 1, 5)) for part in sets)
    synthetic[3, 0] = train[5, 0]
    spaces = {**pixels(*sets), "features": Space(synthetic, train, held_out)}
    table, summary = neighbours(spaces, list("abcd"), list("123456"))
    assert list(summary) == ["pixels", "features"] and len(table) == 8
    first = table[table["space"] == "features"].iloc[0]
    assert (first["pair_id"], first["nearest"], first["distance"], first["suspicious"]) == ("d", "6", 0, True)
    assert not table[(table["space"] == "pixels") & (table["pair_id"] == "d")]["suspicious"].any()
