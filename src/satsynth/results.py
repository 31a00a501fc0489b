"""What finished runs have left, for notebooks and scripts."""

from __future__ import annotations

import os
import warnings
from pathlib import Path
from typing import Any

from satsynth.work.errors import SatSynthError


class Results:
    """The catalog of a project in one environment and for one data set.

    Args:
        project: Folder of the project.
        environment: Environment of the runs, such as ``base`` or ``gpu``.
        dataset: Name of the data set.

    Raises:
        SatSynthError: No run has finished there.
    """

    def __init__(self, project: Path, environment: str, dataset: str) -> None:
        """Read the project's configuration."""
        # Read when Kedro is imported: else it logs every entry that it loads.
        os.environ.setdefault("KEDRO_LOGGING_CONFIG", str(project / "conf" / "logging.yml"))
        warnings.filterwarnings("ignore", message="IProgress not found")
        from kedro.framework.session import KedroSession
        from kedro.framework.startup import bootstrap_project

        bootstrap_project(project)
        with KedroSession.create(project, env=environment, runtime_params={"dataset": dataset}) as session:
            context: Any = session.load_context()  # type: ignore[attr-defined]  # every session has it
            self._catalog: Any = context.catalog
            self.parameters: dict[str, Any] = dict(context.params)
        self.project = project
        if not self._catalog.exists("report"):
            raise SatSynthError(
                f"No run on {dataset} has finished in the environment {environment}.",
                "`make augment` does one; or kedro run --pipeline=augment with this environment and data set.",
            )

    def load(self, name: str) -> Any:
        """Return an entry of the catalog: a table, a figure, a picture, or a handle of a store or model.

        Args:
            name: Its name, such as ``tiles``, ``generator``, ``fidelity`` or ``ratio_curve``.

        Raises:
            SatSynthError: There is no such entry.
        """
        if name not in self._catalog:
            raise SatSynthError(f"There is no catalog entry '{name}'.", "`kedro catalog list-datasets` lists them.")
        return self._catalog.load(name)

    def path(self, name: str) -> Path:
        """Return the file or folder of an entry, the newest version."""
        return Path(self._catalog.get(name)._get_load_path())


def open_results(project: Path | str | None = None, environment: str = "base", dataset: str = "bluemarble") -> Results:
    """Open what the runs of a project have left.

    Args:
        project: Folder of the project; without, the one that the current folder lies in.
        environment: Environment of the runs, such as ``base`` or ``gpu``.
        dataset: Name of the data set.

    Raises:
        SatSynthError: There is no project, or no run has finished there.
    """
    if project is None:
        here = Path.cwd()
        found = [folder for folder in (here, *here.parents) if (folder / "conf" / "base").is_dir()]
        if not found:
            raise SatSynthError(
                f"{here} lies in no project: no folder above it holds conf/base.", "Give the project's folder."
            )
        project = found[0]
    return Results(Path(project).resolve(), environment, dataset)
