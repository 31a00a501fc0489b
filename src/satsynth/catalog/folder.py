"""Versioned finished folders. A version without a manifest does not exist, not even as the newest one."""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from kedro.io.core import AbstractVersionedDataset, Version, VersionNotFoundError
from kedro_datasets._typing import ImagePreview, JSONPreview

from satsynth.catalog.picture import picture_preview
from satsynth.catalog.recorded import Recorded
from satsynth.generation.saved import SavedGenerator
from satsynth.pairs.pair import decode_image, decode_mask
from satsynth.pairs.store import PairStore
from satsynth.scenes.splits import UNLABELLED
from satsynth.segmentation.saved import SavedNetwork
from satsynth.work.errors import SatSynthError
from satsynth.work.files import MANIFEST, canonical_json, place_folder
from satsynth.work.finished import Finished
from satsynth.work.gathered import Gathered


def _is_finished(path: str) -> bool:
    return (Path(path) / MANIFEST).exists()


class FinishedFolderDataset(Recorded, AbstractVersionedDataset[Finished, Finished]):
    """A versioned folder. Loading returns a small handle, and saving links a finished folder into a new version.

    Args:
        filepath: Folder of all versions.
        version: Version to load and to save.
        metadata: Metadata for plugins such as Kedro-Viz.
    """

    handle: type[Finished] = Finished
    linked: bool = True

    def __init__(
        self, *, filepath: str, version: Version | None = None, metadata: dict[str, Any] | None = None
    ) -> None:
        super().__init__(PurePosixPath(filepath), version, exists_function=_is_finished)
        self.metadata = metadata

    def load(self) -> Finished:
        """Return the handle of the chosen version.

        Raises:
            SatSynthError: There is no finished version.
        """
        try:
            path = Path(self._get_load_path())
        except VersionNotFoundError:
            raise SatSynthError(
                f"There is no finished {self.handle.title} in {self._filepath}.", self.handle.remedy
            ) from None
        return self.handle(path)

    def save(self, data: Finished) -> None:
        """Add the finished folder of a handle as a new version, without copying if links work and are allowed."""
        place_folder(data.path, Path(self._get_save_path()), self.linked)
        self.record(data.digest)

    def _exists(self) -> bool:
        # What a run will make in place of another one is not there yet.
        to_come = self.making is not None and self._version is None
        return not to_come and _is_finished(str(self._get_load_path()))

    def _describe(self) -> dict[str, Any]:
        return {"filepath": self._filepath, "version": self._version}


class ExportDataset(FinishedFolderDataset):
    """An export. Its files are copies: other tools may edit them, and the work must stay what was made."""

    linked = False


class PairStoreDataset(FinishedFolderDataset):
    """A pair store, with a contact sheet as preview."""

    handle = PairStore

    def preview(self, pairs: int = 12) -> ImagePreview:
        """Return a contact sheet of some pairs for Kedro-Viz."""
        from satsynth.analysis.report.gallery import contact_sheet

        store = self.load()
        assert isinstance(store, PairStore)
        labelled = (store.index()["split"] != UNLABELLED).to_numpy()
        wanted = set(np.flatnonzero(labelled)[:: max(1, int(labelled.sum()) // pairs)][:pairs].tolist())
        chosen = [row for number, row in enumerate(store.pictures()) if number in wanted]
        shown = [(decode_image(image), decode_mask(mask)) for _, image, mask in chosen]
        return picture_preview(contact_sheet(shown, store.colors, 3))


class GeneratorDataset(FinishedFolderDataset):
    """A generator, with its configuration as preview."""

    handle = SavedGenerator

    def preview(self) -> JSONPreview:
        """Return the configuration for Kedro-Viz."""
        return _manifest_preview(self.load())


class JudgeDataset(FinishedFolderDataset):
    """A segmentation network, with its scores as preview."""

    handle = SavedNetwork

    def preview(self) -> JSONPreview:
        """Return configuration and scores for Kedro-Viz."""
        return _manifest_preview(self.load())


class GatheredDataset(FinishedFolderDataset):
    """Several finished folders in one, with their names and digests as preview."""

    handle = Gathered

    def preview(self) -> JSONPreview:
        """Return what is in it for Kedro-Viz."""
        found = self.load()
        assert isinstance(found, Gathered)
        return JSONPreview(canonical_json({name: found.parents[name] for name in found.names}))


def _manifest_preview(handle: Finished) -> JSONPreview:
    shown = {key: value for key, value in handle.manifest.items() if key not in ("confusion", "scenes")}
    return JSONPreview(canonical_json(shown))
