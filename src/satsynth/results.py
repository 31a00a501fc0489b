"""What finished runs have left, and stores and generators by their folders, for notebooks and scripts."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from satsynth.generation.saved import SavedGenerator
from satsynth.pairs.store import PairStore
from satsynth.work.errors import SatSynthError
from satsynth.work.files import MANIFEST
from satsynth.work.origins import in_order

Pairs = Sequence[tuple[np.ndarray, np.ndarray]]


@dataclass(frozen=True)
class Picture:
    """A picture that a notebook shows.

    Args:
        array: ``(H, W, 3)`` uint8 RGB.
    """

    array: np.ndarray

    def _repr_png_(self) -> bytes:
        from satsynth.pairs.pair import encode_image

        return encode_image(self.array)


@dataclass(frozen=True)
class Text:
    """Text that a notebook shows.

    Args:
        markdown: The text.
    """

    markdown: str

    def _repr_markdown_(self) -> str:
        return self.markdown

    def __str__(self) -> str:
        """Return the text."""
        return self.markdown


def open_pairs(path: Path | str) -> PairStore:
    """Open a store of pairs.

    Args:
        path: Its folder, or the folder of its versions, such as ``data/03_primary/base/dubai/tiles``; the finished
            version that was saved last is taken.

    Raises:
        SatSynthError: There is no finished store.
    """
    return PairStore(_newest(Path(path)))


def open_generator(path: Path | str) -> SavedGenerator:
    """Open a trained generator.

    Args:
        path: Its folder, or the folder of its versions; the finished version that was saved last is taken.

    Raises:
        SatSynthError: There is no finished generator.
    """
    return SavedGenerator(_newest(Path(path)))


def _newest(path: Path) -> Path:
    """Return a finished folder: the path itself, or that of the versions below it which was saved last."""
    if (path / MANIFEST).exists():
        return path
    finished = in_order(file.parents[1] for file in path.glob(f"*/{path.name}/{MANIFEST}"))
    return finished[0] / path.name if finished else path


class Results:
    """The catalog of a project in one environment and for one data set, in the versions that its report rests on.

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

        from satsynth.catalog.recorded import read_what_is_shown

        bootstrap_project(project)
        # The base class of sessions does not declare what all of them have.
        created: Any = KedroSession.create(project, env=environment, runtime_params={"dataset": dataset})
        with created as session:
            context = session.load_context()
            self._catalog: Any = context.catalog
            self.parameters: dict[str, Any] = dict(context.params)
        self.project = project
        if not self._catalog.exists("report"):
            raise SatSynthError(
                f"No run on {dataset} has finished in the environment {environment}.",
                "`make augment` does one; or kedro run --pipeline=augment with this environment and data set.",
            )
        # What fits together, and not what other runs have saved since.
        self._gone = read_what_is_shown(self._catalog, "report")

    def load(self, name: str) -> Any:
        """Return an entry of the catalog: a table, a figure, a picture, or a handle of a store or model.

        Args:
            name: Its name, such as ``tiles``, ``generator``, ``fidelity`` or ``ratio_curve``.

        Raises:
            SatSynthError: There is no such entry, or it is no longer the one that the report rests on.
        """
        if name not in self._catalog:
            raise SatSynthError(f"There is no catalog entry '{name}'.", "`kedro catalog describe-datasets` lists them.")
        if name in self._gone:
            raise SatSynthError(
                f"The report rests on another `{name}` than the one that is there: another run has saved it since.",
                "Make all of them again: kedro run --pipeline=augment with this environment and data set.",
            )
        return self._catalog.load(name)

    def verdict(self) -> Text:
        """Return the answer in words, as at the top of the report: questions and sentences."""
        from satsynth.analysis.statistics.verdict import verdict

        names = ("segmentation_summary", "class_gains", "fidelity", "alignment", "memorisation")
        answers = verdict(*(self.load(name) for name in names))
        lists = {question: "\n".join(f"- {sentence}" for sentence in found) for question, found in answers.items()}
        return Text("\n\n".join(f"**{question}**\n\n{sentences}" for question, sentences in lists.items()))

    def picture(self, name: str) -> Picture:
        """Return a picture of the catalog, such as ``pair_gallery``."""
        return Picture(self.load(name))

    def pairs_picture(self, pairs: Pairs, columns: int = 4) -> Picture:
        """Return pairs as one picture, masks in the data set's colours.

        Args:
            pairs: Images ``(H, W, 3)`` and masks ``(H, W)``, both uint8.
            columns: Pairs in a row.
        """
        from satsynth.analysis.report.gallery import contact_sheet

        return Picture(contact_sheet(pairs, self.load("tiles").colors, columns))

    def table(self, name: str) -> pd.DataFrame:
        """Return a table as the report shows it.

        Args:
            name: ``segmentation_summary``, ``class_gains``, ``fidelity``, ``alignment`` or ``memorisation``.

        Raises:
            SatSynthError: The report has no such table.
        """
        from satsynth.analysis.report import tables

        shown: dict[str, Callable[[Any], pd.DataFrame]] = {
            "segmentation_summary": tables.score_table,
            "class_gains": tables.gain_table,
            "fidelity": tables.fidelity_table,
            "alignment": lambda found: tables.alignment_table(found, self.load("tiles").class_names),
            "memorisation": tables.copy_table,
        }
        if name not in shown:
            raise SatSynthError(f"The report has no table '{name}'.", f"It has: {', '.join(shown)}.")
        return shown[name](self.load(name))

    def path(self, name: str) -> Path:
        """Return the file or folder of an entry, in the version that the report rests on."""
        return Path(self._catalog.get(name)._get_load_path())


def open_results(
    project: Path | str | None = None, environment: str | None = None, dataset: str | None = None
) -> Results:
    """Open what the runs of a project have left.

    Args:
        project: Folder of the project; without, the one that the current folder lies in.
        environment: Environment of the runs, such as ``base`` or ``gpu``; without, that of the variable
            ``SATSYNTH_ENV``, or ``base``.
        dataset: Name of the data set; without, that of the variable ``SATSYNTH_DATASET``, or ``bluemarble``.

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
    environment = environment or os.environ.get("SATSYNTH_ENV", "base")
    return Results(Path(project).resolve(), environment, dataset or os.environ.get("SATSYNTH_DATASET", "bluemarble"))
