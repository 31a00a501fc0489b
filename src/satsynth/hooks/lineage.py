"""Which versions a run reads: those that its parameters make, found by their origins and never by their names."""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kedro.io import CatalogProtocol
from kedro.pipeline import Pipeline
from kedro.pipeline.node import Node

from satsynth.catalog.folder import FinishedFolderDataset
from satsynth.catalog.recorded import Recorded
from satsynth.catalog.section import SectionDataset
from satsynth.pipelines.counting import counting_settings
from satsynth.pipelines.graph import data_inputs, in_order, step_name
from satsynth.work.errors import AncestryError, DamagedError, SatSynthError, listing
from satsynth.work.files import MANIFEST, file_digest
from satsynth.work.finished import read_manifest
from satsynth.work.origins import ORIGIN, REMEDY, Origin, StepSettings, differences, merged, origin_path, read_origin

log = logging.getLogger(__name__)
_SAME = "with the same --params and --env"


@dataclass(frozen=True)
class Candidate:
    """A version of an entry, or an entry without versions.

    Args:
        version: Its name; none for an entry without versions.
        path: The file or folder.
        origin: Its origin.
    """

    version: str | None
    path: Path
    origin: Origin


class Lineage:
    """The origins that the entries of a run have or will have.

    Args:
        catalog: The catalog of the run.
        known: All pipelines by name: what the run does not make was made by one of them.
        pipeline: What the run does.
        load_versions: Versions that the user names, by entry.
    """

    def __init__(
        self,
        catalog: CatalogProtocol,
        known: Mapping[str, Pipeline],
        pipeline: Pipeline,
        load_versions: Mapping[str, str] | None,
    ) -> None:
        """Read the origins of the versions that the user names."""
        self._catalog, self._known = catalog, known
        self._parameters: dict[str, Any] = catalog.load("parameters")
        self._made, self._counted = pipeline.all_outputs(), dict[str, StepSettings]()
        self._makers = {name: node for part in known.values() for node in part.nodes for name in node.outputs}
        # In the order in which entries rest on one another.
        self.order = in_order(self._makers)
        self.named = {name: self._named(name, version) for name, version in (load_versions or {}).items()}
        self._overruled = merged(found.origin.settings for found in self.named.values())
        # What the run reads: digests by entry, and who says so.
        self._digests: dict[str, tuple[str, str]] = {}
        for name, found in self.named.items():
            self.take(name, found)

    def dataset(self, name: str) -> Any:
        """Return an entry of the catalog; None where there is none of this name."""
        return self._catalog.get(name) if name in self._catalog else None

    def recorded(self, name: str) -> Recorded | None:
        """Return an entry whose origin is recorded; None for others."""
        dataset = self.dataset(name)
        return dataset if isinstance(dataset, Recorded) else None

    def own_settings(self, node: Node) -> dict[str, StepSettings]:
        """Return the parameters of a node in this run, by the name of its step."""
        step = step_name(node)
        if step not in self._counted:
            self._counted[step] = counting_settings(node, self._parameters)
        return {step: self._counted[step]}

    def settings(self, name: str) -> dict[str, StepSettings]:
        """Return the parameters of every step that leads to an entry, as this run wants them."""
        if name in self.named:
            return dict(self.named[name].origin.settings)
        node = self._makers.get(name)
        if node is None:
            return {}
        own = self.own_settings(node)
        if name not in self._made:
            # What the user names was made with parameters of its own; so was what it rests on.
            own = {step: self._overruled.get(step, settings) for step, settings in own.items()}
        return merged([*(self.settings(parent) for parent in self._decisive(node)), own])

    def take(self, name: str, found: Candidate) -> None:
        """Take a version as one that the run reads.

        Raises:
            AncestryError: It rests on something else than another one that the run reads.
        """
        if self._clash(found.origin):
            raise self._disagreement(name, found)
        for parent, digest in found.origin.digests.items():
            who = "what this run reads" if parent == name else f"`{name}`"
            self._digests.setdefault(parent, (digest, who))

    def fitting(self, name: str) -> Candidate | None:
        """Return the version that this run's parameters make and that agrees with what was taken, or None."""
        wanted = self.settings(name)
        fits = [found for found in self._candidates(name) if not differences(found.origin.settings, wanted)]
        agreeing = [found for found in fits if not self._clash(found.origin)]
        return max(agreeing, key=_saved, default=None)

    def there(self, name: str) -> bool:
        """Return whether an entry is there as this run would make it, undamaged."""
        with suppress(DamagedError):
            found = self.named.get(name) or self.fitting(name)
            if found is not None:
                _verify(found)
                return True
        return False

    def choose(self, name: str) -> Candidate:
        """Return the version of an entry that the run is to read, and take it.

        Raises:
            AncestryError: None was made with the parameters of this run, or from what this run reads.
            DamagedError: The version is not what was written.
        """
        found = self.named.get(name) or self.fitting(name)
        if found is None:
            raise self._refusal(name)
        _verify(found)
        self.take(name, found)
        return found

    def _clash(self, origin: Origin) -> str | None:
        """Return in which entry an origin disagrees with what was taken."""
        for name, digest in origin.digests.items():
            if name in self._digests and self._digests[name][0] != digest:
                return name
        return None

    def _candidates(self, name: str) -> list[Candidate]:
        """Return the versions of an entry whose origins are recorded."""
        dataset = self.recorded(name)
        if dataset is None:
            return []
        entry = Path(dataset._filepath)
        if dataset._version is None:
            origin = read_origin(origin_path(entry, None))
            return [Candidate(None, entry, origin)] if origin and entry.exists() else []
        found = []
        for path in map(Path, dataset.list_versions()):
            try:
                origin = read_origin(path.parent / ORIGIN)
            except DamagedError as error:
                # Other versions may fit.
                log.warning("%s This version is passed over.", error.problem)
                continue
            if origin is not None:
                found.append(Candidate(path.parent.name, path, origin))
        return found

    def _named(self, name: str, version: str) -> Candidate:
        """Return the version that the user names, with what is known of its origin."""
        dataset = self.recorded(name)
        if dataset is None or dataset._version is None:
            raise SatSynthError(
                f"`{name}` has no versions, but --load-versions names {version}.", "Leave it out of --load-versions."
            )
        entry = Path(dataset._filepath)
        path = entry / version / entry.name
        if not dataset._exists_function(str(path)):
            known = [Path(found).parent.name for found in dataset.list_versions()]
            raise SatSynthError(
                f"`{name}` has no version {version} (given by --load-versions).",
                f"There are: {', '.join(known) or 'none'}.",
            )
        origin = read_origin(path.parent / ORIGIN)
        if origin is None:
            # Saved by hand, or before origins were recorded: its parents are known from its manifest.
            manifest = read_manifest(path, "Take another version.") if path.is_dir() else None
            digest = manifest["digest"] if manifest else file_digest(path)
            # Digests of tables there are not those of their files.
            parents = {
                parent: known
                for parent, known in (manifest or {}).get("parents", {}).items()
                if isinstance(self.recorded(parent), FinishedFolderDataset)
            }
            origin = Origin(name, digest, 0, parents, {})
        return Candidate(version, path, origin)

    def warn_of_named(self) -> None:
        """Say with which other parameters the versions were made that the user names."""
        for name, found in self.named.items():
            node = self._makers.get(name)
            if node is None:
                continue
            if not found.origin.settings:
                log.warning("`%s` %s is read as --load-versions says; its origin is not recorded.", name, found.version)
                continue
            if differing := differences(found.origin.settings, self.plain_settings(name)):
                log.warning(
                    "`%s` %s is read as --load-versions says; it was made with other parameters:\n%s",
                    name,
                    found.version,
                    listing([str(one) for one in differing], 10),
                )

    def plain_settings(self, name: str) -> dict[str, StepSettings]:
        """Return the parameters of every step that leads to an entry, whatever versions the user names."""
        node = self._makers.get(name)
        if node is None:
            return {}
        return merged([*(self.plain_settings(parent) for parent in self._decisive(node)), self.own_settings(node)])

    def _decisive(self, node: Node) -> list[str]:
        """Return what a node reads and what decides what it makes, unlike what it shows only where that is there."""
        return [name for name in data_inputs(node) if not isinstance(self.dataset(name), SectionDataset)]

    def _refusal(self, name: str) -> AncestryError:
        """Return the error for an entry of which nothing fits."""
        known, wanted = self._candidates(name), self.settings(name)
        if not known:
            return AncestryError(
                f"Of `{name}` it is not recorded what it was made with: it was saved by an earlier version of "
                "satsynth, or by hand.",
                f"{self._repair(name)}; work that is done is found again.",
            )
        nearest = max(known, key=lambda found: (-len(differences(found.origin.settings, wanted)), *_saved(found)))
        differing = differences(nearest.origin.settings, wanted)
        if not differing:
            return self._disagreement(name, nearest)
        which = f"version {nearest.version}" if nearest.version else str(nearest.path)
        others = f", the nearest of {len(known)}," if len(known) > 1 else ""
        take = f"; or read that version: --load-versions={name}:{nearest.version}" if nearest.version else ""
        return AncestryError(
            f"`{name}` is not there as these parameters make it; {which}{others} was made with others:\n"
            f"{listing([str(one) for one in differing], 10)}",
            f"{self._repair(name)}{take}",
        )

    def _disagreement(self, name: str, found: Candidate) -> AncestryError:
        """Return the error for a version that rests on something else than what was taken."""
        parent = self._clash(found.origin)
        assert parent is not None
        (digest, who), mine = self._digests[parent], found.origin.digests[parent]
        if parent == name:
            problem = f"`{name}` ({found.path}, digest {mine[:12]}) is not what {who} was made from"
        else:
            problem = f"`{name}` ({found.path}) was made from other `{parent}` (digest {mine[:12]}) than {who}"
        return AncestryError(f"{problem} (digest {digest[:12]}).", self._repair(name))

    def _repair(self, name: str) -> str:
        """Return the command that makes an entry."""
        made = [part for part, pipeline in self._known.items() if name in pipeline.all_outputs()]
        made = [part for part in made if part not in ("augment", "__default__")] or ["augment"]
        return f"Make it {_SAME}: kedro run --pipeline={made[0]}"


def _saved(found: Candidate) -> tuple[int, str]:
    """Return the place of a version in the order of saving, which no clock decides."""
    return found.origin.number, found.origin.digest


def _verify(found: Candidate) -> None:
    """Refuse an entry whose content is not the one that its origin describes.

    Raises:
        DamagedError: It is another one.
    """
    manifest = found.path / MANIFEST
    digest = read_manifest(found.path, REMEDY)["digest"] if manifest.exists() else file_digest(found.path)
    if digest != found.origin.digest:
        how = (
            f"its content (digest {digest[:12]}) is not the one that was saved (digest {found.origin.digest[:12]}): it "
            "was edited, or saved by two runs at once"
        )
        raise DamagedError(found.path, how, REMEDY)


def chosen_inputs(lineage: Lineage, names: Collection[str]) -> dict[str, Candidate]:
    """Return what a run reads of what it does not make, and take it, ancestors first.

    Raises:
        AncestryError: Something of it was made otherwise, or its parts do not fit together.
    """
    ordered = [name for name in lineage.order if name in names]
    return {name: lineage.choose(name) for name in ordered if lineage.recorded(name) is not None}
