"""`kedro satsynth storage` and `kedro satsynth prune`: show and free disk space."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain, groupby
from pathlib import Path
from typing import Any

import click

from satsynth.commands.inventory import decoded_pictures, leftovers, versions, works
from satsynth.commands.pruning import remove, unneeded
from satsynth.commands.usage import Usage, size, usage
from satsynth.commands.verification import damages
from satsynth.work.errors import SatSynthError
from satsynth.work.files import disk_errors
from satsynth.work.runs import alone, at_work

_HEAD = ("", "kept", "by names", "on disk", "only here")


@click.command()
@click.option("--verify", is_flag=True, help="Read all files and name those that are damaged.")
@click.pass_obj
def storage(metadata: Any, verify: bool) -> None:
    """Show what is stored on disk.

    Versions and work folders share files through hard links. `by names` counts every name of a file, `on disk` counts
    each file once, and `only here` is the space that removing the row would free.
    """
    project = Path(metadata.project_path)
    data = project / "data"
    if verify:
        _verify(data)
        return
    busy = at_work(data / ".work")
    rows = _rows(data)
    if not busy:
        rows = chain(rows, [("leftovers of killed processes", leftovers(data))])
    _print_table([_HEAD, *((title, str(len(paths)), *_sizes(usage(paths))) for title, paths in rows if paths)])
    total = usage(path for path in data.glob("*") if path.name != "01_raw")
    click.echo(
        f"\nTotal with reports and without raw data: {size(total.apparent)} by names, {size(total.real)} on disk; "
        f"hard links save {size(total.apparent - total.real)}."
    )
    tracked = usage([project / "mlflow.db", project / "mlartifacts"]).real
    if tracked:
        click.echo(f"MLflow's own files (mlflow.db, mlartifacts): {size(tracked)}; `mlflow gc` frees deleted runs.")
    if busy:
        for who in busy:
            click.echo(f"Running now: {who}.")
        click.echo("How much space can be freed is shown when nothing is running.")
        return
    freed = usage([removal.path for removal in unneeded(data, 1)]).exclusive
    click.echo(f"`kedro satsynth prune --keep 1` would free {size(freed)}.")


@click.command()
@click.option("--keep", type=click.IntRange(1), required=True, help="Versions to keep of each catalog entry.")
@click.option("--unfinished", is_flag=True, help="Remove unfinished work too.")
@click.option("--dry-run", is_flag=True, help="Show what would be removed without removing it.")
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
@click.pass_obj
def prune(metadata: Any, keep: int, unfinished: bool, dry_run: bool, yes: bool) -> None:
    """Free disk space: remove old versions and work that no kept version needs.

    The versions that were saved last stay, with their ancestors, work folders and decoded pictures, and so does what
    tables and reports rest on. Unfinished work of any parameters stays, too, unless --unfinished is given. Of versions
    with equal content the older ones are removed. Nothing is removed during a run.
    """
    data = Path(metadata.project_path) / "data"
    with alone(data / ".work"):
        found = unneeded(data, keep, unfinished)
        if not found:
            click.echo("There is nothing to remove.")
            return
        for removal in found:
            click.echo(f"  {size(usage([removal.path]).real):>10}  {removal.what}")
        freed = size(usage([removal.path for removal in found]).exclusive)
        click.echo(f"{len(found)} to remove, which frees {freed} (files shared with kept versions are not freed).")
        if dry_run:
            return
        if not yes:
            click.confirm("Remove them?", abort=True)
        with disk_errors(data):
            for removal in found:
                remove(removal)
        click.echo(f"Removed, which freed {freed}.")


def _verify(data: Path) -> None:
    found = list(damages(data))
    for damage in found:
        click.echo(str(damage))
    if found:
        raise SatSynthError(f"{len(found)} files below {data} are damaged.", "See above, file by file.")
    click.echo(f"All files below {data} that satsynth keeps digests of are what was written.")


def _rows(data: Path) -> Iterator[tuple[str, list[Path]]]:
    """Yield title and folders of each row of the table."""
    for entry, group in groupby(reversed(versions(data)), lambda version: version.entry):
        space, dataset, name = entry.relative_to(data).parts[1:]
        yield f"versions of {name} ({space}, {dataset})", [version.path for version in group]
    root = data / ".work"
    known = list(reversed(works(root)))
    for step, same in groupby(known, lambda work: work.step):
        folders = list(same)
        yield f"work on {step}", [work.path / "result" for work in folders]
    yield "checkpoints and helpers", [path for work in known for path in work.helpers if path.suffix != ".json"]
    yield "decoded pictures", [found.path for found in decoded_pictures(root)]


def _sizes(found: Usage) -> tuple[str, str, str]:
    return size(found.apparent), size(found.real), size(found.exclusive)


def _print_table(rows: Iterable[tuple[str, ...]]) -> None:
    table = list(rows)
    widths = [max(len(row[column]) for row in table) for column in range(len(_HEAD))]
    for row in table:
        cells = [row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))]
        click.echo("  ".join(cells).rstrip())
