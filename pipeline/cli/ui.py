"""`visuals ui`: the studio in the browser."""

from __future__ import annotations

import os
from pathlib import Path

import click

from .options import errors


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port", type=click.IntRange(0, 65535), default=7860, show_default=True, help="0 for any."
)
@click.option(
    "--token",
    envvar="VISUALS_TOKEN",
    metavar="TOKEN",
    help="What a visitor must know; needed with a --host beyond this machine.",
)
@click.option(
    "--runs",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("runs"),
    show_default=True,
    help="Folder of the runs.",
)
@click.option("--no-browser", is_flag=True, help="Open no browser window.")
@errors
def ui(host: str, port: int, token: str | None, runs: Path, no_browser: bool) -> None:
    """Make, check and re-render pictures in the browser, on this machine.

    Pages and a JSON API (/docs) over the same commands; every run is a folder in --runs. Ctrl-C
    ends it.
    """
    from ..web import server

    server.check_address(host, port, token)
    os.environ.update(server.environment(runs))

    def announce(address: str, number: int) -> None:
        shown = "127.0.0.1" if address in ("0.0.0.0", "::") else address
        shown = f"[{shown}]" if ":" in shown else shown
        url = f"http://{shown}:{number}/" + (f"?token={token}" if token else "")
        click.echo(f"studio    {url}")
        if not no_browser:
            import webbrowser

            webbrowser.open(url)

    server.serve(runs, host, port, token=token, on_start=announce)
