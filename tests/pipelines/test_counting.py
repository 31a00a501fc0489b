"""Parameters that tell results apart are those that identify the work behind them, and no others."""

from __future__ import annotations

import copy
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from kedro.config import OmegaConfigLoader
from kedro.pipeline import Pipeline

from satsynth.pipeline_registry import register_pipelines
from satsynth.pipelines.counting import counting_settings
from satsynth.pipelines.graph import step_name
from satsynth.pipelines.parameters import problems_of
from satsynth.settings import CONFIG_LOADER_ARGS
from satsynth.work.errors import SatSynthError
from satsynth.work.origins import differences

ROOT = Path(__file__).parents[2]
AUGMENT, RIVALS, LABELS = (register_pipelines()[name] for name in ("augment", "rivals", "labels"))
NODES = {step_name(node): node for node in (AUGMENT + RIVALS + LABELS).nodes}


@pytest.fixture(scope="module")
def parameters() -> dict[str, Any]:
    options: dict[str, Any] = CONFIG_LOADER_ARGS
    return dict(OmegaConfigLoader(str(ROOT / "conf"), env="base", **options)["parameters"])


def changed(parameters: dict[str, Any], name: str, value: Any) -> dict[str, Any]:
    found = copy.deepcopy(parameters)
    *groups, last = name.split(".")
    group = found
    for part in groups:
        group = group[part]
    group[last] = value
    return found


def lineage(step: str, parameters: dict[str, Any]) -> dict[str, Any]:
    """Return the parameters of a step and of all before it."""
    pipeline = next(one for one in (AUGMENT, RIVALS, LABELS) if NODES[step] in one.nodes)
    ancestors = pipeline.to_nodes(NODES[step].name)
    return {step_name(node): counting_settings(node, parameters) for node in ancestors.nodes}


# The first step that each parameter changes, and one that it does not.
CHANGES = [
    ("tiling.stride", 9, "cut_tiles", "find_scenes"),
    ("ingestion.on_bad_scene", "skip", "find_scenes", None),
    ("ingestion.held_out_images", "use", "find_scenes", None),
    ("diffusion.unlabelled_share", 0.5, "train_generator", "cut_tiles"),
    ("description.scale", 0.25, "find_scenes", None),
    ("description.title", "other", "write_report", "cut_tiles"),
    ("diffusion.images", 999_999, "train_generator", "train_judge"),
    ("diffusion.start_from", "elsewhere", "train_generator", "cut_tiles"),
    ("diffusion.drawing.steps", 3, "draw_pairs", "train_generator"),
    ("diffusion.drawing.guidance", 2.0, "draw_pairs", "train_generator"),
    ("sampling.seed", 9, "draw_pairs", "train_generator"),
    ("comparison.gallery_pairs", 3, "draw_gallery", "measure_fidelity"),
    ("comparison.inception", "download", "measure_fidelity", "draw_gallery"),
    ("segmentation.judge.seed", 5, "train_judge", "train_networks"),
    ("segmentation.ratios", [0, 2], "train_networks", "train_judge"),
    ("segmentation.training.epochs", 9, "train_judge", "draw_pairs"),
    ("compute.precision", "bf16", "train_generator", "cut_tiles"),
    ("compute.device", "cpu", "train_judge", "cut_tiles"),
    ("replay.turned", True, None, "write_report"),
    ("compute.workers", 3, None, "write_report"),
    ("compute.checkpoint_seconds", 3, None, "write_report"),
    ("compute.share", "1/4", None, "write_report"),
    ("compute.engine", "ray", None, "write_report"),
    ("compute.ray.gpus", 0.5, None, "write_report"),
    ("workspace.fresh", True, None, "write_report"),
    ("workspace.run", "other", None, "write_report"),
]


# The same of `rivals`.
RIVAL_CHANGES = [
    ("rivals.families", ["gan"], "train_rivals", "train_judge"),
    ("rivals.budget.seconds", 60.0, "train_rivals", "train_judge"),
    ("gan.learning_rate", 0.5, "train_rivals", "train_judge"),
    ("gan.drawing.truncation", 0.5, "draw_from_rivals", "train_rivals"),
    ("sampling.seed", 9, "draw_from_rivals", "train_rivals"),
    ("rivals.pairs", 9, "draw_from_rivals", "train_rivals"),
    ("rivals.ratio", 0.5, "put_rivals_to_work", "compare_rivals"),
    ("rivals.gallery_pairs", 3, "draw_rivals_gallery", "draw_from_rivals"),
    ("comparison.inception", "download", "compare_rivals", "put_rivals_to_work"),
    ("comparison.gallery_pairs", 3, None, "sum_up_rivals"),
    ("generation.family", "replay", None, "sum_up_rivals"),
    ("folder.path", "elsewhere", None, "sum_up_rivals"),
]


# And of `labels`: where its own shares decide, those of `tiling` do not count.
LABEL_CHANGES = [
    ("labels.shares", [0.5, 1], "cut_by_labels", "find_scenes"),
    ("tiling.label_seed", 3, "cut_by_labels", "find_scenes"),
    ("tiling.label_rest", "unlabelled", "cut_by_labels", "find_scenes"),
    ("tiling.label_share", 0.25, None, "sum_up_labels"),
    ("diffusion.images", 999_999, "train_by_labels", "cut_by_labels"),
    ("generation.family", "gan", "train_by_labels", "cut_by_labels"),
    ("diffusion.drawing.steps", 3, "draw_by_labels", "train_by_labels"),
    ("sampling.seed", 9, "draw_by_labels", "train_by_labels"),
    ("labels.ratio", 0.5, "put_labels_to_work", "draw_by_labels"),
    ("segmentation.training.epochs", 9, "put_labels_to_work", "draw_by_labels"),
    ("gan.learning_rate", 0.5, None, "sum_up_labels"),
    ("rivals.ratio", 0.5, None, "sum_up_labels"),
]


def test_what_is_drawn_from_a_trained_generator_does_not_count_how_it_was_trained(parameters: dict[str, Any]) -> None:
    for pipeline in ("painting", "labelling", "sampling", "rivals", "labels"):
        for node in register_pipelines()[pipeline].nodes:
            if "params:diffusion" in node.inputs and step_name(node) not in ("train_rivals", "train_by_labels"):
                assert counting_settings(node, parameters)["diffusion"].keys() == {"drawing"}, node


@pytest.mark.parametrize(
    ("name", "value", "first", "not_yet", "last"),
    [
        *((*change, "sum_up_rivals") for change in RIVAL_CHANGES),
        *((*change, "sum_up_labels") for change in LABEL_CHANGES),
    ],
)
def test_a_parameter_counts_where_it_changes_what_is_compared_side_by_side(
    name: str, value: Any, first: str | None, not_yet: str, last: str, parameters: dict[str, Any]
) -> None:
    other = changed(parameters, name, value)
    assert not differences(lineage(not_yet, parameters), lineage(not_yet, other))
    if first is not None:
        found = differences(lineage(first, parameters), lineage(first, other))
        assert name in {one.parameter for one in found}
        assert differences(lineage(last, parameters), lineage(last, other))


@pytest.mark.parametrize(("name", "value", "first", "not_yet"), CHANGES)
def test_a_parameter_counts_where_it_changes_results(
    name: str, value: Any, first: str | None, not_yet: str | None, parameters: dict[str, Any]
) -> None:
    other = changed(parameters, name, value)
    if first is not None:
        found = differences(lineage(first, parameters), lineage(first, other))
        # What is asked for may be any device, and was a certain one.
        found += differences(lineage(first, other), lineage(first, parameters))
        assert {one.parameter for one in found} == {name}
        assert differences(lineage("write_report", parameters), lineage("write_report", other))
    if not_yet is not None:
        assert not differences(lineage(not_yet, parameters), lineage(not_yet, other))


def test_the_judge_counts_for_networks_where_it_says_what_they_see(parameters: dict[str, Any]) -> None:
    def counted(**changes: Any) -> Any:
        group = {**parameters["segmentation"], **changes}
        return counting_settings(NODES["train_networks"], {**parameters, "segmentation": group})

    plain, other = counted(), {"network": "fpn_lite0", "seed": 5}
    assert "untrusted" not in plain["segmentation"] and plain == counted(judge=other)
    ruled = [
        counted(untrusted={"times": 4}),
        counted(untrusted={"times": 5}),
        counted(untrusted={"times": 4}, judge=other),
    ]
    assert all(found != plain for found in ruled) and all(ruled[0] != found for found in ruled[1:])


def test_any_device_fits_where_none_is_asked_for(parameters: dict[str, Any]) -> None:
    on_a_gpu = lineage("train_generator", changed(parameters, "compute.device", "cuda"))
    assert not differences(on_a_gpu, lineage("train_generator", changed(parameters, "compute.device", "auto")))
    on_a_cpu = lineage("train_generator", changed(parameters, "compute.device", "cpu"))
    (found,) = differences(on_a_gpu, on_a_cpu)
    assert str(found) == 'compute.device was "cuda", and is "cpu" now'


def test_every_entry_has_steps_that_name_all_their_parameters(parameters: dict[str, Any]) -> None:
    whole = AUGMENT + Pipeline(register_pipelines()["export"].nodes)
    for node in whole.nodes:
        counted = counting_settings(node, parameters)
        given = {name.removeprefix("params:") for name in node.inputs if name.startswith("params:")}
        assert set(counted) <= given


def test_the_judge_counts_for_pairs_that_get_their_masks_from_it(parameters: dict[str, Any]) -> None:
    images = changed(parameters, "generation.family", "image_ddpm")
    other = changed(images, "segmentation.judge.seed", 5)
    (found,) = differences(lineage("draw_pairs", images), lineage("draw_pairs", other))
    assert found.parameter == "segmentation.judge.seed"
    assert not differences(lineage("train_generator", images), lineage("train_generator", other))


def test_another_family_is_named_before_all_its_parameters(parameters: dict[str, Any]) -> None:
    replay = lineage("train_generator", changed(parameters, "generation.family", "replay"))
    first, *others = differences(replay, lineage("train_generator", parameters))
    assert str(first) == 'generation.family was "replay", and is "diffusion" now'
    assert {one.parameter.split(".")[0] for one in others} == {"diffusion", "replay"}


def leaves(value: Any, place: str = "") -> list[str]:
    """Return the places of all parameters below a group."""
    if isinstance(value, dict) and value:
        return [found for key, part in value.items() for found in leaves(part, f"{place}.{key}" if place else key)]
    return [place]


def other_values(value: Any) -> list[Any]:
    """Return values of the kind of one, some of which may be out of bounds."""
    if isinstance(value, bool):
        return [not value]
    if isinstance(value, int | float):
        return [value + 1, value * 2, value / 2, value + 8]
    if isinstance(value, list):
        return [value[:1], [*value, 5], []]
    return ["bf16", "cpu", "euler", "bits", "epsilon", "real", "other", 3]


def fingerprints(parameters: dict[str, Any]) -> dict[str, str]:
    """Return what identifies the work of the steps that compute most, on made tiles."""
    from satsynth.generation.families import family_of
    from satsynth.generation.sampling import sampling_step
    from satsynth.generation.settings import SamplingSettings
    from satsynth.generation.training import training_step
    from satsynth.segmentation.cells import cells_of, judge_cell
    from satsynth.segmentation.settings import SegmentationSettings
    from satsynth.segmentation.trainings import plan_trainings
    from satsynth.training.settings import ComputeSettings

    tiles: Any = SimpleNamespace(
        digest="tiles",
        count=lambda *splits: 10,
        class_names=["land"],
        scenes=lambda split: [split],
        unused_labels=[],
        image_parts=[],
    )
    pairs: Any = SimpleNamespace(digest="pairs", pixel_digests=lambda split: [str(row) for row in range(1000)])
    family = family_of("diffusion")
    settings = family.settings.model_validate(parameters["diffusion"])
    compute = ComputeSettings.model_validate(parameters["compute"])
    grid = SegmentationSettings.model_validate(parameters["segmentation"])
    sampling = SamplingSettings.model_validate(parameters["sampling"])
    (judge,) = plan_trainings([judge_cell(grid)], tiles, None, grid, compute)
    planned = plan_trainings(cells_of(grid), tiles, pairs, grid, compute)
    return {
        "train_generator": training_step(family, settings, tiles, compute).fingerprint,
        "draw_pairs": sampling_step(tiles, family, settings, sampling, tiles, compute).fingerprint,
        "train_judge": judge.step.fingerprint,
        "train_networks": str([one.step.fingerprint for one in planned]),
    }


def test_whatever_changes_a_fingerprint_counts(parameters: dict[str, Any]) -> None:
    """Every parameter of the steps that compute most is changed, one at a time."""
    before, changes = fingerprints(parameters), 0
    plain = {step: counting_settings(NODES[step], parameters) for step in before}
    groups = ("diffusion", "sampling", "segmentation", "compute")
    for place in [place for group in groups for place in leaves(parameters[group], group)]:
        value = parameters
        for part in place.split("."):
            value = value[part]
        for other in other_values(value):
            candidate = changed(parameters, place, other)
            if other == value or problems_of(candidate):
                continue
            try:
                after = fingerprints(candidate)
            except SatSynthError:
                # No such generator to start from, or too few pairs.
                continue
            for step, fingerprint in after.items():
                if fingerprint != before[step]:
                    assert counting_settings(NODES[step], candidate) != plain[step], (place, other, step)
                    changes += 1
    assert changes > 50
