"""`kedro satsynth describe`: from a folder of images and masks to the description that the pipelines need."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import click

from satsynth.work.errors import DataError


@click.command()
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--name", required=True, help="Name of the data set: letters, digits and underscores.")
@click.option("--masks", "looked_at", default=200, show_default=True, help="Most masks to look at; 0 for all.")
@click.option("--force", is_flag=True, help="Write over a description that is there.")
@click.pass_obj
def describe(metadata: Any, folder: Path, name: str, looked_at: int, force: bool) -> None:
    """Propose the description of your own images and masks in FOLDER.

    Writes conf/base/parameters_dataset_<name>.yml, to be read, edited and run.
    """
    from satsynth.describing.proposal import propose
    from satsynth.describing.text import description_text
    from satsynth.describing.writing import checked, raw_of
    from satsynth.work.files import atomic

    if not re.fullmatch(r"[A-Za-z]\w*", name):
        raise DataError(
            f"--name={name} is no name for a data set.",
            "Take letters, digits and underscores, a letter first: it becomes part of file names.",
        )
    project = Path(metadata.project_path)
    target = project / "conf" / "base" / f"parameters_dataset_{name}.yml"
    if target.exists() and not force:
        raise DataError(f"{target} is there already.", "Take another --name, or write over it with --force.")
    proposal = propose(folder.resolve(), looked_at)
    text = description_text(name, raw_of(folder, project), proposal)
    checked(name, text)
    with atomic(target) as temporary:
        temporary.write_text(text, encoding="utf-8")
    click.echo(f"{proposal.scenes} scenes, {len(proposal.classes.classes)} classes. {proposal.why_splits}")
    if proposal.notes:
        click.echo("\nNot certain:")
    for note in proposal.notes:
        click.echo(click.wrap_text(note, 100, "  - ", "    "))
    click.echo(f"\nWritten: {target}\nRead it, then: kedro run --pipeline=augment --params=dataset={name}")
