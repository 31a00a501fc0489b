"""`kedro satsynth describe`: propose the description of a folder of images and masks for the pipelines."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import click
import yaml

from satsynth.work.errors import DataError, printable


@click.command()
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--name", required=True, help="Name of the data set: letters, digits and underscores.")
@click.option(
    "--masks",
    "most_masks",
    type=click.IntRange(0),
    default=200,
    show_default=True,
    help="Number of masks to read at most; 0 for all.",
)
@click.option("--force", is_flag=True, help="Overwrite an existing description.")
@click.pass_obj
def describe(metadata: Any, folder: Path, name: str, most_masks: int, force: bool) -> None:
    """Propose a description of your own images and masks in FOLDER.

    Writes conf/base/parameters_dataset_<name>.yml for you to check and edit.
    """
    from satsynth.describing.proposal import propose
    from satsynth.describing.text import description_text
    from satsynth.describing.writing import checked, raw_of, refused
    from satsynth.scenes.problems import as_text
    from satsynth.work.files import atomic

    # YAML takes some words for values, such as `true`, `no` and `null`.
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]{0,63}", name) or not isinstance(yaml.safe_load(name), str):
        raise DataError(
            f"--name={name} is not a valid name for a data set.",
            "Use at most 64 letters, digits and underscores, starting with a letter, since file names contain it; no "
            "word that YAML takes for a value, such as true, no or null.",
        )
    project = Path(metadata.project_path)
    target = project / "conf" / "base" / f"parameters_dataset_{name}.yml"
    if target.exists() and not force:
        raise DataError(f"{target} already exists.", "Choose another --name, or overwrite it with --force.")
    proposal = propose(folder.resolve(), most_masks)
    text = description_text(name, raw_of(folder, project), proposal)
    found = refused(checked(name, text), folder.resolve())
    with atomic(target) as temporary:
        temporary.write_text(text, encoding="utf-8")
    click.echo(f"{proposal.scenes} scenes, {len(proposal.classes.classes)} classes. {proposal.why_splits}")
    if proposal.notes:
        click.echo("\nNot certain:")
    for note in proposal.notes:
        click.echo(click.wrap_text(printable(note), 100, "  - ", "    "))
    if found:
        click.echo(f"\nIngestion will refuse {len(found)} file(s):\n{as_text(found)}")
    click.echo(f"\nWritten: {target}\nCheck it, then run: kedro run --pipeline=augment --params=dataset={name}")
