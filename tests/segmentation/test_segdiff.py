from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from made_data import made_pairs, write_store
from satsynth.segmentation.architectures.registry import ARCHITECTURES
from satsynth.segmentation.features import load_network
from satsynth.segmentation.grid import train_grid, training_table
from satsynth.segmentation.losses import squared_error
from satsynth.segmentation.networks import build_network
from satsynth.segmentation.saved import SavedNetwork
from satsynth.segmentation.segdiff import DenseBlock, ImageEncoder, SegDiff
from satsynth.segmentation.settings import SegmentationNetwork, SegmentationSettings, TrainingSettings
from satsynth.segmentation.sizes import check_tile_size
from satsynth.training.settings import ComputeSettings
from satsynth.work.errors import SatSynthError
from satsynth.work.ignore import IGNORE_INDEX
from satsynth.work.workspace import Workspace
from stopping import stopped_at
from threads import single_thread

OPTIONS: dict[str, Any] = {
    "stem": 2,
    "widths": [16, 16],
    "attention": 0,
    "blocks": 1,
    "features": 8,
    "growth": 4,
    "steps": 3,
    "votes": 3,
}
SMALL = SegmentationNetwork(architecture="segdiff", encoder="rrdb", options=OPTIONS)
OWN = ARCHITECTURES["segdiff"]


def changed(**options: Any) -> SegmentationNetwork:
    return SMALL.model_copy(update={"options": {**OPTIONS, **options}})


def random_network(settings: SegmentationNetwork = SMALL, seed: int = 0) -> SegDiff:
    """Return a network with random weights, its last layer included."""
    torch.manual_seed(seed)
    network = build_network(settings, 3).eval()
    assert isinstance(network, SegDiff)
    torch.nn.init.normal_(network.unet.conv_out.weight, std=0.1)
    return network


@pytest.fixture
def images() -> torch.Tensor:
    """Five different images of 16 pixels."""
    return torch.rand(5, 3, 16, 16, generator=torch.Generator().manual_seed(0)) * 2 - 1


@pytest.mark.parametrize("code", ["bits", "one_hot"])
def test_the_vote_is_the_mean_of_single_draws(images: torch.Tensor, code: str) -> None:
    network = random_network(changed(label_code=code))
    draws = torch.stack([network.draw(images, number) for number in range(3)])
    assert draws.std(0).mean() > 0.05, "draws differ"
    assert draws.abs().max() <= 1
    logits = network(images)
    torch.testing.assert_close(logits, network.code.closeness(draws.mean(0)), rtol=1e-4, atol=1e-4)
    assert torch.equal(logits.argmax(1), network.code.decode(draws.mean(0)))
    torch.testing.assert_close(OWN.quick(network, SMALL)(images), network.code.closeness(draws[0]))


def test_a_draw_depends_on_image_and_seed_and_on_nothing_else(images: torch.Tensor) -> None:
    network = random_network()
    together = network.draw(images, 1)
    torch.manual_seed(99)
    for order in ([3], [4, 3, 0], [3, 3]):
        found = network.draw(images[order], 1)
        torch.testing.assert_close(found, together[order], rtol=1e-4, atol=1e-4)
    same, other = random_network(), random_network()
    assert torch.equal(same.draw(images, 1), together)
    other.seed.add_(1)
    assert (other.draw(images, 1) - together).abs().mean() > 0.05
    assert (network.draw(images, 2) - together).abs().mean() > 0.05


def test_the_seed_is_saved_with_the_weights_and_another_trainings_is_another() -> None:
    first, second = random_network(seed=1), random_network(seed=2)
    assert first.seed != second.seed
    second.load_state_dict(first.state_dict())
    assert first.seed == second.seed


def test_the_image_is_added_once_behind_the_first_convolution(images: torch.Tensor) -> None:
    network = random_network()
    noisy, level = torch.randn(5, 3, 16, 16), torch.tensor([0, 10, 50, 70, 99])
    encoded = network.encoder(images)
    seen: list[torch.Tensor] = []
    network.unet.down_blocks[0].register_forward_pre_hook(
        lambda block, args, given: seen.append(given["hidden_states"]), with_kwargs=True
    )
    with torch.no_grad():
        network.predict(noisy, encoded, level)
        alone = network.first(torch.nn.functional.pixel_unshuffle(noisy, 2))
        torch.testing.assert_close(seen[0] - alone, encoded, rtol=1e-4, atol=1e-5)
        # Whatever moves it from the first convolution to the image is the same to all behind.
        moved = network.predict(noisy, encoded + 1, level)
        network.first.bias += 1
        torch.testing.assert_close(network.predict(noisy, encoded, level), moved)


def test_without_an_encoder_no_prediction_heeds_the_image(images: torch.Tensor) -> None:
    network = random_network()
    noisy, level = torch.randn(5, 3, 16, 16), torch.full((5,), 50)
    with torch.no_grad():
        assert not torch.equal(*(network.predict(noisy, network.encoder(x), level) for x in (images, -images)))
        for parameter in network.encoder.parameters():
            parameter.zero_()
        assert torch.equal(*(network.predict(noisy, network.encoder(x), level) for x in (images, -images)))


def test_dense_blocks_against_their_definition() -> None:
    block, x = DenseBlock(6, 4), torch.randn(2, 6, 8, 8)
    known = [x]
    for convolution in list(block.convolutions)[:-1]:
        found = convolution(torch.cat(known, 1))
        known.append(torch.where(found > 0, found, 0.2 * found))
    torch.testing.assert_close(block(x), x + 0.2 * block.convolutions[-1](torch.cat(known, 1)))
    assert [(c.in_channels, c.out_channels) for c in block.convolutions] == [(6, 4), (10, 4), (14, 4), (18, 4), (22, 6)]


@pytest.mark.parametrize("predicts", ["noise", "clean"])
def test_a_perfect_prediction_has_no_loss_and_gives_the_mask(
    images: torch.Tensor, predicts: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a network that knows the mask: what is wanted of it in training is what it is asked for in a draw."""
    network = random_network(changed(predicts=predicts))
    masks = torch.randint(3, (5, 16, 16), generator=torch.Generator().manual_seed(3))
    clean = network.code.encode(masks)

    def perfect(noisy: torch.Tensor, encoded: torch.Tensor, level: torch.Tensor) -> torch.Tensor:
        none = torch.zeros_like(clean)
        kept = network.levels.noisy(clean, level, none)
        spread = network.levels.noisy(none, level, torch.ones_like(clean))
        return clean if predicts == "clean" else (noisy - kept) / spread

    monkeypatch.setattr(network, "predict", perfect)
    assert network.loss(images, masks).item() == pytest.approx(0, abs=1e-6)
    assert torch.equal(network(images).argmax(1), masks)


def test_ignored_pixels_do_not_count() -> None:
    wanted, masks = torch.randn(2, 3, 4, 4), torch.randint(3, (2, 4, 4))
    masks[0, :2] = IGNORE_INDEX
    found = torch.randn(2, 3, 4, 4, requires_grad=True)
    loss = squared_error(found, wanted, masks)
    errors = [
        (found[b, c, y, x] - wanted[b, c, y, x]).item() ** 2
        for b in range(2)
        for c in range(3)
        for y in range(4)
        for x in range(4)
        if masks[b, y, x] != IGNORE_INDEX
    ]
    assert loss.item() == pytest.approx(np.mean(errors), rel=1e-5)
    loss.backward()
    assert found.grad is not None
    assert not found.grad[0, :, :2].any() and found.grad[0, :, 2:].all() and found.grad[1].all()
    assert squared_error(found, wanted, torch.full_like(masks, IGNORE_INDEX)) == 0


def test_what_lies_under_ignored_pixels_teaches_nothing(images: torch.Tensor) -> None:
    """The loss of a batch does not know what its ignored pixels would be."""
    network = random_network()
    gradients = []
    seen = torch.full((5, 16, 16), IGNORE_INDEX)
    seen[:, :, :7] = torch.randint(3, (5, 16, 7))
    for _ in range(2):
        network.zero_grad()
        torch.manual_seed(7)
        network.loss(images, seen).backward()
        gradients.append(network.unet.conv_out.weight.grad.clone())
    assert torch.equal(*gradients) and gradients[0].any()
    assert network.loss(images, torch.full_like(seen, IGNORE_INDEX)) == 0


def test_every_weight_learns(images: torch.Tensor) -> None:
    network = random_network(changed(attention=1))
    network.loss(images, torch.randint(3, (5, 16, 16))).backward()
    for name, parameter in network.named_parameters():
        # All keys of an attention may have a constant in common.
        assert parameter.grad is not None
        assert parameter.grad.abs().sum() > 0 or name.endswith("to_k.bias"), name


@pytest.mark.parametrize(("stem", "widths", "multiple"), [(1, [8, 8], 2), (2, [8, 8, 8], 8), (4, [8, 8], 8)])
def test_the_multiple_is_the_least_that_it_takes(stem: int, widths: list[int], multiple: int) -> None:
    settings = changed(stem=stem, widths=widths, steps=1, votes=1)
    assert OWN.side_multiple(settings) == multiple
    network = random_network(settings)
    assert network(torch.zeros(1, 3, 3 * multiple, 3 * multiple)).shape == (1, 3, 3 * multiple, 3 * multiple)
    with pytest.raises(RuntimeError):
        network(torch.zeros(1, 3, 5 * multiple // 2, 5 * multiple // 2))
    with pytest.raises(SatSynthError, match=rf"\(segdiff\): {multiple}\."):
        check_tile_size({"net": settings}, 5 * multiple // 2)


def test_attention_is_at_the_lowest_resolutions() -> None:
    network = random_network(changed(widths=[8, 8, 8], attention=2))
    kinds = [type(block).__name__ for block in (*network.unet.down_blocks, *network.unet.up_blocks)]
    assert kinds == ["DownBlock2D", *["AttnDownBlock2D"] * 2, *["AttnUpBlock2D"] * 2, "UpBlock2D"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"encoder": "resnet18"}, "no encoder 'resnet18'"),
        ({"weights": "imagenet"}, "no weights named 'imagenet'"),
        ({"options": {"wheels": 4}}, "wheels = 4"),
        ({"options": {"votes": 0}}, "votes = 0"),
        ({"options": {"widths": [16, 20]}}, "widths.1 = 20"),
        ({"options": {"steps": 101}}, "`steps` 101 must not be more than the 100 `noise_levels`"),
        ({"options": {"widths": [16, 16], "attention": 3}}, "`attention` 3 must not be more than the 2 `widths`"),
    ],
)
def test_what_cannot_be_built_is_named(change: dict[str, Any], said: str) -> None:
    with pytest.raises(SatSynthError, match=said) as caught:
        build_network(SMALL.model_copy(update=change), 3)
    assert "segmentation.networks" in caught.value.remedy


def test_weights_of_its_encoder_come_from_a_file(tmp_path: Path) -> None:
    torch.manual_seed(1)
    encoder = ImageEncoder(2, 8, 4, 1, 16)
    file = tmp_path / "encoder.pt"
    torch.save(encoder.state_dict(), file)
    found = build_network(SMALL.model_copy(update={"weights": str(file)}), 3)
    assert torch.equal(OWN.encoder(found).first.weight, encoder.first.weight)


def bright_and_dark(seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return images whose brightness is above zero where the class is 1, in squares, and masks with ignored pixels."""
    random = torch.Generator().manual_seed(seed)
    masks = torch.randint(2, (8, 2, 2), generator=random).repeat_interleave(4, 1).repeat_interleave(4, 2)
    images = (masks[:, None] - 0.5) + 0.3 * torch.randn(8, 3, 8, 8, generator=random)
    return images.clamp(-1, 1), torch.where(torch.rand(8, 8, 8, generator=random) < 0.1, IGNORE_INDEX, masks)


@pytest.mark.parametrize("predicts", ["noise", "clean"])
def test_what_is_bright_is_learned(predicts: str) -> None:
    torch.manual_seed(0)
    network = build_network(changed(predicts=predicts, label_code="bits", stem=1, steps=5), 2)
    optimizer = torch.optim.AdamW(network.parameters(), 3e-3)
    for step in range(100):
        optimizer.zero_grad()
        OWN.loss(network, *bright_and_dark(step)).backward()
        optimizer.step()
    images, masks = bright_and_dark(1000)
    known = masks != IGNORE_INDEX
    right = (network(images).argmax(1) == masks)[known].float().mean()
    assert right > 0.8, "half of them by chance"


def test_trained_by_the_common_loop_it_continues_as_if_uninterrupted(
    train_small: Callable[..., Any], tmp_path: Path
) -> None:
    network = changed(stem=4).model_copy(update={"ema": 0.9})
    settings = TrainingSettings(images=24, batch_size=4, evaluations=2)
    folder, _ = train_small(tmp_path / "whole", network=network, settings=settings)
    assert "seed" in load_file(folder.result / "model.safetensors")
    with stopped_at(4):
        train_small(tmp_path / "parts", network=network, settings=settings)
    torch.manual_seed(5)
    again, _ = train_small(tmp_path / "parts", network=network, settings=settings)
    for name in ("manifest.json", "model.safetensors"):
        assert (again.result / name).read_bytes() == (folder.result / name).read_bytes()


def test_it_stands_in_the_grid_beside_others_with_a_budget_of_its_own(
    small_network: SegmentationNetwork, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    pairs = [pair for split in ("train", "val", "test") for pair in made_pairs(4, side=32, split=split)]
    tiles = write_store(tmp_path / "real", pairs, side=32)
    drawn = write_store(tmp_path / "drawn", made_pairs(8, side=32, split="synthetic", seed=1), side=32)
    grid = SegmentationSettings(
        networks={"usual": small_network, "drawing": SMALL.model_copy(update={"images": 12, "batch_size": 2})},
        judge={"network": "usual"},
        ratios=(0, 1),
        seeds=(0,),
        training={"images": 8, "batch_size": 4, "evaluations": 1},
    )
    caplog.set_level("INFO")
    with single_thread():
        finished = train_grid(tiles, drawn, grid, ComputeSettings(device="cpu"), Workspace(project=str(tmp_path)))
    table = training_table(finished)
    assert table["network"].tolist() == ["usual", "usual", "drawing", "drawing"]
    assert table["steps"].tolist() == [2, 2, 6, 6] and table["miou"].between(0, 1).all()
    assert "4 of them are new, about" in caplog.text
    saved = SavedNetwork(finished[2].folder.result)
    again = load_network(saved, torch.device("cpu"))
    images = torch.rand(2, 3, 32, 32) * 2 - 1
    assert torch.equal(again(images), load_network(saved, torch.device("cpu"))(images))
