import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from satsynth.training.ema import MovingAverage


@pytest.mark.parametrize("decay", [0.0, 0.5, 0.999])
def test_average_follows_the_formula(decay):
    torch.manual_seed(0)
    network = nn.Linear(3, 2).double()
    average = MovingAverage(network, decay)
    expected = None
    for n in range(12):
        with torch.no_grad():
            network.weight.normal_()
        average.update_parameters(network)
        current = network.weight.detach().clone()
        if expected is None:
            expected = current
        else:
            d = min(decay, (1 + n) / (10 + n))
            expected = d * expected + (1 - d) * current
        torch.testing.assert_close(average.module.weight.detach(), expected, rtol=1e-12, atol=1e-12)


def test_buffers_are_copied_not_averaged():
    network = nn.BatchNorm1d(2)
    average = MovingAverage(network, 0.9)
    for value in (1.0, 5.0, 7.0):
        network.running_mean.fill_(value)
        average.update_parameters(network)
    assert average.module.running_mean.tolist() == [7.0, 7.0]


def test_average_continues_from_its_state():
    def step(network, average, value):
        with torch.no_grad():
            network.weight.fill_(value)
        average.update_parameters(network)

    network = nn.Linear(1, 1)
    average = MovingAverage(network, 0.99)
    for value in (1.0, 2.0, 3.0):
        step(network, average, value)
    continued = MovingAverage(network, 0.99)
    continued.load_state_dict(average.state_dict())
    step(network, average, 9.0)
    step(network, continued, 9.0)
    assert torch.equal(average.module.weight, continued.module.weight)
    assert average.module.weight.item() != 9.0


def test_network_is_not_touched():
    network = nn.Linear(2, 2)
    before = network.weight.detach().clone()
    average = MovingAverage(network, 0.9)
    average.update_parameters(network)
    with torch.no_grad():
        average.module.weight.zero_()
    assert torch.equal(network.weight, before)


def test_an_update_moves_nothing_between_devices():
    class Watched(TorchDispatchMode):
        def __torch_dispatch__(self, function, types, args=(), kwargs=None):
            assert "_to_copy" not in str(function), "a GPU would wait for this copy"
            return function(*args, **(kwargs or {}))

    network = nn.Linear(3, 2, device="meta")
    average = MovingAverage(network, 0.9)
    with Watched():
        average.update_parameters(network)
        average.update_parameters(network)
    assert int(average.n_averaged) == 2
