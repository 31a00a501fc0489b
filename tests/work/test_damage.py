"""Damage of finished work: found, named, and made again by the same command."""

from __future__ import annotations

import json
import logging
import os
import pickle
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from satsynth.work import verified
from satsynth.work.errors import DamagedError
from satsynth.work.files import MANIFEST, DigestCache, file_digest, place_folder, read_json
from satsynth.work.finished import TIMING, Finished, read_timing, write_timing
from satsynth.work.folder import Step, WorkFolder, alike, work_folder
from satsynth.work.remembered import is_remembered, remembered, remembered_table
from satsynth.work.workspace import Workspace

STEP = Step("cutting", 1, {"scenes": "abc"}, {"tile": 8})
CONTENT = bytes(range(200))


def make(folder: WorkFolder) -> None:
    (folder.result / "weights.bin").write_bytes(CONTENT)
    write_timing(folder.result, 1.5)
    folder.finish({"kind": "made", "sizes": {2: 1, 10: 1}}, ["weights.bin"])


def flip(path: Path, byte: int, bit: int = 0) -> None:
    """Change one bit in place, as a disk does it: the file keeps its inode."""
    with path.open("r+b") as file:
        file.seek(byte)
        old = file.read(1)[0]
        file.seek(byte)
        file.write(bytes([old ^ (1 << bit)]))
    stat = path.stat()
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns + 1))


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_every_flipped_bit_of_finished_work_is_repaired_with_one_warning(
    tmp_path_factory: pytest.TempPathFactory, caplog: pytest.LogCaptureFixture, data: st.DataObject
) -> None:
    workspace = Workspace(project=str(tmp_path_factory.mktemp("flip")))
    done = remembered(workspace, STEP, make)
    name = data.draw(st.sampled_from(["weights.bin", MANIFEST, TIMING]))
    path = done.result / name
    before = {p.name: p.read_bytes() for p in done.result.iterdir()}
    byte = data.draw(st.integers(0, path.stat().st_size - 1))
    flip(path, byte, data.draw(st.integers(0, 7)))
    caplog.clear()
    again = remembered(workspace, STEP, make)
    after = {p.name: p.read_bytes() for p in again.result.iterdir()}
    # White space of JSON, and the name of the key by which a record of seconds has a digest, carry nothing.
    if again.found:
        assert name != "weights.bin"
        assert again.manifest == json.loads(before[MANIFEST]) and read_timing(again.result) == 1.5
    else:
        assert after == before
        (said,) = warnings(caplog)
        assert str(path) in said and "'cutting'" in said


@pytest.mark.parametrize("name", ["weights.bin", MANIFEST, TIMING])
@pytest.mark.parametrize("size", [0, 1, 30])
def test_cut_off_files_are_damage(tmp_path: Path, caplog: pytest.LogCaptureFixture, name: str, size: int) -> None:
    workspace = Workspace(project=str(tmp_path))
    done = remembered(workspace, STEP, make)
    os.truncate(done.result / name, size)
    with pytest.raises(DamagedError, match=name):
        Finished(done.result).verify()
    assert not is_remembered(workspace, STEP)
    assert not remembered(workspace, STEP, make).found
    Finished(done.result).verify()
    assert len(warnings(caplog)) == 1


def test_a_missing_file_and_the_result_of_other_work_are_damage(tmp_path: Path) -> None:
    workspace = Workspace(project=str(tmp_path))
    done = remembered(workspace, STEP, make)
    (done.result / "weights.bin").unlink()
    assert not remembered(workspace, STEP, make).found
    other = remembered(workspace, Step("cutting", 2, {}, {}), make)
    (other.result / MANIFEST).replace(done.result / MANIFEST)
    assert not remembered(workspace, STEP, make).found
    assert remembered(workspace, STEP, make).found


def test_a_linked_version_is_told_from_work_that_the_same_command_repairs(tmp_path: Path) -> None:
    workspace = Workspace(project=str(tmp_path))
    done = remembered(workspace, STEP, make)
    version = tmp_path / "made" / "2026"
    place_folder(done.result, version)
    flip(version / "weights.bin", 3)
    with pytest.raises(DamagedError, match="same environment") as caught:
        Finished(version).file("weights.bin")
    assert caught.value.path == version / "weights.bin"
    # One file with two names: the work is damaged too, and its owner finds it.
    again = remembered(workspace, STEP, make)
    assert not again.found
    assert (again.result / "weights.bin").read_bytes() == CONTENT
    assert (version / "weights.bin").read_bytes() != CONTENT


def test_a_copy_that_is_edited_leaves_the_work_as_it_is(tmp_path: Path) -> None:
    workspace = Workspace(project=str(tmp_path))
    done = remembered(workspace, STEP, make)
    place_folder(done.result, tmp_path / "copy", linked=False)
    flip(tmp_path / "copy" / "weights.bin", 3)
    assert remembered(workspace, STEP, make).found


def test_a_damaged_input_is_no_reason_to_do_the_work_twice(tmp_path: Path) -> None:
    tries = []

    def fail(folder: WorkFolder) -> None:
        tries.append(folder)
        raise DamagedError(tmp_path / "tiles" / "x", "its content differs", "Make it again.")

    with pytest.raises(DamagedError, match="tiles"):
        remembered(Workspace(project=str(tmp_path)), STEP, fail)
    assert len(tries) == 1


def test_interrupted_work_that_is_damaged_begins_anew(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    def go_on(folder: WorkFolder) -> None:
        part = folder.result / "part.bin"
        if part.exists():
            raise DamagedError(part, "it is cut off", "")
        make(folder)

    workspace = Workspace(project=str(tmp_path))
    with work_folder(workspace.work, STEP) as folder:
        (folder.result / "part.bin").write_bytes(b"half")
    assert not remembered(workspace, STEP, go_on).found
    assert not (folder.result / "part.bin").exists()
    assert len(warnings(caplog)) == 1


@pytest.mark.parametrize("damage", [lambda path: os.truncate(path, 50), lambda path: flip(path, 40)])
def test_a_damaged_table_is_computed_again(tmp_path: Path, damage: Callable[[Path], None]) -> None:
    workspace, tries = Workspace(project=str(tmp_path)), []

    def compute() -> tuple[pd.DataFrame, dict[str, int]]:
        tries.append(1)
        return pd.DataFrame({"a": [1, 2]}), {"b": 3}

    first = remembered_table(workspace, STEP, compute)
    damage(next(workspace.work.glob("cutting/*/result/*.parquet")))
    again = remembered_table(workspace, STEP, compute)
    assert first[0].equals(again[0]) and first[1] == again[1] and len(tries) == 2


def test_a_large_file_is_read_once_in_a_process_by_whatever_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace = Workspace(project=str(tmp_path))
    done, read = remembered(workspace, STEP, make), []
    monkeypatch.setattr(verified, "file_digest", lambda path: read.append(path) or file_digest(path))
    place_folder(done.result, tmp_path / "version")
    for place in (done.result, tmp_path / "version", done.result):
        Finished(place).file("weights.bin")
    assert len(read) == 1


@pytest.mark.parametrize("content", ["", "{", "[]", '{"name": "cutting"}', "{}"])
def test_a_damaged_note_of_a_step_is_written_again_and_passed_over_by_others(tmp_path: Path, content: str) -> None:
    with work_folder(tmp_path, STEP) as folder:
        note = folder.path / "step.json"
    whole = note.read_bytes()
    note.write_text(content)
    with work_folder(tmp_path, Step("cutting", 1, {"scenes": "abc"}, {"tile": 9})) as other:
        assert alike(other, "tile") == []
    with work_folder(tmp_path, STEP):
        assert note.read_bytes() == whole


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"files": {"/a": [1, 2, "x"]}, "sha256": "y"}'])
def test_damaged_digests_of_raw_files_are_made_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, content: str
) -> None:
    path, kept = tmp_path / "file.bin", tmp_path / "digests.json"
    path.write_bytes(b"one")
    kept.write_text(content)
    cache = DigestCache(kept)
    assert len(warnings(caplog)) == 1 and str(kept) in warnings(caplog)[0]
    assert cache.digest(path) == file_digest(path)
    cache.save()
    caplog.clear()
    DigestCache(kept)
    assert warnings(caplog) == []


def test_damage_survives_pickling() -> None:
    error = pickle.loads(pickle.dumps(DamagedError(Path("/a/b"), "it is cut off", "Make it.")))
    assert (error.path, error.how, error.remedy) == (Path("/a/b"), "it is cut off", "Make it.")
    assert str(error).startswith("/a/b is damaged: it is cut off.")


def test_json_that_is_cut_off_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('{"a": ')
    with pytest.raises(DamagedError, match=r"a\.json is damaged"):
        read_json(tmp_path / "a.json")
