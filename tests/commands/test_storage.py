from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import pytest
from click.testing import CliRunner, Result

from satsynth.commands import project_commands
from satsynth.commands.inventory import versions
from satsynth.commands.pruning import unneeded
from satsynth.commands.usage import size, usage
from satsynth.pairs.cache import RESULT_VERSION
from satsynth.work.files import MANIFEST, atomic, file_digest, place_folder
from satsynth.work.finished import Finished
from satsynth.work.folder import Step, WorkFolder, work_folder
from satsynth.work.origins import ORIGIN, Origin, origin_path, write_origin
from satsynth.work.runs import RunLock, alone

ENTRIES = {"tiles": "03_primary", "generator": "06_models", "synthetic_pairs": "07_model_output"}


@dataclass
class Tree:
    """A made project with results of steps and their versions, but without pixels."""

    project: Path
    day: int = 0

    @property
    def data(self) -> Path:
        return self.project / "data"

    @property
    def root(self) -> Path:
        return self.data / ".work"

    def work(self, step: str, kind: str, parents: dict[str, str], settings: dict[str, object]) -> WorkFolder:
        with work_folder(self.root, Step(step, 1, parents, settings)) as folder:
            (folder.result / "content").write_bytes(os.urandom(20_000))
            folder.finish({"kind": kind}, ["content"])
        self._age(folder.path)
        return folder

    def unfinished(
        self, step: str, parents: dict[str, str], settings: dict[str, object], version: int = 1
    ) -> WorkFolder:
        with work_folder(self.root, Step(step, version, parents, settings)) as folder:
            (folder.path / "checkpoint.pt").write_bytes(os.urandom(50_000))
        self._age(folder.path)
        return folder

    def version(self, entry: str, folder: WorkFolder) -> Path:
        self.day += 1
        path = self.data / ENTRIES[entry] / "base" / "made" / entry / f"2026-01-{self.day:02}T00.00.00.000Z"
        place_folder(folder.result, path / entry)
        return path

    def saved(self, path: Path, number: int, parents: dict[str, str]) -> None:
        """Record the origin of a version, as a run does."""
        entry = path.parent.name
        digest = Finished(path / entry).digest if (path / entry / MANIFEST).exists() else "d" * 64
        write_origin(path / ORIGIN, Origin(entry, digest, number, parents, {}))

    def table(self) -> Path:
        self.day += 1
        name = "segmentation_runs.parquet"
        path = self.data / "07_model_output/base/made" / name / f"2026-01-{self.day:02}T00.00.00.000Z" / name
        path.parent.mkdir(parents=True)
        path.write_bytes(b"table")
        return path.parent

    def decoded(self, folder: WorkFolder, split: str = "train") -> Path:
        path = self.root / "decoded" / f"{folder.manifest()['digest'][:24]}-{split}-{RESULT_VERSION}"
        path.mkdir(parents=True)
        (path / "images.npy").write_bytes(b"x" * 30_000)
        return path

    def generation(self, seed: int) -> dict[str, Path]:
        """Imitate a run: tiles, generator and pairs with their versions, one segmentation, decoded pictures."""
        tiles = self.work("tiling", "pairs", {"scenes": f"{seed}"}, {"description": {"name": "made"}})
        origin = {"tiles": tiles.manifest()["digest"]}
        generator = self.work("diffusion", "generator", origin, {"seed": seed})
        origin |= {"generator": generator.manifest()["digest"]}
        pairs = self.work("sampling", "pairs", origin, {"seed": seed})
        origin = {"tiles": tiles.manifest()["digest"], "synthetic_pairs": pairs.manifest()["digest"]}
        return {
            "tiling": tiles.path,
            "diffusion": generator.path,
            "sampling": pairs.path,
            "tiles": self.version("tiles", tiles),
            "generator": self.version("generator", generator),
            "synthetic_pairs": self.version("synthetic_pairs", pairs),
            "segmentation": self.work("segmentation", "segmentation", origin, {"ratio": 1.0}).path,
            "table": self.table(),
            "decoded": self.decoded(tiles),
        }

    def run(self, *arguments: str, answer: str = "") -> Result:
        return CliRunner().invoke(
            project_commands, list(arguments), obj=SimpleNamespace(project_path=self.project), input=answer
        )

    def _age(self, path: Path) -> None:
        # Made within one second, they would have the same age.
        self.day += 1
        for entry in [path, *path.rglob("*")]:
            os.utime(entry, (self.day * 1000, self.day * 1000))


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    return Tree(tmp_path / "project")


def there(paths: dict[str, Path]) -> set[str]:
    return {name for name, path in paths.items() if path.exists()}


def test_a_file_of_several_names_counts_once(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
    (tmp_path / "a/one").write_bytes(b"x" * 4096)
    (tmp_path / "a/two").write_bytes(b"x" * 8192)
    os.link(tmp_path / "a/one", tmp_path / "b/one")
    (tmp_path / "b/elsewhere").symlink_to("/proc")
    block = (tmp_path / "a/one").stat().st_blocks * 512
    both, first = usage([tmp_path / "a", tmp_path / "b"]), usage([tmp_path / "a"])
    link = (tmp_path / "b/elsewhere").lstat()
    assert both.apparent == both.real + block
    assert both.real == both.exclusive == (tmp_path / "a/two").stat().st_blocks * 512 + block + link.st_blocks * 512
    assert first.real - first.exclusive == block
    assert usage([tmp_path / "gone"]).real == 0
    assert size(0) == "0 B" and size(1536) == "1.5 KiB" and size(3 * 2**40) == "3.0 TiB"


def test_storage_shows_what_is_kept_and_what_links_save(tree: Tree) -> None:
    tree.generation(0)
    tree.unfinished("diffusion", {"tiles": "x"}, {})
    result = tree.run("storage")
    assert result.exit_code == 0, result.output
    lines = {line.split("  ")[0]: line.split() for line in result.output.splitlines()}
    assert lines["versions of tiles (base, made)"][-7] == "1"
    # The version shares its files with the work folder, so removing only the version frees nothing.
    assert lines["versions of generator (base, made)"][-2:] == ["0", "B"]
    assert lines["work on diffusion"][-7] == "2"
    assert lines["checkpoints and helpers"][-7] == "1"
    whole = usage([tree.data])
    assert f"{size(whole.real)} on disk; hard links save {size(whole.apparent - whole.real)}" in result.output
    assert whole.apparent - whole.real >= 3 * 20_000


def test_while_a_run_is_at_work_storage_takes_none_of_its_files_for_leftovers(tree: Tree) -> None:
    tree.generation(0)
    tree.generation(1)
    with atomic(tree.root / "tiling" / "shard.parquet") as half_written:
        half_written.write_bytes(b"x" * 10_000)
        lock = RunLock(tree.root)
        lock.acquire()
        busy = tree.run("storage")
        lock.release()
        quiet = tree.run("storage")
    assert busy.exit_code == quiet.exit_code == 0
    assert "Running now" in busy.output and "leftovers" not in busy.output and "would free" not in busy.output
    assert "leftovers of killed processes" in quiet.output and "would free" in quiet.output


def test_storage_bears_that_a_checkpoint_vanishes_while_it_looks(tree: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    checkpoint = tree.unfinished("diffusion", {"tiles": "x"}, {}).path / "checkpoint.pt"
    look = Path.stat

    def last_look(path: Path, **arguments: bool) -> os.stat_result:
        found = look(path, **arguments)
        if path == checkpoint:
            path.unlink()
        return found

    monkeypatch.setattr(Path, "stat", last_look)
    result = tree.run("storage")
    assert result.exit_code == 0 and "work on diffusion" in result.output, result.exception
    assert not checkpoint.exists()


def test_prune_keeps_the_newest_versions_with_their_work_and_removes_the_rest(tree: Tree) -> None:
    old, new = tree.generation(0), tree.generation(1)
    result = tree.run("prune", "--keep", "1", "--yes")
    assert result.exit_code == 0, result.output
    assert there(new) == set(new)
    # Of work on raw data, the newest of each data set is kept.
    assert there(old) == set()
    assert tree.run("prune", "--keep", "1", "--yes").output == "There is nothing to remove.\n"


def test_prune_keeps_as_many_as_it_is_told_but_decoded_pictures_of_the_newest_only(tree: Tree) -> None:
    first, second, third = (tree.generation(seed) for seed in range(3))
    assert tree.run("prune", "--keep", "2", "--yes").exit_code == 0
    assert there(first) == set()
    assert there(second) == set(second) - {"decoded"}
    assert there(third) == set(third)


def test_what_the_newest_version_descends_from_is_kept(tree: Tree) -> None:
    old = tree.generation(0)
    # Cut again, but not yet used for training.
    tiles = tree.work("tiling", "pairs", {"scenes": "new"}, {"description": {"name": "made"}})
    tree.version("tiles", tiles)
    assert tree.run("prune", "--keep", "1", "--yes").exit_code == 0
    assert there(old) == set(old)


def test_of_versions_of_equal_content_no_more_than_the_newest_are_kept(tree: Tree) -> None:
    tiles = tree.work("tiling", "pairs", {"scenes": "0"}, {"description": {"name": "made"}})
    paths = [tree.version("tiles", tiles) for _ in range(5)]
    assert [removal.path for removal in unneeded(tree.data, 2)] == paths[2::-1]
    # One copy of each ancestor of a newest version is kept.
    generator = tree.work("diffusion", "generator", {"tiles": tiles.manifest()["digest"]}, {})
    tree.version("generator", generator)
    newer = tree.version("tiles", tree.work("tiling", "pairs", {"scenes": "1"}, {"description": {"name": "made"}}))
    assert tree.run("prune", "--keep", "1", "--yes").exit_code == 0
    assert [path for path in [*paths, newer] if path.exists()] == [paths[-1], newer]
    assert tiles.path.exists() and generator.path.exists()


def test_unfinished_work_that_can_go_on_is_kept_and_other_is_not(tree: Tree) -> None:
    new = tree.generation(0)
    digest = Finished(new["tiles"] / "tiles").digest
    # As in two environments that share tiles, or that have their own tiles of the same data set.
    begun = [
        tree.unfinished("diffusion", {"tiles": digest}, {"seed": 5}),
        tree.unfinished("diffusion", {"tiles": digest}, {"seed": 6}),
        tree.unfinished("tiling", {"scenes": "0"}, {"description": {"name": "made"}, "tiling": {"stride": 64}}),
        tree.unfinished("tiling", {"scenes": "0"}, {"description": {"name": "made"}, "tiling": {"stride": 96}}),
        # Equal tiles may be cut again.
        tree.unfinished("diffusion", {"tiles": "gone"}, {"seed": 7}),
    ]
    useless = [
        tree.unfinished("diffusion", {"tiles": digest}, {"seed": 9}, version=0),
    ]
    # The training finished, but the run was killed before its result became a version.
    unsaved = tree.work("diffusion", "generator", {"tiles": digest}, {"seed": 8})
    assert tree.run("prune", "--keep", "1", "--yes").exit_code == 0
    assert all(folder.path.exists() for folder in [*begun, unsaved])
    assert not any(folder.path.exists() for folder in useless)
    assert there(new) == set(new)
    asked = tree.run("prune", "--keep", "1", "--unfinished", "--yes")
    assert asked.exit_code == 0 and "5 to remove" in asked.output
    assert not any(folder.path.exists() for folder in begun)
    assert unsaved.path.exists() and there(new) == set(new)


def test_a_dry_run_and_a_no_remove_nothing(tree: Tree) -> None:
    old, new = tree.generation(0), tree.generation(1)
    dry = tree.run("prune", "--keep", "1", "--dry-run")
    assert dry.exit_code == 0 and "generator 2026-01-" in dry.output and "Removed" not in dry.output
    assert tree.run("prune", "--keep", "1", answer="n\n").exit_code == 1
    assert there(old) == set(old) and there(new) == set(new)
    assert tree.run("prune", "--keep", "1", answer="y\n").exit_code == 0
    assert not there(old)


def test_the_space_that_is_promised_is_freed(tree: Tree) -> None:
    tree.generation(0)
    tree.generation(1)
    before = usage([tree.data]).real
    promised = usage([removal.path for removal in unneeded(tree.data, 1)]).exclusive
    assert promised > 0
    tree.run("prune", "--keep", "1", "--yes")
    after = usage([tree.data]).real
    assert before - after == pytest.approx(promised, abs=4096)


def test_nothing_is_removed_while_a_run_or_a_step_is_under_way(tree: Tree) -> None:
    old = tree.generation(0)
    tree.generation(1)
    code = (
        "import sys; from pathlib import Path; from satsynth.work.runs import RunLock; "
        "lock = RunLock(Path(sys.argv[1])); lock.acquire(); print('held', flush=True); input()"
    )
    command = [sys.executable, "-c", code, str(tree.root)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None and other.stdout.readline() == "held\n"
        refused = tree.run("prune", "--keep", "1", "--yes")
        assert refused.exit_code == 1 and f"process {other.pid} on" in refused.output
        assert "What to do" in refused.output
        assert f"Running now: process {other.pid} on" in tree.run("storage").output
        other.kill()
    assert there(old) == set(old)
    with work_folder(tree.root, Step("tiling", 9, {}, {})):
        refused = tree.run("prune", "--keep", "1", "--yes")
        assert refused.exit_code == 1 and f"Process {os.getpid()} on" in refused.output and "'tiling'" in refused.output
    assert tree.run("prune", "--keep", "1", "--yes").exit_code == 0
    assert not there(old)


def test_a_run_does_not_begin_while_space_is_freed(tree: Tree) -> None:
    from satsynth.work.errors import ResourceError

    lock = RunLock(tree.root)
    with alone(tree.root), pytest.raises(ResourceError, match="freeing disk space"):
        lock.acquire()
    lock.acquire()
    lock.acquire()
    with pytest.raises(ResourceError, match=f"process {os.getpid()} on"), alone(tree.root):
        pass
    lock.release()
    with alone(tree.root):
        pass


def test_a_step_does_not_begin_while_space_is_freed(tree: Tree) -> None:
    from satsynth.work.errors import ResourceError

    step = Step("tiling", 1, {}, {})
    with alone(tree.root), pytest.raises(ResourceError, match="freeing disk space"), work_folder(tree.root, step):
        pass
    assert not list((tree.root / "tiling").glob("*/*"))
    with work_folder(tree.root, step) as folder:
        assert folder.result.is_dir()


@pytest.mark.parametrize("moment", [1, 4, 9, 15, 22, 30])
def test_killed_in_the_middle_what_is_left_reads_right_and_the_next_prune_ends_it(moment: int, tree: Tree) -> None:
    old, new = tree.generation(0), tree.generation(1)
    contents = {path: path.read_bytes() for folder in new.values() for path in folder.rglob("*") if path.is_file()}
    # The process kills itself after some files, so neither rmtree nor rename can clean up.
    code = f"""
import os, signal, sys
from types import SimpleNamespace
from satsynth.commands import project_commands
left = {moment}
def counted(event, arguments):
    global left
    if event in ("os.remove", "os.rmdir", "os.rename"):
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
sys.addaudithook(counted)
project_commands(["prune", "--keep", "1", "--yes"], obj=SimpleNamespace(project_path={str(tree.project)!r}))
"""
    killed = subprocess.run([sys.executable, "-c", code], capture_output=True)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    found = versions(tree.data)
    for version in found:
        if version.digest:
            assert version.finished and Finished(version.path / version.entry.name).digest == version.digest
            assert (version.path / version.entry.name / "content").stat().st_size == 20_000
    for manifest in tree.root.glob("*/*/result/" + MANIFEST):
        if not manifest.parents[1].name.startswith("."):
            assert manifest.with_name("content").stat().st_size == 20_000
    assert {path: path.read_bytes() for path in contents} == contents
    assert tree.run("prune", "--keep", "1", "--yes").exit_code == 0
    assert there(new) == set(new) and not there(old)
    assert not list(tree.data.rglob("*.tmp"))


def test_other_files_are_left_alone(tree: Tree) -> None:
    tree.generation(0)
    tree.generation(1)
    own = [
        tree.data / "01_raw/made/generator/2020-01-01T00.00.00.000Z/generator",
        tree.data / "06_models/base/made/generator/best so far/generator",
        tree.data / "08_reporting/base/made/report.html",
        tree.root / "digests.json",
        tree.root / "diffusion/notes",
    ]
    for path in own:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("mine")
    assert tree.run("prune", "--keep", "1", "--yes").exit_code == 0
    assert all(path.read_text() == "mine" for path in own)


def test_an_empty_project_has_nothing_to_show_or_remove(tree: Tree) -> None:
    assert tree.run("storage").exit_code == 0
    assert tree.run("prune", "--keep", "1").output == "There is nothing to remove.\n"
    shutil.rmtree(tree.data, ignore_errors=True)
    assert tree.run("storage").exit_code == 0


def test_locks_of_killed_runs_do_not_refuse_and_are_swept(tree: Tree) -> None:
    (tree.root / "runs").mkdir(parents=True)
    (tree.root / "runs" / "process 1 on elsewhere.lock").touch()
    with alone(tree.root):
        assert not list((tree.root / "runs").iterdir())


def test_a_run_that_ended_leaves_no_lock(tree: Tree) -> None:
    lock = RunLock(tree.root)
    lock.acquire()
    assert len(list((tree.root / "runs").iterdir())) == 1
    lock.release()
    lock.release()
    assert not list((tree.root / "runs").iterdir())


def test_of_exports_the_newest_is_kept(tree: Tree) -> None:
    tree.generation(0)
    (newest,) = [version for version in versions(tree.data) if version.entry.name == "tiles"]
    older, newer = (
        tree.work("export", "export", {"tiles": newest.digest}, {"form": form}).path for form in ("folder", "parquet")
    )
    assert [removal.path for removal in unneeded(tree.data, 1)] == [older]
    assert newer.exists()


def test_no_download_is_removed(tree: Tree) -> None:
    for file in ("Train.zip", "Val.zip"):
        tree.work("download", "download", {}, {"name": f"made {file}", "url": file})
    assert unneeded(tree.data, 1) == []


def test_versions_of_before_a_clock_was_set_back_are_the_old_ones(tree: Tree) -> None:
    new, old = tree.generation(0), tree.generation(1)
    # The names, and the times of all files, say that the second one is newer.
    for number, run in ((1, old), (2, new)):
        for name in ("tiles", "generator", "synthetic_pairs", "table"):
            tree.saved(run[name], number, {})
    assert [version.path for version in versions(tree.data) if version.entry.name == "tiles"] == [
        new["tiles"],
        old["tiles"],
    ]
    assert tree.run("prune", "--keep", "1", "--yes").exit_code == 0
    for name in ("tiles", "generator", "synthetic_pairs", "table"):
        assert new[name].exists() and not old[name].exists()
    assert there(new) == set(new)


def test_of_work_that_no_version_needs_that_begun_last_is_kept_whatever_the_clock_says(tree: Tree) -> None:
    tree.generation(0)
    (tiles,) = [version for version in versions(tree.data) if version.entry.name == "tiles"]
    older, newer = (
        tree.work("export", "export", {"tiles": tiles.digest}, {"form": form}).path for form in ("folder", "parquet")
    )
    for entry in older.rglob("*"):
        os.utime(entry, (2**33, 2**33))
    assert [removal.path for removal in unneeded(tree.data, 1)] == [older] and newer.exists()


def test_what_tables_and_reports_rest_on_is_kept(tree: Tree) -> None:
    first, second = tree.generation(0), tree.generation(1)
    rests_on = {name: Finished(first[name] / name).digest for name in ("tiles", "generator", "synthetic_pairs")}
    # The report that is there was written from the first run.
    write_origin(
        tree.data / "08_reporting/base/made/origins/report.html.json", Origin("report", "r" * 64, 1, rests_on, {})
    )
    assert tree.run("prune", "--keep", "1", "--yes").exit_code == 0
    assert there(first) == set(first) - {"decoded", "table"} and there(second) == set(second)


def test_what_an_interrupted_training_rests_on_is_kept(tree: Tree) -> None:
    old = tree.generation(0)
    begun = tree.unfinished("diffusion", {"tiles": Finished(old["tiles"] / "tiles").digest}, {"images": 999_999})
    tree.generation(1)
    assert tree.run("prune", "--keep", "1", "--yes").exit_code == 0
    assert begun.path.exists() and {"tiles", "tiling"} <= there(old)
    assert tree.run("prune", "--keep", "1", "--unfinished", "--yes").exit_code == 0
    assert not begun.path.exists() and there(old) == set()


def test_verify_names_what_is_damaged_under_all_its_names(tree: Tree) -> None:
    made = tree.generation(0)
    report = tree.data / "08_reporting/base/made/report.html"
    report.parent.mkdir(parents=True)
    report.write_text("<p>report</p>")
    write_origin(origin_path(report, None), Origin("report", file_digest(report), 1, {}, {}))
    (tree.data / "06_models/base/made/judge/2026-01-01T00.00.00.000Z").mkdir(parents=True)
    assert tree.run("storage", "--verify").exit_code == 0
    content = made["generator"] / "generator" / "content"
    for path in (content, report):
        byte = path.read_bytes()[:1]
        with path.open("r+b") as file:
            file.write(bytes([byte[0] ^ 1]))
    (made["segmentation"] / "result" / MANIFEST).write_bytes(b"{")
    verified = tree.run("storage", "--verify")
    assert verified.exit_code == 1
    named = [line.split(" is damaged")[0] for line in verified.output.splitlines() if " is damaged" in line]
    work = made["diffusion"] / "result" / "content"
    assert sorted(named) == sorted(map(str, (content, work, report, made["segmentation"] / "result" / MANIFEST)))
    report.unlink()
    assert f"{report} is damaged: it is not there" in tree.run("storage", "--verify").output
