import pytest
import torch
from torch import nn

from satsynth.training.muon import Muon, orthogonalised


def random(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("shape", [(3, 16, 16), (2, 8, 40), (1, 32, 288)])
def test_singular_vectors_stay_and_values_come_near_one(shape):
    matrices = random(*shape)
    left, values, right = torch.linalg.svd(matrices, full_matrices=False)
    found = left.mT @ orthogonalised(matrices) @ right.mT
    inner = found.diagonal(dim1=1, dim2=2)
    torch.testing.assert_close(found, torch.diag_embed(inner), rtol=0, atol=1e-3)
    well = values > 0.01 * values[:, :1]
    assert inner[well].min() > 0.6
    assert inner[well].max() < 1.3


def test_equals_the_steps_taken_on_the_matrix_itself():
    x = random(4, 12, 30)
    expected = x / x.norm(dim=(1, 2), keepdim=True)
    for _ in range(5):
        square = expected @ expected.mT
        expected = 3.4445 * expected + (-4.7750 * square + 2.0315 * square @ square) @ expected
    torch.testing.assert_close(orthogonalised(x), expected, rtol=1e-4, atol=1e-4)


def test_a_matrix_of_zeros_stays():
    assert not orthogonalised(torch.zeros(1, 8, 9)).any()


def trained(optimizer, module, gradients):
    for step in gradients:
        for parameter, gradient in zip(module.parameters(), step, strict=True):
            parameter.grad = gradient.clone()
        optimizer.step()
    return list(module.parameters())


def gradients_of(module, steps=6):
    return [[random(*p.shape, seed=17 * i + j) for j, p in enumerate(module.parameters())] for i in range(steps)]


@pytest.mark.parametrize(("inner", "out", "side"), [(5, 16, 3), (40, 16, 1), (16, 40, 1)])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_a_convolution_equals_the_matrix_of_its_rows_by_pytorchs(inner, out, side, layout):
    ours = nn.Conv2d(inner, out, side, bias=False).to(memory_format=layout)
    theirs = nn.Linear(inner * side**2, out, bias=False)
    before = ours.weight.detach().flatten(1).clone()
    theirs.weight.data = before.clone()
    gradients = gradients_of(ours)
    trained(Muon(ours.parameters(), 0.01, 0.1), ours, gradients)
    reference = torch.optim.Muon(theirs.parameters(), 0.01, 0.1, adjust_lr_fn="match_rms_adamw")
    trained(reference, theirs, [[g.flatten(1) for g in step] for step in gradients])
    # Theirs computes in bfloat16.
    moved = (theirs.weight - before).norm()
    assert (ours.weight.flatten(1) - theirs.weight).norm() < 0.03 * moved


def test_all_else_equals_adamw():
    ours, theirs = nn.Linear(9, 12), nn.Linear(9, 12)
    theirs.load_state_dict(ours.state_dict())
    gradients = gradients_of(ours)
    trained(Muon(ours.parameters(), 0.01, 0.1, betas=(0.8, 0.9)), ours, gradients)
    trained(torch.optim.AdamW(theirs.parameters(), 0.01, (0.8, 0.9), weight_decay=0.1), theirs, gradients)
    for a, b in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(a, b)


def test_a_step_has_the_size_of_adamws():
    """The root mean square of a step is 0.2 of the learning rate, near to what AdamW's is in training."""
    layer = nn.Conv2d(30, 100, 3, bias=False)
    before = layer.weight.detach().clone()
    trained(Muon(layer.parameters(), 0.01, 0.0), layer, gradients_of(layer, 1))
    assert (layer.weight - before).square().mean().sqrt().item() == pytest.approx(0.2 * 0.01, rel=0.2)


def test_a_step_with_a_found_infinity_changes_nothing():
    torch.manual_seed(0)
    layer = nn.Conv2d(3, 12, 3)
    optimizer = Muon(layer.parameters(), 0.01)
    good = gradients_of(layer)
    trained(optimizer, layer, good[:2])
    kept = [p.detach().clone() for p in layer.parameters()]
    optimizer.found_inf = torch.ones(1)
    trained(optimizer, layer, [[torch.full_like(g, float("nan")) for g in good[2]]])
    assert all(torch.equal(a, b) for a, b in zip(kept, layer.parameters(), strict=True))
    optimizer.found_inf = torch.zeros(1)
    trained(optimizer, layer, good[2:])
    torch.manual_seed(0)
    other = nn.Conv2d(3, 12, 3)
    for a, b in zip(trained(Muon(other.parameters(), 0.01), other, good), layer.parameters(), strict=True):
        torch.testing.assert_close(a, b)


def test_state_goes_through_a_file(tmp_path):
    torch.manual_seed(0)
    whole, part = nn.Conv2d(3, 12, 3), nn.Conv2d(3, 12, 3)
    part.load_state_dict(whole.state_dict())
    gradients = gradients_of(whole)
    trained(Muon(whole.parameters(), 0.01), whole, gradients)
    first = Muon(part.parameters(), 0.01)
    trained(first, part, gradients[:3])
    torch.save(first.state_dict(), tmp_path / "o.pt")
    second = Muon(part.parameters(), 0.5)
    second.load_state_dict(torch.load(tmp_path / "o.pt", weights_only=True))
    trained(second, part, gradients[3:])
    assert all(torch.equal(a, b) for a, b in zip(whole.parameters(), part.parameters(), strict=True))


def test_a_closure_is_called_before_the_step():
    layer = nn.Conv2d(3, 12, 3)
    optimizer = Muon(layer.parameters(), 0.01)
    before = layer.weight.detach().clone()

    def closure():
        optimizer.zero_grad()
        loss = layer(random(1, 3, 8, 8)).square().mean()
        loss.backward()
        return loss

    assert optimizer.step(closure).item() > closure().item()
    assert not torch.equal(layer.weight, before)


def test_a_state_read_on_the_cpu_goes_to_the_device_of_the_weights():
    module = nn.Sequential(nn.Conv2d(2, 3, 1), nn.Flatten(), nn.Linear(3, 2))
    optimizer = Muon(module.parameters(), 0.1)
    trained(optimizer, module, [[torch.ones_like(p) for p in module.parameters()]])
    elsewhere = Muon(module.to("meta").parameters(), 0.1)
    elsewhere.load_state_dict(optimizer.state_dict())
    tensors = [value for state in elsewhere.state.values() for value in state.values()]
    assert len(tensors) == 1 + 3 * 3
    assert {value.device.type for value in tensors} == {"meta"}


def test_a_checkpoint_whose_groups_do_not_say_fused_is_continued():
    module = nn.Sequential(nn.Conv2d(2, 3, 1), nn.Flatten(), nn.Linear(3, 2))
    gradients = [torch.ones_like(p) for p in module.parameters()]
    optimizer = Muon(module.parameters(), 0.1)
    trained(optimizer, module, [gradients])
    state = optimizer.state_dict()
    for group in state["param_groups"]:
        del group["fused"]
    continued = Muon(module.parameters(), 0.1)
    continued.load_state_dict(state)
    trained(continued, module, [gradients])
    assert {float(kept["step"]) for kept in continued.state.values() if "step" in kept} == {2.0}
