"""The base of all entries: what is saved during a run has its origin recorded, and is what the run itself reads."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from kedro.io import CatalogProtocol
from kedro.io.core import AbstractVersionedDataset, Version

from satsynth.work.errors import AncestryError
from satsynth.work.files import atomic, file_digest
from satsynth.work.origins import (
    ORIGIN,
    Origin,
    StepSettings,
    in_order,
    next_number,
    number_of,
    origin_path,
    read_origin,
    unchanged,
    write_origin,
)


@dataclass(frozen=True)
class Making:
    """How a run makes an entry.

    Args:
        entry: Its name.
        settings: Parameters of every step that leads to it, by the name of the step.
        inputs: What it is made from: the origins, or where they will lie once the run has saved them.
        own: The run's own copy of an entry without versions, which another run may overwrite at any time.
    """

    entry: str
    settings: Mapping[str, StepSettings]
    inputs: Mapping[str, Path | Origin]
    own: Path | None


def gathered(inputs: Mapping[str, Path | Origin]) -> dict[str, str]:
    """Return the digests of inputs and of everything that they rest on, by name.

    Raises:
        AncestryError: Two of them rest on different versions of the same entry.
    """
    found: dict[str, tuple[str, str]] = {}
    for name, known in inputs.items():
        origin = read_origin(known) if isinstance(known, Path) else known
        for entry, digest in origin.digests.items() if origin else ():
            other, mine = found.setdefault(entry, (name, digest))
            if mine != digest:
                raise AncestryError(
                    f"`{name}` rests on other `{entry}` (digest {digest[:12]}) than `{other}` (digest {mine[:12]}): "
                    "nothing is made from both.",
                    "Make them again together: kedro run --pipeline=augment",
                )
    return {entry: digest for entry, (_, digest) in found.items()}


if TYPE_CHECKING:
    _Versioned = AbstractVersionedDataset[Any, Any]
else:
    # A base class of Kedro's would put its own constructor before that of the data set.
    _Versioned = object


class Recorded(_Versioned):
    """An entry of the catalog whose origin is recorded when a run saves it; to be mixed into a versioned data set.

    All state is a part of the data set, so that it also reaches the processes of a parallel runner.
    """

    making: Making | None = None

    def read_version(self, version: str) -> None:
        """From now on read this version."""
        self._version = Version(version, self._version.save if self._version else None)
        self._clear_version_cache()

    def will_be_made(self, making: Making) -> None:
        """From now on read what the run saves."""
        self.making = making
        if self._version and not self._version.load:
            own = self.resolve_save_version()
            self._version = Version(own, own)

    @property
    def public_path(self) -> Path:
        """Where others find what is loaded."""
        return Path(super()._get_load_path())

    @property
    def saved_origin(self) -> Path:
        """Where the origin lies of what the run saves, or will save."""
        if self.making is not None and self.making.own is not None:
            return self.making.own.with_name(f"{self.making.own.name}.{ORIGIN}")
        return origin_path(Path(self._filepath), self.resolve_save_version())

    @property
    def loaded_origin(self) -> Path:
        """Where the origin lies of what is loaded."""
        return origin_path(Path(self._filepath), self.resolve_load_version())

    @contextmanager
    def recorded_file(self) -> Iterator[Path]:
        """Yield a temporary path; the file is put in its place atomically, and its origin is recorded.

        Raises:
            ResourceError: The disk is full or not writable.
        """
        with atomic(Path(self._get_save_path())) as temporary:
            yield temporary
            # A kill between the two renames leaves a file without an origin, never one with the origin of another.
            self.saved_origin.unlink(missing_ok=True)
        self.record()

    def unchanged_file(self) -> Path:
        """Return the file to read, which holds what was written.

        Raises:
            DamagedError: It holds something else.
        """
        own = self.making is not None and self.making.own is not None
        return unchanged(Path(self._get_load_path()), self.saved_origin if own else self.loaded_origin)

    def record(self, digest: str | None = None) -> None:
        """Record the origin of what was saved in a run, and let others see it.

        Args:
            digest: SHA-256 of its content; of the file without.
        """
        making = self.making
        if making is None:
            return
        public = Path(self._filepath)
        version = self.resolve_save_version()
        saved = making.own or (public / version / public.name if version else public)
        number = next_number(public) if version else 1 + number_of(origin_path(public, None))
        origin = Origin(making.entry, digest or file_digest(saved), number, gathered(making.inputs), making.settings)
        if making.own is not None:
            write_origin(self.saved_origin, origin)
            with atomic(public) as temporary:
                shutil.copyfile(making.own, temporary)
                origin_path(public, version).unlink(missing_ok=True)
        # After the content: what has no origin, or another content than its origin says, is not shown as anything.
        write_origin(origin_path(public, version), origin)

    def _get_load_path(self) -> PurePosixPath:
        return PurePosixPath(self.making.own) if self.making and self.making.own else super()._get_load_path()

    def _get_save_path(self) -> PurePosixPath:
        if self.making is None or self.making.own is None:
            return super()._get_save_path()
        self.making.own.parent.mkdir(parents=True, exist_ok=True)
        return PurePosixPath(self.making.own)

    def _get_versions(self) -> list[str]:
        """Return all versions, the one saved last first, whatever the clock said."""
        found = {Path(path).parent: path for path in super()._get_versions()}
        return [found[folder] for folder in in_order(found)]


def read_what_is_shown(catalog: CatalogProtocol, shown: str) -> set[str]:
    """Have the entries of a catalog read in the versions that one of them rests on, such as the report.

    Args:
        catalog: The catalog.
        shown: Name of the entry.

    Returns:
        Names of entries that can no longer be read so: they were removed, or saved since by another run.
    """
    page = catalog.get(shown)
    origin = read_origin(page.loaded_origin) if isinstance(page, Recorded) else None
    gone = set()
    for name, digest in origin.parents.items() if origin else ():
        dataset = catalog.get(name)
        if not isinstance(dataset, Recorded):
            continue
        versions = [Path(path).parent for path in dataset.list_versions()] if dataset._version else []
        known = {folder.name: read_origin(folder / ORIGIN) for folder in versions}
        fits = [version for version, own in known.items() if own and own.digest == digest]
        if fits:
            dataset.read_version(fits[0])
        elif dataset._version or not dataset.exists() or file_digest(dataset.public_path) != digest:
            gone.add(name)
    return gone
