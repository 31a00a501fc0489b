"""Several finished folders as one."""

from __future__ import annotations

from pathlib import Path

from satsynth.catalog.folder import GatheredDataset
from satsynth.work import verified
from satsynth.work.files import MANIFEST
from satsynth.work.finished import Finished, write_timing
from satsynth.work.folder import Step, work_folder
from satsynth.work.gathered import Gathered, gather
from satsynth.work.workspace import Workspace


def made(root: Path, name: str, content: str, seconds: float) -> Finished:
    with work_folder(root / "data" / ".work", Step(name, 1, {}, {"content": content})) as folder:
        (folder.result / "weights").write_text(content)
        write_timing(folder.result, seconds)
        folder.finish({"kind": "made"}, ["weights"])
    return Finished(folder.result)


def test_members_are_found_by_name_with_their_content_and_time(tmp_path: Path) -> None:
    workspace = Workspace(project=str(tmp_path))
    members = {"b": made(tmp_path, "one", "first", 3), "a": made(tmp_path, "two", "second", 5)}
    found = gather(workspace, "gathered", members, {"tiles": made(tmp_path, "tiles", "real", 1)})
    assert found.names == ["b", "a"]
    for name, member in members.items():
        again = Finished(found.member(name))
        assert (again.digest, again.seconds) == (member.digest, member.seconds)
        assert again.file("weights").stat().st_ino == member.file("weights").stat().st_ino, "linked, not copied"
        assert found.parents[name] == member.digest
    assert set(found.parents) == {"tiles", "a", "b"}
    handles = found.handles(Finished)
    assert list(handles) == found.names and handles["a"].digest == members["a"].digest


def test_what_it_is_does_not_depend_on_the_time_that_it_took(tmp_path: Path) -> None:
    digests = []
    for place, seconds in (("here", 1.0), ("there", 2.0)):
        root = tmp_path / place
        members = {"a": made(root, "one", "first", seconds)}
        digests.append(gather(Workspace(project=str(root)), "gathered", members, {}).digest)
    assert digests[0] == digests[1]


def test_another_member_makes_another_set_and_damage_of_a_member_is_mended(tmp_path: Path) -> None:
    workspace = Workspace(project=str(tmp_path))
    first = made(tmp_path, "one", "first", 1)
    alone = gather(workspace, "gathered", {"a": first}, {})
    both = gather(workspace, "gathered", {"a": first, "b": made(tmp_path, "two", "second", 1)}, {})
    assert alone.digest != both.digest and alone.path != both.path
    damaged = alone.member("a") / "weights"
    damaged.unlink()
    damaged.write_text("other")
    verified._digests.clear()
    mended = gather(workspace, "gathered", {"a": first}, {})
    assert Finished(mended.member("a")).file("weights").read_text() == "first"


def test_the_catalog_keeps_a_set_as_a_version(tmp_path: Path) -> None:
    found = gather(Workspace(project=str(tmp_path)), "gathered", {"a": made(tmp_path, "one", "first", 1)}, {})
    dataset = GatheredDataset(filepath=str(tmp_path / "rival_generators"))
    dataset.save(found)
    loaded = dataset.load()
    assert isinstance(loaded, Gathered) and loaded.names == ["a"] and loaded.digest == found.digest
    assert (loaded.member("a") / MANIFEST).exists()
    assert found.parents["a"] in str(dataset.preview())
