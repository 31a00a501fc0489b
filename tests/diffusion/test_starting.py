"""A training that starts from the weights of another generator."""

import shutil
from dataclasses import replace

import pytest
import torch
from safetensors.torch import save_file

import tiny
from made_data import made_pairs, write_store
from satsynth.diffusion import starting_points
from satsynth.diffusion.family import FAMILY
from satsynth.diffusion.generator import load_generator
from satsynth.diffusion.settings import DiffusionSettings
from satsynth.diffusion.starting import start_from
from satsynth.diffusion.starting_points import fitting_start, start_named
from satsynth.generation.budgets import with_budget
from satsynth.generation.saved import SavedGenerator
from satsynth.generation.seen import Seen, require_held_out
from satsynth.generation.settings import BudgetSettings
from satsynth.generation.training import train_generator, training_step
from satsynth.training.settings import ComputeSettings
from satsynth.work.errors import AncestryError, SatSynthError
from satsynth.work.files import digest_of, write_json
from satsynth.work.folder import Step, work_folder
from satsynth.work.workspace import Workspace

HEAD = tiny.MODEL.model_copy(update={"network": tiny.NETWORK.model_copy(update={"stem": 4, "head": 8})})
FOUR = [{"name": f"class {k}", "color": [k, 0, 0]} for k in range(4)]
SIX = [{"name": f"other {k}", "color": [k, 0, 0]} for k in range(6)]


def saved_generator(root, model, **manifest):
    """Return a generator with random weights as training leaves one, and the generator itself."""
    made = tiny.random_generator(4, model)
    for value in made.denoiser.parameters():
        torch.nn.init.normal_(value, std=0.05)
    with work_folder(root, Step("diffusion", 1, {}, {"made": str(root)})) as folder:
        state = {name: value.contiguous() for name, value in made.denoiser.state_dict().items()}
        save_file(state, folder.result / "ema.safetensors")
        known = {
            "kind": "generator",
            "family": "diffusion",
            "model": model.model_dump(mode="json"),
            "classes": FOUR,
            "tile_size": 32,
            "scenes": ["a", "b"],
        }
        folder.finish(known | manifest, ["ema.safetensors"])
    return SavedGenerator(folder.result), made


def weights(generator):
    return {name: value.clone() for name, value in generator.denoiser.state_dict().items()}


@pytest.mark.parametrize("model", [tiny.MODEL, HEAD, tiny.SEPARATE])
def test_an_equal_generator_is_taken_over_whole(tmp_path, model):
    saved, made = saved_generator(tmp_path, model)
    new = tiny.random_generator(4, model)
    assert start_from(new, model, FOUR, saved) == 1
    for name, value in weights(made).items():
        assert torch.equal(new.denoiser.state_dict()[name], value), name


@pytest.mark.parametrize("model", [tiny.MODEL, HEAD])
def test_label_channels_of_other_classes_stay_new(tmp_path, model):
    saved, made = saved_generator(tmp_path, model)
    new = tiny.random_generator(6, model)
    fresh, old = weights(new), weights(made)
    assert new.channels == made.channels + 1, "three bits, and two"
    share = start_from(new, model, SIX, saved)
    assert 0.7 < share < 1
    now = new.denoiser.state_dict()
    patch = model.network.stem**2
    name = "network.unet.conv_in.weight"
    assert torch.equal(now[name][:, : 3 * patch], old[name][:, : 3 * patch])
    assert torch.equal(now[name][:, 3 * patch :], fresh[name][:, 3 * patch :])
    if model.network.head:
        # Its input begins with features, which are those of the other generator.
        inside, last = "network.head.0.weight", "network.head.2.bias"
        assert torch.equal(now[inside][:, : 8 + 3], old[inside][:, : 8 + 3])
        assert torch.equal(now[inside][:, 8 + 3 :], fresh[inside][:, 8 + 3 :])
        assert torch.equal(now[last][:3], old[last][:3])
        assert torch.equal(now[last][3:], fresh[last][3:])
    inner = [name for name in now if "down_blocks" in name]
    assert inner
    assert all(torch.equal(now[name], old[name]) for name in inner)


def test_equal_channels_of_other_classes_stay_new(tmp_path):
    """Four other classes have as many channels, which mean something else."""
    saved, _ = saved_generator(tmp_path, tiny.MODEL)
    new = tiny.random_generator(4)
    fresh = weights(new)
    start_from(new, tiny.MODEL, [{"name": f"other {k}"} for k in range(4)], saved)
    name = "network.unet.conv_in.weight"
    assert torch.equal(new.denoiser.state_dict()[name][:, 3 * 64 :], fresh[name][:, 3 * 64 :])


def test_a_second_noise_level_changes_nothing_at_first(tmp_path):
    saved, made = saved_generator(tmp_path, tiny.MODEL)
    new = tiny.random_generator(4, tiny.SEPARATE)
    start_from(new, tiny.SEPARATE, FOUR, saved)
    noisy, sigma = torch.randn(2, made.channels, 32, 32), torch.tensor([0.5, 3.0])
    levels = torch.stack([sigma, torch.tensor([80.0, 0.02])], 1)
    with torch.no_grad():
        expected = made.denoiser(noisy, sigma)
        assert expected.abs().max() > 0.1
        torch.testing.assert_close(new.denoiser(noisy, sigma), expected, rtol=1e-5, atol=1e-6)
        # The other level still scales what the network is given.
        assert not torch.allclose(new.denoiser(noisy, levels), expected, atol=1e-3)


def test_other_widths_keep_what_fits(tmp_path):
    saved, _ = saved_generator(tmp_path, tiny.MODEL)
    wider = tiny.MODEL.model_copy(update={"network": tiny.NETWORK.model_copy(update={"widths": (16, 48)})})
    new = tiny.random_generator(4, wider)
    assert 0.05 < start_from(new, wider, FOUR, saved) < 0.6


def test_refusals(tmp_path):
    saved, _ = saved_generator(tmp_path / "plain", tiny.MODEL)
    other = tiny.MODEL.model_copy(update={"network": tiny.NETWORK.model_copy(update={"stem": 4, "widths": (24, 40)})})
    with pytest.raises(SatSynthError, match="network's weights fit") as small:
        start_from(tiny.random_generator(4, other), other, FOUR, saved)
    assert "'widths': (16, 32)" in small.value.problem
    clean = tiny.MODEL.model_copy(update={"preconditioning": "ddpm_epsilon"})
    with pytest.raises(SatSynthError, match="preconditioning 'clean'"):
        start_from(tiny.random_generator(4, clean), clean, FOUR, saved)
    replay, _ = saved_generator(tmp_path / "replay", tiny.MODEL, family="replay")
    with pytest.raises(SatSynthError, match="family 'replay'"):
        start_from(tiny.random_generator(4), tiny.MODEL, FOUR, replay)


def test_the_digest_identifies_the_start_and_its_place_does_not(tmp_path):
    saved, _ = saved_generator(tmp_path, tiny.MODEL)
    shutil.copytree(saved.path, tmp_path / "copy")
    here, copy = (DiffusionSettings(start_from=str(path)) for path in (saved.path, tmp_path / "copy"))
    assert FAMILY.sources(here) == FAMILY.sources(copy) == {"start": saved.digest}
    assert here.training_identity() == copy.training_identity() == DiffusionSettings().training_identity()
    assert FAMILY.sources(DiffusionSettings()) == {}
    with pytest.raises(SatSynthError, match="no finished generator"):
        FAMILY.sources(DiffusionSettings(start_from=str(tmp_path / "nothing")))


def store_of_scenes(path, **scenes):
    return write_store(
        path, [replace(made_pairs(1, split=split)[0], scene_id=scene) for split, scene in scenes.items()]
    )


def test_scenes_that_the_start_has_seen(tmp_path):
    tiles = store_of_scenes(tmp_path / "tiles", train="a", val="b", test="c")
    saved, _ = saved_generator(tmp_path, tiny.MODEL)
    seen = FAMILY.seen_before(DiffusionSettings(start_from=str(saved.path)))
    assert seen == Seen(frozenset({"a", "b"})) and FAMILY.seen_before(DiffusionSettings()) == Seen()
    with pytest.raises(AncestryError, match="1 scene"):
        require_held_out(seen, tiles)
    require_held_out(Seen(frozenset({"a"})), tiles)


@pytest.fixture
def shipped(tmp_path, monkeypatch):
    """The package's generators: `first` and `other` of other classes, `same` of the tiles' own."""
    names = list(write_store(tmp_path / "some", made_pairs(1)).class_names)
    monkeypatch.setattr(starting_points, "SHIPPED", tmp_path / "starts")
    for name, model, classes in (
        ("first", tiny.SEPARATE, FOUR),
        ("other", tiny.MODEL, FOUR),
        ("same", tiny.SEPARATE, [{"name": name, "color": [k, 0, 0]} for k, name in enumerate(names)]),
    ):
        saved, _ = saved_generator(tmp_path / name, model, classes=classes, scenes=[f"of {name}"])
        shutil.copytree(saved.path, tmp_path / "starts" / name)


def test_auto_is_a_fitting_generator_of_the_package(shipped, tmp_path):
    tiles = store_of_scenes(tmp_path / "tiles", train="of same", val="b", test="c")
    assert fitting_start("auto", tiny.SEPARATE, tiles) == "same"
    assert fitting_start("auto", tiny.MODEL, tiles) == "other"
    assert fitting_start("auto", HEAD, tiles) == ""
    # Any other name is kept.
    assert [fitting_start(given, tiny.SEPARATE, tiles) for given in ("", "first", "x/y")] == ["", "first", "x/y"]


def test_null_is_a_start_from_nothing():
    assert DiffusionSettings.model_validate({"start_from": None}).start_from == ""
    assert DiffusionSettings().start_from == "auto"


def test_auto_leaves_out_what_has_seen_held_out_scenes(shipped, tmp_path):
    one = store_of_scenes(tmp_path / "one", train="a", val="of same", test="c")
    both = store_of_scenes(tmp_path / "both", train="a", val="of same", test="of first")
    assert fitting_start("auto", tiny.SEPARATE, one) == "first"
    assert fitting_start("auto", tiny.SEPARATE, both) == ""


def test_auto_is_known_by_what_it_stands_for(shipped, tmp_path):
    tiles = store_of_scenes(tmp_path / "tiles", train="a", val="b", test="c")
    compute, digests = ComputeSettings(device="cpu"), {}
    for start in ("auto", "same", "first", ""):
        settings = DiffusionSettings(model=tiny.SEPARATE, start_from=start)
        digests[start] = training_step(FAMILY, settings, tiles, compute).fingerprint
    assert digests["auto"] == digests["same"] and len(set(digests.values())) == 3
    assert FAMILY.seen_before(DiffusionSettings(start_from="auto")) == Seen()


def test_auto_trains_from_what_it_stands_for(shipped, tmp_path, caplog):
    caplog.set_level("INFO")
    workspace = Workspace(project=str(tmp_path))
    tiles = store_of_scenes(tmp_path / "tiles", train="a", val="b", test="c")
    settings = DiffusionSettings(model=tiny.SEPARATE, images=2, batch_size=1, looks=1)
    compute = ComputeSettings(device="cpu")
    step = training_step(FAMILY, settings, tiles, compute)
    with work_folder(workspace.work, step) as folder:
        train_generator(folder, FAMILY, settings, tiles, compute, workspace.work)
    assert SavedGenerator(folder.result).scenes == {"a", "of same"}
    assert f"starts from {tmp_path / 'starts' / 'same'}, 100 %" in caplog.text
    assert start_named(SavedGenerator(folder.result)) == "same"


def test_a_start_is_named_by_its_content(shipped, tmp_path):
    """By its name in the package wherever it lies, else by its digest; also of generators that were made before."""
    own, _ = saved_generator(tmp_path / "own", tiny.MODEL)
    for start, name in ((own.digest, own.digest[:12]), (SavedGenerator(tmp_path / "starts" / "other").digest, "other")):
        content = {"kind": "generator", "family": "diffusion", "parents": {"tiles": "f00d", "start": start}}
        write_json(tmp_path / "manifest.json", {**content, "digest": digest_of(content)})
        assert start_named(SavedGenerator(tmp_path)) == name
    assert start_named(own) is None


def test_the_default_network_fits_the_package(tmp_path):
    tiles = store_of_scenes(tmp_path / "tiles", train="a", val="b", test="c")
    assert starting_points.shipped() == ["bluemarble", "dubai"]
    assert fitting_start("auto", DiffusionSettings().model, tiles) == "bluemarble"


def test_levels_that_are_not_named_are_those_of_the_family():
    for given, expected in (({}, (80, 0.005)), ({"steps": 4}, (80, 0.005)), ({"sigma_max": 9}, (9, 0.005))):
        drawing = DiffusionSettings.model_validate({"drawing": given}).drawing
        assert (drawing.sigma_max, drawing.sigma_min) == expected


def test_equal_budgets_start_from_nothing_unless_a_start_is_named(tmp_path):
    tiles, compute = write_store(tmp_path / "tiles", made_pairs(1)), ComputeSettings(device="cpu")
    for given, expected in (("auto", ""), ("dubai", "dubai")):
        settings = DiffusionSettings(start_from=given)
        found = with_budget(
            FAMILY, settings, BudgetSettings(images=9), tiles, compute, Workspace(project=str(tmp_path))
        )
        assert (found.start_from, found.images) == (expected, 9)


def test_a_training_goes_on_from_where_the_other_ended(train_tiny, trained, tmp_path):
    errors = {}
    for name, start in (("new", ""), ("started", str(trained.path))):
        report = {}
        made = train_tiny(
            tmp_path / name, images=2, on_metrics=lambda _, m, report=report: report.update(m), start_from=start
        )
        errors[name] = report["val_error"]
        assert load_generator(made, torch.device("cpu")).channels == 5
    assert errors["started"] < 0.8 * errors["new"]
