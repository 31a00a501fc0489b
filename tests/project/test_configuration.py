from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from kedro.config import OmegaConfigLoader
from kedro.framework.project import pipelines
from kedro.framework.startup import bootstrap_project
from kedro.pipeline import Pipeline
from kedro.validation.type_extractor import TypeExtractor

from satsynth.datasets.description import DatasetDescription
from satsynth.diffusion.beforehand import check_size
from satsynth.diffusion.generator import Generator
from satsynth.diffusion.settings import DiffusionSettings
from satsynth.pipelines.parameters import MODELS, problems_of
from satsynth.segmentation.beforehand import require_ready
from satsynth.segmentation.networks import build_network
from satsynth.segmentation.settings import SegmentationSettings
from satsynth.settings import CONFIG_LOADER_ARGS

ROOT = Path(__file__).parents[2]
LAYERS = {"intermediate", "primary", "models", "model_output", "reporting"}
ENVIRONMENTS = ("base", "smoke", "gpu", "paper")
DATASETS = sorted(
    path.stem.removeprefix("parameters_dataset_") for path in (ROOT / "conf/base").glob("parameters_dataset_*.yml")
)


@pytest.fixture(scope="module", autouse=True)
def _project() -> None:
    bootstrap_project(ROOT)


def loader(env: str, **params: Any) -> OmegaConfigLoader:
    return OmegaConfigLoader(str(ROOT / "conf"), env=env, runtime_params=params, **CONFIG_LOADER_ARGS)  # type: ignore[arg-type]


@pytest.mark.parametrize("env", ENVIRONMENTS)
@pytest.mark.parametrize("dataset", DATASETS)
def test_parameters_are_valid_in_every_environment_for_every_data_set(env: str, dataset: str) -> None:
    parameters = loader(env, dataset=dataset)["parameters"]
    assert problems_of(parameters) == []
    assert parameters["description"]["name"] == dataset


def test_an_environment_overrides_leaves_only() -> None:
    base, smoke = loader("base")["parameters"], loader("smoke")["parameters"]
    assert smoke["diffusion"]["images"] < base["diffusion"]["images"]
    assert smoke["diffusion"]["model"]["label_code"] == base["diffusion"]["model"]["label_code"]
    assert smoke["tiling"]["keep"] == base["tiling"]["keep"]


@pytest.mark.parametrize("env", ENVIRONMENTS)
def test_neither_environments_nor_data_sets_share_a_file(env: str) -> None:
    # The catalog is given the name only: two of them stand for all.
    for dataset in (DATASETS[0], DATASETS[-1]):
        catalog = loader(env, dataset=dataset)["catalog"]
        assert catalog and all(f"/{env}/{dataset}/" in entry["filepath"] for entry in catalog.values())


def _all() -> Pipeline:
    """The default pipeline and those that stand alone."""
    alone = ("rivals", "labels", "painting", "labelling", "export", "download")
    return sum((pipelines[name] for name in alone), pipelines["augment"])


def test_every_catalog_entry_is_used_and_every_output_is_kept() -> None:
    catalog = loader("base")["catalog"]
    data = {name for name in _all().datasets() if not name.startswith("params:")}
    assert data == set(catalog)
    assert {entry["metadata"]["kedro-viz"]["layer"] for entry in catalog.values()} == LAYERS
    assert {name for name, entry in catalog.items() if entry.get("versioned")} == {
        "tiles",
        "generator",
        "judge",
        "synthetic_pairs",
        "rival_generators",
        "rival_pairs",
        "label_tiles",
        "label_generators",
        "label_pairs",
        "segmentation_runs",
        "scene_confusion",
    }


def test_every_node_is_named_tagged_and_documented() -> None:
    nodes = _all().nodes
    assert len({node.name for node in nodes}) == len(nodes)
    for node in nodes:
        assert node._name and len(node.tags & {"cpu", "gpu"}) == 1 and len(node.tags) == 2
        assert node.func.__doc__ and "Args:" in node.func.__doc__


def test_nothing_is_fetched_or_exported_by_the_default() -> None:
    names = {node.name for node in pipelines["__default__"].nodes}
    assert not names & {"fetch_raw", "export_tiles", "export_synthetic", "paint_drawn_masks", "label_real_images"}


def test_augment_is_the_default_and_the_sum_of_the_eight() -> None:
    eight = ("ingestion", "tiling", "judge", "diffusion", "sampling", "comparison", "segmentation", "report")
    assert {node.name for name in eight for node in pipelines[name].nodes} == {
        node.name for node in pipelines["augment"].nodes
    }
    assert pipelines["__default__"].nodes == pipelines["augment"].nodes


def test_deployment_plug_ins_make_one_task_of_each_stage() -> None:
    """kedro-airflow and kedro-dagster group nodes as Kedro does."""
    groups = pipelines["augment"].group_nodes_by("namespace")
    stages = ("ingestion", "tiling", "judge", "diffusion", "sampling", "comparison", "segmentation", "report")
    assert {group.name: group.type for group in groups} == dict.fromkeys(stages, "namespace")
    after = {group.name: set(group.dependencies) for group in groups}
    assert after["ingestion"] == set() and after["tiling"] == {"ingestion"}
    assert {"diffusion", "tiling"} <= after["sampling"] and {"sampling", "judge"} <= after["comparison"]
    for group in groups:
        assert {node.name for node in pipelines["augment"].only_nodes_with_namespaces([group.name]).nodes} == {
            node.name for node in pipelines[group.name].nodes
        }


def test_kedro_can_validate_every_parameter_of_the_nodes() -> None:
    types = TypeExtractor(dict(pipelines)).extract_types_from_pipelines()
    used = {name.removeprefix("params:") for name in _all().inputs() if name.startswith("params:")}
    assert {name: types[name] for name in used} == {name: MODELS[name] for name in used}
    assert len(used) == len(MODELS) - 1, "all but `tracking`, which belongs to no node"


# What only a project can say: its data set, its folder, the name of its experiment.
NO_DEFAULTS = ("description", "workspace", "tracking")


@pytest.mark.parametrize("name", [name for name in MODELS if name not in NO_DEFAULTS])
def test_a_plain_script_gets_the_parameters_of_the_default_environment(name: str) -> None:
    configured = loader("base")["parameters"][name]
    if name == "tiling":
        # Each description has its own.
        configured = {key: value for key, value in configured.items() if key not in ("stride", "keep")}
    assert MODELS[name].model_validate(configured) == MODELS[name]()


def test_description_files_are_named_after_their_data_set() -> None:
    for dataset in DATASETS:
        content = yaml.safe_load((ROOT / f"conf/base/parameters_dataset_{dataset}.yml").read_text())["datasets"]
        assert list(content) == [dataset]
        assert DatasetDescription(**content[dataset]).name == dataset


def test_listing_pipelines_loads_no_heavy_library() -> None:
    code = (
        "import sys; from kedro.framework.startup import bootstrap_project; "
        f"bootstrap_project({str(ROOT)!r}); from kedro.framework.project import pipelines; dict(pipelines); "
        "heavy = ('torch', 'segmentation_models_pytorch', 'diffusers', 'mlflow', 'albumentations'); "
        "print([name for name in heavy if name in sys.modules])"
    )
    assert (
        subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
        ).stdout.strip()
        == "[]"
    )


def test_readme_and_makefile_agree() -> None:
    readme, makefile = (ROOT / "README.md").read_text(), (ROOT / "Makefile").read_text()
    for target in ("augment", "test", "lint", "viz", "ui", "clean", "help"):
        assert f"make {target}" in readme and f"\n{target}:" in makefile


def test_the_interface_of_mlflow_is_started_without_its_telemetry() -> None:
    recipe = (ROOT / "Makefile").read_text().split("\nui:")[1].split("\n\n")[0]
    # `mlflow ui` imports nothing of ours, which would switch it off.
    assert "MLFLOW_DISABLE_TELEMETRY=true" in recipe and "mlflow ui" in recipe


def test_ready_networks_can_be_chosen_by_their_name(tmp_path: Path) -> None:
    (tmp_path / "parameters.yml").write_text(
        "segmentation: {networks: {fpn_lite0: null, fpn_mobilenetv3: '${globals:ready_networks.fpn_mobilenetv3}'}, "
        "judge: {network: fpn_mobilenetv3}}"
    )
    parameters = loader(str(tmp_path))["parameters"]
    assert problems_of(parameters) == []
    (network,) = SegmentationSettings(**parameters["segmentation"]).networks.values()
    assert (network.encoder, network.weights) == ("tu-mobilenetv3_small_100", None)
    require_ready({"fpn_mobilenetv3": network})


@pytest.mark.parametrize("env", ENVIRONMENTS)
def test_the_networks_of_every_environment_can_be_built(env: str) -> None:
    parameters = loader(env)["parameters"]
    settings = DiffusionSettings(**parameters["diffusion"])
    check_size(settings.model.network, parameters["tiling"]["tile_size"])
    segmentation = SegmentationSettings(**parameters["segmentation"])
    with torch.device("meta"):
        generator = Generator(settings.model, 7)
        for network in segmentation.networks.values():
            build_network(network, 7)
    # 7 classes as bits, as in the paper, or one-hot.
    assert generator.channels == (6 if env == "paper" else 10)
    assert segmentation.judge.network in segmentation.networks
