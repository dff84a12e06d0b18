"""`settings`: what the variables, and a site file, resolve to."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from classpulse.commands.options import DataOption, environ_with
from classpulse.settings import Settings

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command()
def settings(
    site: Annotated[Path | None, typer.Argument(help="Site file whose [settings] count too.")] = None,
    data: DataOption = None,
) -> None:
    """Print the settings as they were resolved, secrets masked."""
    environ = environ_with(data)
    for name, value in _resolved(site, environ).rows():
        typer.echo(f"{name} = {value}")


def _resolved(site: Path | None, environ: Mapping[str, str]) -> Settings:
    if site is None:
        return Settings.from_env(environ)
    from classpulse.site import load_site  # noqa: PLC0415 - knows cameras, whose libraries not every image has

    return load_site(site, environ).settings
