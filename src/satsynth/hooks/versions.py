"""Which version a run reads of what it saves."""

from __future__ import annotations

from kedro.framework.hooks import hook_impl
from kedro.io import CatalogProtocol
from kedro.io.core import AbstractVersionedDataset, Version


class VersionHooks:
    """Lets a run read what it made itself.

    Kedro reads the newest version by its name, which is a time: that of another run which has saved meanwhile, or one
    from before the clock was set back.
    """

    def __init__(self) -> None:
        self._catalog: CatalogProtocol | None = None

    @hook_impl
    def after_catalog_created(self, catalog: CatalogProtocol) -> None:
        """Keep the catalog of the run."""
        self._catalog = catalog

    @hook_impl
    def before_dataset_saved(self, dataset_name: str) -> None:
        """From now on read the version that is about to be saved, unless the user has named one."""
        dataset = None if self._catalog is None else self._catalog.get(dataset_name)
        if isinstance(dataset, AbstractVersionedDataset) and dataset._version and not dataset._version.load:
            own = dataset.resolve_save_version()
            dataset._version = Version(own, own)
