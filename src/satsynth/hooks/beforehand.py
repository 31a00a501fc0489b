"""What would end a run late and can be known early: from its parameters alone, or from the number of its tiles."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from satsynth.analysis.measures.inception import require_inception
from satsynth.analysis.settings import ComparisonSettings
from satsynth.datasets.description import DatasetDescription
from satsynth.generation.families import Family, FamilySettings, family_of
from satsynth.generation.layouts import drawn_masks
from satsynth.generation.sampling import require_distinct
from satsynth.generation.seen import require_held_out
from satsynth.generation.settings import GenerationSettings, RivalsSettings, SamplingSettings
from satsynth.measuring import SPLITS, chosen_rows, detectable_difference
from satsynth.pairs.labels import require_no_names
from satsynth.pairs.layouts import accepted, require_takeable
from satsynth.pairs.required import require_training
from satsynth.pairs.settings import LabelsSettings, TilingSettings
from satsynth.pairs.store import PairStore
from satsynth.pairs.tiling import check_keep
from satsynth.pipelines.grids import labels_grid, rivals_grid
from satsynth.segmentation import beforehand
from satsynth.segmentation.grid import labelled_scenes
from satsynth.segmentation.settings import SegmentationSettings
from satsynth.segmentation.sizes import check_tile_size
from satsynth.training.settings import ComputeSettings
from satsynth.work.errors import SatSynthError
from satsynth.work.frozen import Frozen
from satsynth.work.ray_cluster import require_ray
from satsynth.work.workspace import Workspace

Model = TypeVar("Model", bound=Frozen)
# A family and its parameters.
Trained = tuple[Family, FamilySettings]


@dataclass(frozen=True)
class Plan:
    """What a run is going to do.

    Args:
        tags: Tags of its nodes, among them the names of their pipelines.
        parameters: All parameters by name.
    """

    tags: frozenset[str]
    parameters: Mapping[str, Any]

    def require_ready(self) -> None:
        """Refuse parameters with which a later step would end; of files, only masks that a user has drawn are read.

        Raises:
            SatSynthError: A size does not fit, something is missing, or a name is unknown.
        """
        compute = self._of("compute", ComputeSettings)
        if compute.share is not None and self._of("workspace", Workspace).fresh:
            raise SatSynthError(
                f"`share` is {compute.share} and `fresh` is true, but parts that forget earlier work would forget one "
                "another's.",
                "Leave out one of the two.",
            )
        if compute.engine == "ray":
            require_ray()
        tiling = self._of("tiling", TilingSettings)
        side = tiling.tile_size
        if "labels" in self.tags:
            require_no_names(tiling)
            self._require_labels_grid()
        if self.tags & {"tiling", "labels"}:
            check_keep(tiling, self._description.class_names)
        if self.tags & {"judge", "segmentation", "rivals", "labels"}:
            networks = self._of("segmentation", SegmentationSettings).networks
            if self.tags & {"tiling", "labels"}:
                check_tile_size(networks, side)
            beforehand.require_ready(networks)
        for family, settings in self._trained:
            family.require_ready(settings, side)
            settings.require_processes(compute.processes)
            if self._description.images.unlabelled or self._unlabelled_rest(tiling):
                settings.require_unlabelled()
        if "rivals" in self.tags:
            self._require_ratio()
        if self.tags & {"sampling", "labels"}:
            self._require_layouts()
        if "rivals" in self.tags:
            asked = self._rivals.sampling_of(self._of("sampling", SamplingSettings), 1)
            for family, settings in self._families_of(self._rivals.families):
                family.require_layouts(settings, asked.settled(family.paints(settings)).layouts)
        inception = self._of("comparison", ComparisonSettings).inception
        if self.tags & {"comparison", "rivals"} and inception is not None:
            require_inception(inception)

    def require_pairs(self, tiles: PairStore) -> None:
        """Refuse tiles with which a later step would end, as soon as they are there.

        Raises:
            SatSynthError: More pairs are asked for than there will be, or less than one; the generator starts from one
                that has seen what is held out here; there are too few training tiles; or no tile of a split can be
                compared with those of train.
        """
        if self.tags & {"judge", "diffusion", "segmentation", "rivals", "labels"}:
            require_training(tiles)
        for family, settings in self._trained:
            require_held_out(family.seen_before(settings), tiles)
        if self.tags & {"diffusion", "labels"} and self._layouts == "real":
            require_takeable(self._of("sampling", SamplingSettings).windows, tiles)
        real, sampling = tiles.count("train"), self._of("sampling", SamplingSettings)
        if {"diffusion", "sampling"} <= self.tags or "labels" in self.tags:
            self._require_distinct([self._family], sampling.total(real), tiles)
        if {"sampling", "segmentation"} <= self.tags:
            beforehand.require_enough(self._of("segmentation", SegmentationSettings), real, sampling.total(real))
        if "rivals" in self.tags:
            total = self._rivals.sampling_of(sampling, real).total(real)
            self._require_distinct(self._families_of(self._rivals.families), total, tiles)
            beforehand.require_enough(self._require_ratio(), real, total)
        if "labels" in self.tags:
            beforehand.require_enough(self._require_labels_grid(), real, sampling.total(real))
        if self.tags & {"segmentation", "rivals", "labels"}:
            networks = self._of("segmentation", SegmentationSettings).networks
            beforehand.require_buildable(networks, len(tiles.class_names), self._of("workspace", Workspace))
        if self.tags & {"comparison", "rivals"}:
            for split in SPLITS:
                chosen_rows(tiles, split)

    def foresight(self, tiles: PairStore) -> str | None:
        """Return which difference the seeds and test scenes can show, where a generator is trained before networks."""
        settings = self._of("segmentation", SegmentationSettings)
        after = "labels" in self.tags or "rivals" in self.tags or {"diffusion", "segmentation"} <= self.tags
        if not after or not max(settings.ratios):
            return None
        return detectable_difference([], len(settings.seeds), labelled_scenes(tiles))

    def _require_layouts(self) -> None:
        """Refuse, before it is trained, a generator that cannot draw pairs for the layouts that are asked for."""
        family, settings = self._family
        sampling, layouts = self._of("sampling", SamplingSettings), self._layouts
        family.require_layouts(settings, layouts)
        if layouts == "folder":
            side = self._of("tiling", TilingSettings).tile_size
            drawn_masks(sampling.layout_folder, self._description, side, self._of("workspace", Workspace))
        if layouts == "real":
            accepted(sampling.windows, self._of("tiling", TilingSettings).keep, self._description.class_names)

    @property
    def _layouts(self) -> str:
        """Where masks come from, by what the family can draw."""
        family, settings = self._family
        return self._of("sampling", SamplingSettings).settled(family.paints(settings)).layouts

    @property
    def _description(self) -> DatasetDescription:
        return self._of("description", DatasetDescription)

    @property
    def _family(self) -> Trained:
        (found,) = self._families_of([self._of("generation", GenerationSettings).family])
        return found

    @property
    def _trained(self) -> list[Trained]:
        """The families that the run trains, with their parameters."""
        found = [self._family] if self.tags & {"diffusion", "labels"} else []
        return [*found, *(self._families_of(self._rivals.families) if "rivals" in self.tags else [])]

    def _families_of(self, names: Sequence[str]) -> list[Trained]:
        families = [family_of(name) for name in names]
        return [(family, family.settings.model_validate(self.parameters[family.name])) for family in families]

    @property
    def _rivals(self) -> RivalsSettings:
        return self._of("rivals", RivalsSettings)

    def _require_ratio(self) -> SegmentationSettings:
        """Return the grid of one family; refuse one without an R above zero."""
        return rivals_grid(self._rivals, self._of("segmentation", SegmentationSettings))

    def _require_labels_grid(self) -> SegmentationSettings:
        """Return the grid of one share of labels; refuse one without an R above zero."""
        return labels_grid(self._of("labels", LabelsSettings), self._of("segmentation", SegmentationSettings))

    def _unlabelled_rest(self, tiling: TilingSettings) -> bool:
        """Return whether generators are to learn from training scenes whose masks are not used."""
        some = tiling.some_labels or ("labels" in self.tags and self._of("labels", LabelsSettings).shares[0] < 1)
        return some and tiling.label_rest == "unlabelled"

    def _require_distinct(self, families: Sequence[Trained], total: int, tiles: PairStore) -> None:
        """Refuse more pairs than a family has."""
        for family, settings in families:
            require_distinct(family.require_ready(settings, tiles.tile_size), total, family.name, "its source")

    def _of(self, name: str, model: type[Model]) -> Model:
        return model.model_validate(self.parameters[name])
