"""Several finished folders as one, each known by a name."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TypeVar

from satsynth.work.ancestry import digests
from satsynth.work.files import MANIFEST, place_folder
from satsynth.work.finished import Finished
from satsynth.work.folder import Step, WorkFolder
from satsynth.work.remembered import remembered
from satsynth.work.workspace import Workspace

RESULT_VERSION = 1
Handle = TypeVar("Handle", bound=Finished)


class Gathered(Finished):
    """A finished folder that holds others, each in a folder of its name."""

    title = "set of results"

    @property
    def names(self) -> list[str]:
        """Names of the folders in it, in their order."""
        return list(self.manifest["members"])

    def member(self, name: str) -> Path:
        """Return the folder of a name."""
        return self.path / name

    def handles(self, kind: type[Handle]) -> dict[str, Handle]:
        """Return a handle of each folder, by name."""
        return {name: kind(self.member(name)) for name in self.names}


def gather(
    workspace: Workspace, name: str, members: Mapping[str, Finished], parents: Mapping[str, Finished]
) -> Gathered:
    """Link finished folders into one, once.

    Args:
        workspace: Where work is kept.
        name: Name of the step.
        members: The folders by name.
        parents: What all of them were made from, by name.
    """
    given = digests(**parents) | {member: finished.digest for member, finished in members.items()}

    def link(folder: WorkFolder) -> None:
        for member, finished in members.items():
            place_folder(finished.path, folder.result / member)
        # Not the times beside the manifests: they are no part of what the results are.
        files = [f"{member}/{file}" for member, finished in members.items() for file in (MANIFEST, *finished.files)]
        folder.finish({"kind": "gathered", "members": list(members)}, files)

    return Gathered(remembered(workspace, Step(name, RESULT_VERSION, given, {"members": list(members)}), link).result)
