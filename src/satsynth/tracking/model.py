"""A generator as a registered MLflow model: weights in safetensors, code as files, no pickle."""

from __future__ import annotations

import re
import shutil
import tempfile
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from satsynth.generation.families import FamilySettings, family_of
from satsynth.generation.saved import SavedGenerator
from satsynth.generation.settings import SamplingSettings
from satsynth.tracking.store import uploading
from satsynth.work.files import MANIFEST

# What the bundled code imports when it draws.
_NEEDED = (
    "torch",
    "diffusers",
    "safetensors",
    "numpy",
    "scipy",
    "pandas",
    "pyarrow",
    "pydantic",
    "opencv-python-headless",
    "pillow",
    "albumentations",
    "filelock",
    "tqdm",
)
_TYPES = {int: "long", float: "double", str: "string", bool: "boolean"}


@dataclass(frozen=True)
class ModelToLog:
    """A generator and how pairs are drawn from it by default.

    Args:
        name: Name among the registered models.
        run: Key of the run that trained it.
        generator: The generator.
        settings: Parameters of its family.
        sampling: Seed, batch and cleaning of the pairs.
        precision: Arithmetic of its network.
    """

    name: str
    run: str
    generator: SavedGenerator
    settings: FamilySettings
    sampling: SamplingSettings
    precision: str


def log_model(client: Any, experiment: str, run: str, model: ModelToLog) -> None:
    """Log a generator as a model and register it, unless one with its digest is registered.

    Args:
        client: MLflow client.
        experiment: Identifier of the experiment.
        run: Identifier of the run that it belongs to.
        model: What to log.
    """
    from mlflow.entities import LoggedModelOutput
    from mlflow.exceptions import MlflowException

    digest = model.generator.digest
    if any(found.tags.get("digest") == digest for found in client.search_model_versions(f"name = '{model.name}'")):
        return
    tags = {"digest": digest, "tiles": model.generator.parents.get("tiles", "")}
    logged = client.create_logged_model(experiment, "generator", run, tags, model_type="satsynth-generator")
    try:
        with tempfile.TemporaryDirectory(prefix="satsynth-") as folder:
            write_model(Path(folder) / "model", model, logged.model_id, run)
            with uploading():
                client.log_model_artifacts(logged.model_id, str(Path(folder) / "model"))
    except BaseException:
        client.finalize_logged_model(logged.model_id, "FAILED")
        raise
    client.finalize_logged_model(logged.model_id, "READY")
    client.log_outputs(run, [LoggedModelOutput(logged.model_id, 0)])
    try:
        client.create_registered_model(model.name, description="Draws image-mask pairs; see the README of satsynth.")
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
    # Not models:/<id>, which a file's registry looks up at the process's own tracking URI.
    client.create_model_version(model.name, logged.artifact_location, run, tags, model_id=logged.model_id)


def write_model(path: Path, model: ModelToLog, model_id: str | None = None, run: str | None = None) -> None:
    """Write a generator in MLflow's format, with the code of this package beside it.

    Args:
        path: The folder to make.
        model: What to write.
        model_id: Identifier of the logged model.
        run: Identifier of the run that it belongs to.
    """
    import mlflow.pyfunc
    import pandas as pd
    from mlflow.models import Model, ModelSignature
    from mlflow.types import ColSpec, ParamSchema, ParamSpec, Schema

    signature = ModelSignature(
        Schema([ColSpec("long", "pair")]),
        Schema([ColSpec("long", "pair"), ColSpec("binary", "image"), ColSpec("binary", "mask")]),
        ParamSchema([ParamSpec(name, _TYPES[type(value)], value) for name, value in changeable(model).items()]),
    )
    package = Path(__file__).parents[1]
    with tempfile.TemporaryDirectory(prefix="satsynth-") as folder:
        weights, code = Path(folder) / "generator", Path(folder) / package.name
        weights.mkdir()
        for name in (MANIFEST, *family_of(model.generator.family).drawing_files):
            shutil.copyfile(model.generator.path / name, weights / name)
        shutil.copytree(package, code, ignore=shutil.ignore_patterns("__pycache__"))
        mlflow.pyfunc.save_model(
            path=str(path),
            python_model=str(Path(__file__).with_name("generator_model.py")),
            artifacts={"generator": str(weights)},
            code_paths=[str(code)],
            pip_requirements=_requirements(),
            model_config={
                "settings": model.settings.model_dump(mode="json"),
                "sampling": model.sampling.model_dump(mode="json"),
                "precision": model.precision,
            },
            signature=signature,
            input_example=pd.DataFrame({"pair": [0, 1]}),
            mlflow_model=Model(artifact_path="generator", run_id=run, model_uuid=model_id, model_id=model_id),
        )


def changeable(model: ModelToLog) -> dict[str, Any]:
    """Return the parameters of `predict` with their defaults: the seed, and how the family draws."""
    drawing = model.settings.drawing.model_dump(mode="json")
    return {"seed": model.sampling.seed} | {name: value for name, value in drawing.items() if type(value) in _TYPES}


def _requirements() -> list[str]:
    """Return the packages that drawing needs at the versions of this environment."""
    found = []
    for package in ("mlflow", *_NEEDED):
        try:
            # Local parts of a version, such as +cpu, are not on the package index.
            found.append(f"{package}=={re.sub(r'[+].*', '', version(package))}")
        except PackageNotFoundError:
            found.append(package)
    return found
