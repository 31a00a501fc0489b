"""What a run says at its end."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
from kedro.io import CatalogProtocol


def print_summary(outputs: set[str], catalog: CatalogProtocol) -> bool:
    """Print scores and where files are; return whether there are any."""
    if "segmentation_summary" in outputs:
        from satsynth.analysis.statistics.summary import in_words, printed

        summary = catalog.load("segmentation_summary")
        click.echo("\nmIoU on real test scenes (mean ± standard error over seeds):\n")
        click.echo(printed(summary))
        for sentence in in_words(summary):
            click.echo(f"\n{sentence}")
    if "generator_worth" in outputs:
        from satsynth.analysis.statistics.summary import printed

        click.echo("\nWhat pairs of each family are worth, on real test scenes (mean ± standard error over seeds):\n")
        click.echo(printed(catalog.load("generator_worth")))
    if "label_worth" in outputs:
        from satsynth.analysis.report.labels import score_table, worth_in_words

        worth = catalog.load("label_worth")
        click.echo("\nmIoU on real test scenes by labelled scenes, without and with synthetic pairs:\n")
        click.echo(score_table(worth).to_string(index=False))
        for sentence in worth_in_words(worth):
            click.echo(f"\n{sentence}")
    shown = [
        name
        for name in (
            "report",
            "pair_gallery",
            "class_distribution_plot",
            "ratio_curve",
            "segmentation_summary",
            "class_gains",
            "network_comparison",
            "augmentation_comparison",
            "generator_comparison",
            "generator_worth",
            "generator_gallery",
            "label_worth",
            "label_curve",
            "tiles_export",
            "synthetic_export",
            "painted_scenes",
            "drawn_labels",
        )
        if name in outputs
    ]
    if shown:
        click.echo("")
    for name in shown:
        click.echo(f"{name.replace('_', ' '):<24} {public_path_of(catalog, name)}")
    return bool(shown)


def viz_command(environment: str | None, dataset: str | None) -> str:
    """Return the command that shows a run's results.

    Args:
        environment: The run's environment; none for the default one.
        dataset: The run's data set; none for the one that the environment takes by itself.
    """
    options = [] if environment in (None, "base", "local") else [f"--env={environment}"]
    options += [f"--params=dataset={dataset}"] if dataset else []
    return " ".join(["kedro viz run", *options]) if options else "make viz"


def comparison_place(where: str) -> str:
    """Return where runs are compared, as the rest of a sentence; nothing where none was tracked."""
    if not where:
        return ""
    return " and compare runs with `make ui`" if where.startswith("sqlite:") else f" and compare runs at {where}"


def path_of(catalog: Any, name: str) -> Path:
    """Return the file or folder that a run reads as a catalog entry."""
    return Path(catalog.get(name)._get_load_path())


def public_path_of(catalog: Any, name: str) -> Path:
    """Return where a file or folder lies that a run has saved as a catalog entry."""
    return Path(catalog.get(name).public_path)


def pipeline_names(run_params: dict[str, Any]) -> str:
    """Return the names of the pipelines that were asked for."""
    return ", ".join(run_params.get("pipeline_names") or ["augment"])
