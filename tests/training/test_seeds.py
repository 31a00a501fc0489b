import itertools
import threading

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from satsynth.training.seeds import generator, mixed_seed, noise_source, shared_random_state

SMALL = st.integers(0, 2**31)


def test_mixed_seeds_do_not_collide_on_a_grid():
    grid = list(itertools.product(range(8), range(3), range(600)))
    assert len({mixed_seed(*numbers) for numbers in grid}) == len(grid)


@given(st.lists(SMALL, min_size=1, max_size=4))
def test_mixed_seed_is_repeatable_and_fits_63_bits(numbers):
    seed = mixed_seed(*numbers)
    assert seed == mixed_seed(*numbers)
    assert 0 <= seed < 2**63


def test_mixed_seed_depends_on_the_order_of_its_numbers():
    assert mixed_seed(1, 2) != mixed_seed(2, 1)


def test_generators_are_apart_from_the_global_one():
    torch.manual_seed(5)
    before = torch.get_rng_state()
    first = torch.randn(4, generator=generator(3, 1))
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(first, torch.randn(4, generator=generator(3, 1)))
    assert not torch.equal(first, torch.randn(4, generator=generator(3, 2)))


@given(seed=SMALL, numbers=st.lists(st.integers(0, 10**6), min_size=1, max_size=5), data=st.data())
def test_a_row_of_noise_depends_on_its_number_and_call_alone(seed, numbers, data):
    i = data.draw(st.integers(0, len(numbers) - 1))
    together, alone = noise_source(seed, numbers, (2, 3)), noise_source(seed, [numbers[i]], (2, 3))
    for _ in range(3):
        batch = together()
        assert batch.shape == (len(numbers), 2, 3)
        assert batch.dtype == torch.float32
        assert torch.equal(batch[i], alone()[0])


def test_noise_is_standard_normal_and_independent_between_rows_and_calls():
    source = noise_source(0, range(100), (500,))
    noise = torch.cat([source(), source()]).numpy()
    assert abs(noise.mean()) < 0.02
    assert noise.std() == pytest.approx(1, abs=0.02)
    correlations = np.corrcoef(noise)[np.triu_indices(200, 1)]
    # Independent rows have correlations of standard deviation 1 / sqrt(500) = 0.045; five of them bound 20 000 draws.
    assert np.abs(correlations).max() < 5 * 0.045


def test_threads_do_not_draw_from_one_another_s_random_state():
    """Two threads take turns in seeding and drawing; each draws what it draws without the other."""

    def draws(seed, found, meet):
        for number in range(50):
            meet.wait()
            with shared_random_state(seed, number):
                found.append(torch.stack([torch.rand(100) for _ in range(20)]))

    def together(seeds):
        meet, found = threading.Barrier(len(seeds)), [[] for _ in seeds]
        threads = [
            threading.Thread(target=draws, args=(seed, part, meet)) for seed, part in zip(seeds, found, strict=True)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return [torch.stack(part) for part in found]

    first, second = together([1, 2])
    assert torch.equal(first, together([1])[0])
    assert torch.equal(second, together([2])[0])


def test_the_shared_random_state_is_put_back():
    torch.manual_seed(5)
    before = torch.get_rng_state()
    with pytest.raises(ValueError), shared_random_state(3):
        torch.rand(3)
        raise ValueError
    assert torch.equal(torch.get_rng_state(), before)


def test_a_loader_leaves_the_shared_random_state_alone():
    from satsynth.pairs.stream import batches

    pairs = [(torch.zeros(1), torch.zeros(1))] * 4
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    list(batches(pairs, 0, 4, 2, 0, False))
    assert torch.equal(torch.rand(3), expected)
