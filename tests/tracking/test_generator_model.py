from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from mlflow.tracking import MlflowClient
from safetensors.torch import save_file

import tiny
from satsynth import tracking
from satsynth.diffusion.family import FAMILY
from satsynth.diffusion.saved import AVERAGED, WEIGHTS
from satsynth.diffusion.settings import DiffusionDrawing, DiffusionSettings
from satsynth.generation.drawers import Request
from satsynth.generation.saved import SavedGenerator
from satsynth.generation.settings import SamplingSettings
from satsynth.pairs.pair import encode_image, encode_mask
from satsynth.training.settings import ComputeSettings
from satsynth.work.folder import Step, work_folder
from threads import one_thread  # noqa: F401  # a fixture is used by being imported

SAMPLING = SamplingSettings(layouts="joint", batch_size=1)
SETTINGS = DiffusionSettings(drawing=DiffusionDrawing(steps=4, sigma_max=80.0))
# What somebody else types, with MLflow and pandas and the requirements of the model.
ELSEWHERE = """
import base64, json, sys
# Of satsynth's own requirements these are none of the model's.
for name in ("kedro", "kedro_datasets", "segmentation_models_pytorch", "rasterio", "torchmetrics", "psutil"):
    sys.modules[name] = None
import mlflow, pandas as pd
mlflow.set_tracking_uri(sys.argv[1])
model = mlflow.pyfunc.load_model("models:/tests-generator/latest")
usual = model.predict(pd.DataFrame({"pair": [0, 1]}))
other = model.predict(pd.DataFrame({"pair": [1]}), params={"seed": 5})
longer = model.predict(pd.DataFrame({"pair": [1]}), params={"steps": 6, "sampler": "euler"})
import satsynth
def text(frame):
    return [[int(row.pair), *(base64.b64encode(png).decode() for png in (row.image, row.mask))]
            for row in frame.itertuples()]
print(json.dumps({"usual": text(usual), "other": text(other), "longer": text(longer), "code": satsynth.__file__}))
"""


@pytest.fixture
def generator(tmp_path: Path) -> SavedGenerator:
    """A tiny generator with random weights, its last layer included."""
    made = tiny.random_generator(4)
    with work_folder(tmp_path / "generator", Step("diffusion", 1, {"tiles": "abc"}, {})) as folder:
        for name in (WEIGHTS, AVERAGED):
            save_file(made.denoiser.state_dict(), folder.result / name)
        classes = [{"name": f"class {k}", "color": [k, 0, 0]} for k in range(4)]
        manifest = {
            "kind": "generator",
            "family": "diffusion",
            "model": tiny.MODEL.model_dump(mode="json"),
            "classes": classes,
        }
        folder.finish({**manifest, "tile_size": 32, "scenes": ["a"]}, [WEIGHTS, AVERAGED])
    return SavedGenerator(folder.result)


def expected(
    generator: SavedGenerator, numbers: list[int], seed: int = 0, **changed: DiffusionDrawing
) -> list[list[object]]:
    drawer = FAMILY.load(generator, SETTINGS.model_copy(update=changed), ComputeSettings(device="cpu"))
    rows: list[list[object]] = []
    for number in numbers:
        images, masks = drawer.draw([number], Request(seed))
        pngs = (encode_image(images[0]), encode_mask(masks[0]))
        rows.append([number, *(base64.b64encode(png).decode() for png in pngs)])
    return rows


@pytest.mark.parametrize("where", ["file", "server"])
def test_others_load_the_registered_generator_and_draw_the_same_pairs(
    where: str,
    request: pytest.FixtureRequest,
    local: str,
    tmp_path: Path,
    generator: SavedGenerator,
    caplog: pytest.LogCaptureFixture,
    recwarn: pytest.WarningsRecorder,
) -> None:
    uri = local if where == "file" else request.getfixturevalue("served").uri
    tracker = tracking.Tracker(uri, "tests", tmp_path / "artifacts")
    tracker.start("parent", {}, {})
    model = tracking.ModelToLog("tests-generator", "diffusion", generator, SETTINGS, SAMPLING, "fp32")
    tracker.model(model)
    tracker.model(model)
    tracker.close("FINISHED")
    assert not [record for record in caplog.records if record.name.startswith("satsynth")]
    # A server in this process imports what warns of its own libraries.
    ours = [warning for warning in recwarn if "mlflow/server" not in Path(warning.filename).as_posix()]
    assert not [str(warning.message) for warning in ours if issubclass(warning.category, UserWarning)]
    client = MlflowClient(uri, uri)
    (version,) = client.search_model_versions("name = 'tests-generator'")
    assert version.tags["digest"] == generator.digest and version.tags["tiles"] == "abc"
    run = client.get_run(tracker._writer.ids[""])
    assert run.info.status == "FINISHED"
    logged = client.get_logged_model(run.outputs.model_outputs[0].model_id)
    assert logged.status == "READY" and logged.source_run_id == run.info.run_id
    files = [path for path in (tmp_path / ("artifacts" if where == "file" else "served")).rglob("*") if path.is_file()]
    assert {path.name for path in files} >= {"MLmodel", "ema.safetensors", "generator_model.py", "requirements.txt"}
    assert not [path for path in files if path.suffix in (".pkl", ".pickle", ".pt", ".pth", ".pyc")]
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("PYTHONPATH", "MLFLOW_"))}
    done = subprocess.run(
        [sys.executable, "-c", ELSEWHERE, uri],
        cwd=tmp_path,
        env=environment | {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["usual"] == expected(generator, [0, 1])
    assert found["other"] == expected(generator, [1], seed=5) != found["usual"][1:]
    euler = DiffusionDrawing(steps=6, sigma_max=80.0, sampler="euler")
    assert found["longer"] == expected(generator, [1], drawing=euler) != found["usual"][1:]
    assert str(tmp_path) in found["code"], "the code beside the model is what drew"


def test_a_server_without_models_keeps_the_run(
    local: str,
    tmp_path: Path,
    generator: SavedGenerator,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from mlflow.exceptions import MlflowException
    from mlflow.protos.databricks_pb2 import ENDPOINT_NOT_FOUND

    def absent(*args: object, **options: object) -> None:
        raise MlflowException("no such endpoint", ENDPOINT_NOT_FOUND)

    monkeypatch.setattr(MlflowClient, "create_logged_model", absent)
    tracker = tracking.Tracker(local, "tests", tmp_path / "artifacts", "sqlite:///nowhere")
    tracker.start("parent", {}, {})
    tracker.model(tracking.ModelToLog("tests-generator", "diffusion", generator, SETTINGS, SAMPLING, "fp32"))
    tracker.close("FINISHED")
    assert MlflowClient(local).get_run(tracker._writer.ids[""]).info.status == "FINISHED"
    assert len([record for record in caplog.records if "refused an entry" in record.message]) == 1
