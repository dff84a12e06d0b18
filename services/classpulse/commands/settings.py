"""`settings`: what the variables, and a site file, resolve to."""

from pathlib import Path
from typing import Annotated

import typer

from classpulse.commands.options import DataOption, environ_with
from classpulse.settings import Settings
from classpulse.site import load_site

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command()
def settings(
    site: Annotated[Path | None, typer.Argument(help="Site file whose [settings] count too.")] = None,
    data: DataOption = None,
) -> None:
    """Print the settings as they were resolved, secrets masked."""
    environ = environ_with(data)
    resolved = Settings.from_env(environ) if site is None else load_site(site, environ).settings
    for name, value in resolved.rows():
        typer.echo(f"{name} = {value}")
