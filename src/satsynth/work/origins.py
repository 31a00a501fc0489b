"""Origins: what a saved entry of the catalog is, what it rests on, and the parameters that it was made with.

An origin lies beside its entry: ``origin.json`` in the folder of a version, ``origins/<file>.json`` beside a file
without versions. It tells apart what the names of versions, which are times, cannot: entries made with other
parameters, from other data, or before a clock was set back.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from satsynth.work.errors import DamagedError
from satsynth.work.files import canonical_json, digest_of, file_digest, read_json, write_json

ORIGIN, ORIGINS = "origin.json", "origins"
# The parameters of one step: those of each group that count for its result.
StepSettings = Mapping[str, Any]
# A device that is chosen by the machine: any device fits.
ANY_DEVICE = "auto"
REMEDY = "Make the entry again with the same environment and data set: kedro run --pipeline=augment"


@dataclass(frozen=True)
class Origin:
    """The origin of an entry.

    Args:
        entry: Its name in the catalog.
        digest: SHA-256 of its content.
        number: Larger than that of every version of the entry that was there when it was saved.
        parents: Digest of every entry that it rests on, also through others, by name.
        settings: Parameters of every step that led to it, by the name of the step and of the group.
    """

    entry: str
    digest: str
    number: int
    parents: Mapping[str, str]
    settings: Mapping[str, StepSettings]

    @property
    def digests(self) -> dict[str, str]:
        """Digest of it and of everything that it rests on, by name."""
        return {**self.parents, self.entry: self.digest}


def origin_path(entry: Path, version: str | None) -> Path:
    """Return where the origin of an entry lies.

    Args:
        entry: The entry's file, or the folder of its versions.
        version: The version; none for an entry without versions.
    """
    return entry / version / ORIGIN if version else entry.parent / ORIGINS / f"{entry.name}.json"


def write_origin(path: Path, origin: Origin) -> None:
    """Write an origin atomically."""
    content = json.loads(canonical_json(asdict(origin)))
    write_json(path, {**content, "sha256": digest_of(content)})


def read_origin(path: Path) -> Origin | None:
    """Return an origin, or None where none was recorded.

    Raises:
        DamagedError: It is not what was written.
    """
    try:
        kept = read_json(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except DamagedError as error:
        raise DamagedError(path, error.how, REMEDY) from None
    try:
        digest = kept.pop("sha256")
        if digest == digest_of(kept):
            return Origin(**kept)
    except (AttributeError, KeyError, TypeError):
        pass
    raise DamagedError(path, "its content does not fit its digest", REMEDY)


def unchanged(path: Path, recorded: Path, remedy: str = REMEDY) -> Path:
    """Return the path of a file that holds what was written, or whose origin was not recorded.

    Args:
        path: The file.
        recorded: Where its origin lies.
        remedy: What to do if it holds something else.

    Raises:
        DamagedError: It holds something else, or its origin is damaged.
        FileNotFoundError: It is not there.
    """
    origin = read_origin(recorded)
    try:
        found = file_digest(path)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise DamagedError(path, f"it cannot be read ({error})", remedy) from error
    if origin and origin.digest != found:
        how = f"its content is not what was written (SHA-256 {found[:12]} in place of {origin.digest[:12]})"
        raise DamagedError(path, how, remedy)
    return path


def number_of(path: Path) -> int:
    """Return the number of an origin; 0 where there is none, or a damaged one."""
    with suppress(DamagedError):
        origin = read_origin(path)
        return origin.number if origin else 0
    return 0


def in_order(versions: Iterable[Path]) -> list[Path]:
    """Return the folders of an entry's versions in the order in which they were saved, the last one first.

    Their names are times and do not count, but for versions that were saved before origins were recorded.
    """
    return sorted(versions, key=lambda version: (number_of(version / ORIGIN), version.name), reverse=True)


def next_number(entry: Path) -> int:
    """Return a number that is larger than those of all versions of an entry."""
    return 1 + max((number_of(path) for path in entry.glob(f"*/{ORIGIN}")), default=0)


def merged(parts: Iterable[Mapping[str, StepSettings]]) -> dict[str, StepSettings]:
    """Return the parameters of all steps that several entries descend from; those that come first prevail."""
    found: dict[str, StepSettings] = {}
    for part in parts:
        for step, settings in part.items():
            found.setdefault(step, settings)
    return found


@dataclass(frozen=True)
class Difference:
    """A parameter that an entry was not made with.

    Args:
        parameter: Its name, with dots.
        recorded: What the entry was made with, as JSON; empty if it had no such parameter.
        wanted: What it is now, as JSON; empty if there is none.
    """

    parameter: str
    recorded: str
    wanted: str

    def __str__(self) -> str:
        """Return it in words."""
        return f"{self.parameter} was {self.recorded or 'not there'}, and is {self.wanted or 'not there'} now"


def differences(recorded: Mapping[str, StepSettings], wanted: Mapping[str, StepSettings]) -> list[Difference]:
    """Return the parameters in which two origins differ, each once; first those that both have."""
    found: dict[Difference, None] = {}
    for step in sorted({*recorded, *wanted}):
        before, now = (dict(_flat(json.loads(canonical_json(side.get(step, {}))))) for side in (recorded, wanted))
        for name in sorted({*before, *now}):
            fits_any = name == "compute.device" and now.get(name) == json.dumps(ANY_DEVICE)
            if before.get(name) != now.get(name) and not fits_any:
                found[Difference(name, before.get(name, ""), now.get(name, ""))] = None
    return sorted(found, key=lambda one: not (one.recorded and one.wanted))


def _flat(value: Any, name: str = "") -> Iterator[tuple[str, str]]:
    """Yield nested parameters as names with dots and values as JSON."""
    if isinstance(value, dict) and value:
        for key, part in value.items():
            yield from _flat(part, f"{name}.{key}" if name else key)
    else:
        yield name, json.dumps(value, ensure_ascii=False)
