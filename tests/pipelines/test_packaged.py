"""The package runs where the project is not: with a configuration from elsewhere, in whatever folder it is called."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from projects import ROOT, clean_environment

from satsynth.scenes.scene import scenes_from_frame


def test_it_runs_in_an_empty_folder_with_a_configuration_from_elsewhere(tmp_path: Path) -> None:
    import pandas as pd

    conf, here = tmp_path / "elsewhere" / "conf", tmp_path / "here"
    shutil.copytree(ROOT / "conf", conf)
    here.mkdir()
    command = [sys.executable, "-m", "satsynth", "--pipeline=ingestion", "--env=smoke", f"--conf-source={conf}"]
    done = subprocess.run(command, cwd=here, env=clean_environment(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (table,) = here.glob("data/02_intermediate/smoke/*/scenes.parquet")
    assert {scene.split for scene in scenes_from_frame(pd.read_parquet(table))} == {"train", "val", "test"}
    assert not (conf.parent / "data").exists()


def test_an_archive_of_a_configuration_is_to_be_unpacked(tmp_path: Path) -> None:
    archive = shutil.make_archive(str(tmp_path / "conf"), "gztar", ROOT, "conf")
    command = [sys.executable, "-m", "satsynth", "--pipeline=ingestion", f"--conf-source={archive}"]
    done = subprocess.run(command, cwd=tmp_path, env=clean_environment(), capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "unpack" in done.stderr and "Traceback" not in done.stderr
