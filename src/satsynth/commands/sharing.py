"""`kedro satsynth share`: make a finished generator small, for others to start from."""

from __future__ import annotations

from pathlib import Path

import click

from satsynth.work.errors import DataError


@click.command()
@click.argument("generator", type=click.Path(path_type=Path))
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--about", multiple=True, metavar="KEY=TEXT", help="Where it comes from, as licence=CC0; repeatable.")
def share(generator: Path, folder: Path, about: tuple[str, ...]) -> None:
    """Write the weights of GENERATOR in half precision to FOLDER, for others to start from.

    GENERATOR is the folder of a finished generator of the family `diffusion`. Others name FOLDER in
    `diffusion.start_from`. Its manifest lists classes and training scenes, with digests of their images.
    """
    from satsynth.diffusion.sharing import write_starting_point
    from satsynth.generation.saved import SavedGenerator
    from satsynth.work.files import disk_errors

    for text in about:
        if not all(text.partition("=")):
            raise DataError(f"--about={text} is no KEY=TEXT.", "Write it as in --about=licence=CC0.")
    with disk_errors(folder):
        write_starting_point(SavedGenerator(generator), folder, dict(text.split("=", 1) for text in about))
    size = sum(file.stat().st_size for file in folder.iterdir()) / 2**20
    click.echo(f"Written: {folder} ({size:.1f} MiB)\nStart from it with --params=diffusion.start_from={folder}")
