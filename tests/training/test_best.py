import torch
from torch import nn

from satsynth.training.best import BestWeights


def test_the_best_is_kept_and_the_first_of_equals():
    network, best = nn.Linear(1, 1), BestWeights()
    for step, score in enumerate((-3.0, -1.0, -2.0, -1.0)):
        nn.init.constant_(network.weight, step)
        best.offer(score, step, network)
    nn.init.constant_(network.weight, 99)
    assert (best.score, best.step) == (-1.0, 1)
    assert best.weights["weight"].item() == 1


def test_a_state_goes_through_a_file(tmp_path):
    network, best, other = nn.Linear(2, 1), BestWeights(), BestWeights()
    best.offer(0.5, 7, network)
    torch.save(best.state_dict(), tmp_path / "b.pt")
    other.load_state_dict(torch.load(tmp_path / "b.pt", weights_only=True))
    assert (other.score, other.step) == (0.5, 7)
    assert torch.equal(other.weights["weight"], network.weight)
