from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from satsynth.work.errors import ResourceError, SatSynthError
from satsynth.work.files import digest_of, read_json
from satsynth.work.finished import Finished
from satsynth.work.folder import Step, alike, work_folder

STEP = Step("cutting", 1, {"scenes": "abc"}, {"tile": 8})
HOLD = """
import sys
from pathlib import Path
from satsynth.work.folder import Step, work_folder
with work_folder(Path(sys.argv[1]), Step("cutting", 1, {"scenes": "abc"}, {"tile": 8})):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.mark.parametrize(
    "other",
    [
        Step("sawing", 1, {"scenes": "abc"}, {"tile": 8}),
        Step("cutting", 2, {"scenes": "abc"}, {"tile": 8}),
        Step("cutting", 1, {"scenes": "abd"}, {"tile": 8}),
        Step("cutting", 1, {"tiles": "abc"}, {"tile": 8}),
        Step("cutting", 1, {"scenes": "abc"}, {"tile": 9}),
        Step("cutting", 1, {"scenes": "abc"}, {"tile": 8, "stride": 4}),
    ],
)
def test_the_fingerprint_changes_with_whatever_changes_results(other: Step) -> None:
    assert other.fingerprint != STEP.fingerprint


@given(st.dictionaries(st.text(), st.integers()), st.dictionaries(st.text(), st.text()))
def test_the_fingerprint_does_not_depend_on_order(settings: dict[str, Any], parents: dict[str, str]) -> None:
    turned = Step("a", 1, dict(reversed(parents.items())), dict(reversed(settings.items())))
    assert turned.fingerprint == Step("a", 1, parents, settings).fingerprint


def test_work_that_differs_in_one_setting_alone_is_found(tmp_path: Path) -> None:
    def made(name: str = "cutting", version: int = 1, **settings: int) -> Path:
        with work_folder(tmp_path, Step(name, version, {"scenes": "abc"}, settings)) as folder:
            return folder.result

    fewer, more = made(tile=8, number=3), made(tile=8, number=9)
    made(tile=9, number=3), made(version=2, tile=8, number=3), made("sawing", tile=8, number=3), made(tile=8, pairs=3)
    with work_folder(tmp_path, Step("cutting", 1, {"scenes": "abc"}, {"tile": 8, "number": 5})) as folder:
        assert set(alike(folder, "number")) == {fewer, more}
        assert alike(folder, "tile") == []


def test_finished_work_is_found_again_and_its_digest_covers_its_content(tmp_path: Path) -> None:
    with work_folder(tmp_path, STEP) as folder:
        assert not folder.finished
        folder.finish({"rows": 3})
    with work_folder(tmp_path, STEP) as again:
        assert again.finished
        manifest = again.manifest()
    content = {key: value for key, value in manifest.items() if key != "digest"}
    assert content == {"rows": 3, "fingerprint": STEP.fingerprint, "parents": {"scenes": "abc"}}
    assert manifest["digest"] == digest_of(content)
    finished = Finished(again.result)
    assert finished.digest == manifest["digest"]
    assert finished.parents == {"scenes": "abc"}


def test_the_folder_notes_the_step(tmp_path: Path) -> None:
    with work_folder(tmp_path, STEP) as folder:
        note = read_json(folder.path / "step.json")
    assert note == {"name": "cutting", "version": 1, "parents": {"scenes": "abc"}, "settings": {"tile": 8}}


def test_a_result_without_manifest_is_not_finished(tmp_path: Path) -> None:
    (tmp_path / "part.bin").write_bytes(b"part")
    with pytest.raises(SatSynthError, match=r"manifest\.json is missing"):
        Finished(tmp_path)


def test_forgetting_helpers_keeps_the_result(tmp_path: Path) -> None:
    with work_folder(tmp_path, STEP) as folder:
        (folder.path / "checkpoints").mkdir()
        (folder.path / "checkpoints" / "last.bin").write_bytes(b"state")
        (folder.path / "notes.txt").write_text("x")
        (folder.path / "run.json").write_text("{}")
        (folder.result / "weights.bin").write_bytes(b"w")
        folder.forget_helpers()
        assert sorted(p.name for p in folder.path.iterdir()) == ["number.json", "result", "run.json", "step.json"]
        assert (folder.result / "weights.bin").exists()


def test_a_folder_held_by_another_process_is_refused_by_its_number(tmp_path: Path) -> None:
    command = [sys.executable, "-c", HOLD, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        with pytest.raises(ResourceError, match=rf"Process {other.pid} .*'cutting'"), work_folder(tmp_path, STEP):
            pass
        with work_folder(tmp_path, Step("cutting", 2, {}, {})):
            pass
        other.communicate("")
    assert other.returncode == 0
    with work_folder(tmp_path, STEP) as folder:
        assert folder.result.is_dir()


def test_a_killed_process_holds_nothing(tmp_path: Path) -> None:
    command = [sys.executable, "-c", HOLD, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        other.stdout.readline()
        other.kill()
    with (
        work_folder(tmp_path, STEP),
        pytest.raises(ResourceError, match=f"Process {os.getpid()} "),
        work_folder(tmp_path, STEP),
    ):
        pass


def test_a_failure_inside_frees_the_folder(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), work_folder(tmp_path, STEP):
        raise KeyboardInterrupt
    with work_folder(tmp_path, STEP) as folder:
        assert folder.result.is_dir()


def test_a_run_that_begins_anew_forgets_all_work_but_its_own(tmp_path: Path) -> None:
    with work_folder(tmp_path, STEP) as folder:
        folder.finish({})
    # As if the clock had been set back since.
    os.utime(folder.path / "step.json", (2**33, 2**33))
    with work_folder(tmp_path, STEP, "first") as own:
        assert not own.finished and own.result.is_dir()
        own.finish({})
        own.forget_helpers()
    for run in ("first", ""):
        with work_folder(tmp_path, STEP, run) as continued:
            assert continued.finished
    # In the same process, too.
    with work_folder(tmp_path, STEP, "second") as other:
        assert not other.finished and other.result.is_dir()


def test_folders_of_a_step_are_numbered_in_their_order_whatever_the_clock_says(tmp_path: Path) -> None:
    numbers = []
    for seed in (3, 1, 2):
        with work_folder(tmp_path, Step("training", 1, {}, {"seed": seed})) as folder:
            numbers.append(json.loads((folder.path / "number.json").read_text()))
    assert numbers == [1, 2, 3]


def test_work_that_may_not_be_written_is_a_resource_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(*args: object, **options: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "mkdir", forbidden)
    with pytest.raises(ResourceError, match="cannot be written"), work_folder(tmp_path, STEP):
        pass


def test_what_a_killed_process_left_half_written_is_swept_away(tmp_path: Path) -> None:
    step = Step("tiling", 1, {}, {})
    with work_folder(tmp_path, step) as folder:
        stale = folder.result / ".tiles-00000.parquet.deadbeef.tmp"
        stale.write_bytes(b"half")
        trash = folder.path.with_name(f".{folder.path.name}.deadbeef.tmp")
        trash.mkdir()
    with work_folder(tmp_path, step) as folder:
        assert not stale.exists() and not trash.exists() and folder.result.exists()


def test_the_digest_covers_the_content_of_named_files(tmp_path: Path) -> None:
    digests = []
    for content in (b"one", b"two"):
        with work_folder(tmp_path / content.decode(), Step("diffusion", 1, {}, {})) as folder:
            (folder.result / "weights").write_bytes(content)
            folder.finish({"kind": "generator"}, ["weights"])
            digests.append(folder.manifest()["digest"])
    assert digests[0] != digests[1]
