"""The project's configuration: Kedro's loader, one description of a data set at a time, errors that name a file."""

from __future__ import annotations

import glob
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from kedro.config import MissingConfigException, OmegaConfigLoader
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import MarkedYAMLError, YAMLError

from satsynth.datasets.yaml_files import require_small
from satsynth.work.checking import did_you_mean
from satsynth.work.errors import SatSynthError

DESCRIPTIONS = "parameters_dataset_"
_SUFFIXES = (".yml", ".yaml", ".json")


class ProjectConfigLoader(OmegaConfigLoader):
    """Kedro's loader, but only the description of the chosen data set is read, so a broken one concerns itself alone.

    Args:
        conf_source: Folder of the configuration.
        env: Environment.
        runtime_params: Parameters given by the command.
        options: All other arguments of Kedro's loader.

    Raises:
        SatSynthError: There is no such environment.
    """

    def __init__(
        self, conf_source: str | Path, env: str | None = None, runtime_params: Any = None, **options: Any
    ) -> None:
        if env:
            _require_environment(Path(conf_source), env)
        super().__init__(str(conf_source), env, runtime_params, **options)

    def __getitem__(self, key: str) -> dict[str, Any]:
        """Read what belongs to a key.

        Raises:
            SatSynthError: A file of it cannot be used; the message names the file and the place in it.
        """
        for path in (path for folder in self._folders() for path in self._read_for(key, folder)):
            require_small(path)
        if key == "parameters" and Path(self.conf_source).is_dir():
            # Given by name: the environment that lacks a file passes over it.
            found = {path.relative_to(folder).as_posix() for folder in self._folders() for path in self._files(folder)}
            self.config_patterns[key] = [glob.escape(name) for name in sorted(found)]
        try:
            return super().__getitem__(key)
        except (SatSynthError, MissingConfigException):
            # What is missing may be optional, which only the caller knows.
            raise
        except Exception as error:
            named = self._named(key, error)
            if named is None:
                raise
            raise named from error

    @staticmethod
    def _soft_merge(config: dict[str, Any], env_config: dict[str, Any], env_path: str | None = None) -> Any:
        """Merge two environments, whose values are resolved: Kedro would read a `${` that was escaped once more."""
        return _merged(config, env_config)

    @property
    def _dataset(self) -> str:
        return str((self.runtime_params or {}).get("dataset") or self["globals"].get("dataset"))

    def _folders(self) -> list[Path]:
        source = Path(self.conf_source)
        return [source / name for name in dict.fromkeys((self.base_env, self.env or self.default_run_env))]

    def _files(self, folder: Path) -> list[Path]:
        """Return the files of parameters in an environment, without the descriptions of other data sets."""
        found = []
        for path in sorted(folder.rglob("*")):
            first, name = path.relative_to(folder).parts[0], path.name
            wanted = not name.startswith(DESCRIPTIONS) or path.stem == f"{DESCRIPTIONS}{self._dataset}"
            ours = first.startswith("parameters") or name.startswith("parameters")
            if path.suffix in _SUFFIXES and ours and wanted:
                found.append(path)
        return found

    def _read_for(self, key: str, folder: Path) -> list[Path]:
        """Return the files of an environment that are read for a key."""
        return self._files(folder) if key == "parameters" else sorted(folder.glob(f"{key}*.y*ml"))

    def _named(self, key: str, error: Exception) -> SatSynthError | None:
        """Return an error that names the file at fault; None where no file can be found to be."""
        if isinstance(error, ValueError) and "Duplicate keys found" in str(error):
            return SatSynthError(str(error), "Remove them from one of the files.")
        dataset, read = self._dataset if key == "parameters" else "", []
        for folder in self._folders():
            configs: dict[Path, DictConfig] = {}
            for path in self._read_for(key, folder):
                try:
                    configs[path] = _read(path)
                    if path.name.startswith(DESCRIPTIONS):
                        _require_description(path, configs[path], dataset)
                except SatSynthError as found:
                    return found
            read.append(configs)
        # Reading the globals has switched it off.
        self._register_runtime_params_resolver()
        for configs in read:
            for path, place, problem in _unresolved(configs, self.runtime_params or {}):
                return SatSynthError(
                    f"{path}: `{place}` cannot be resolved: {problem}",
                    r"Correct it. In a text that is to contain ${, write a backslash before it: \${.",
                )
        return None


def dataset_names(folder: Path) -> list[str]:
    """Return the names of the data sets that have a description in a folder."""
    return sorted(path.stem.removeprefix(DESCRIPTIONS) for path in folder.glob(f"{DESCRIPTIONS}*.yml"))


def _merged(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return a mapping with the leaves of another one in place of its own."""
    merged = dict(base)
    for key, value in changes.items():
        both = isinstance(value, Mapping) and isinstance(merged.get(key), Mapping)
        merged[key] = _merged(merged[key], value) if both else value
    return merged


def _require_environment(source: Path, env: str) -> None:
    """Refuse an environment that does not exist.

    Raises:
        SatSynthError: It does not; the message names those that do.
    """
    if not source.is_dir():
        return
    known = sorted(path.name for path in source.iterdir() if path.is_dir() and not path.name.startswith("."))
    if env not in known:
        raise SatSynthError(
            f"There is no environment '{env}' in {source}.{did_you_mean(env, known)} There are: {', '.join(known)}.",
            "Choose one of them with --env=<name>, or leave --env out.",
        )


def _read(path: Path) -> DictConfig:
    """Read a file of the configuration by itself.

    Raises:
        SatSynthError: It cannot be read.
    """
    remedy = "Correct this file."
    try:
        config = OmegaConf.load(path)
    except UnicodeDecodeError as error:
        raise SatSynthError(f"{path} is not UTF-8 (byte {error.start + 1}).", "Save it as UTF-8.") from None
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f", line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        raise SatSynthError(f"{path} is not valid YAML{place}: {error.problem or error.context}.", remedy) from None
    except (YAMLError, OmegaConfBaseException, OSError, ValueError, RecursionError) as error:
        raise SatSynthError(f"{path} cannot be read: {_first_line(error)}", remedy) from None
    if not isinstance(config, DictConfig):
        raise SatSynthError(f"{path} holds a list where names with values are expected.", remedy)
    return config


def _require_description(path: Path, config: DictConfig, name: str) -> None:
    """Refuse the file of a description that describes something else.

    Raises:
        SatSynthError: It does.
    """
    content = OmegaConf.to_container(config)
    described = content.get("datasets") if isinstance(content, dict) else None
    if not isinstance(described, dict) or not isinstance(described.get(name), dict):
        found = f"it describes {', '.join(map(str, described))}" if isinstance(described, dict) else "it describes none"
        raise SatSynthError(
            f"{path} does not describe the data set '{name}': {found}.",
            f"Write the description below `datasets:` and `{name}:`, as in parameters_dataset_dubai.yml.",
        )


def _unresolved(configs: Mapping[Path, DictConfig], given: Mapping[str, Any]) -> Iterator[tuple[Path, str, str]]:
    """Yield file, place and problem of each value that refers to something that is not there."""
    if not configs:
        return
    merged = OmegaConf.unsafe_merge(*configs.values(), dict(given))
    # A value that only leads to another one is not at fault: descriptions come first.
    for path in sorted(configs, key=lambda path: (not path.name.startswith(DESCRIPTIONS), path.name)):
        for place in _leaves(OmegaConf.to_container(configs[path], resolve=False)):
            try:
                OmegaConf.select(merged, place)
            except OmegaConfBaseException as error:
                yield path, place, _first_line(error)


def _leaves(value: Any, place: str = "") -> Iterator[str]:
    """Yield the places of all values with an interpolation, as `OmegaConf.select` takes them."""
    parts: Sequence[tuple[Any, Any]] = ()
    if isinstance(value, dict):
        parts = [(f"{place}.{key}" if place else str(key), part) for key, part in value.items()]
    elif isinstance(value, list):
        parts = [(f"{place}[{number}]", part) for number, part in enumerate(value)]
    elif isinstance(value, str) and "${" in value:
        yield place
    for below, part in parts:
        yield from _leaves(part, below)


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
