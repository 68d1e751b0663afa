"""`visuals ui`: the studio in the browser."""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import quote

import click

from .grouped_help import examples
from .options import errors
from .output import echo


def url_of(address: str, port: int, token: str | None) -> str:
    """Return the URL of the studio as it is opened on this machine.

    >>> url_of("0.0.0.0", 7860, "a#b&c=d"), url_of("::1", 7860, None)
    ('http://127.0.0.1:7860/?token=a%23b%26c%3Dd', 'http://[::1]:7860/')
    """
    shown = "127.0.0.1" if address in ("0.0.0.0", "::") else address
    shown = f"[{shown}]" if ":" in shown else shown
    return f"http://{shown}:{port}/" + (f"?token={quote(token, safe='')}" if token else "")


@click.command(
    epilog=examples("visuals ui", "visuals ui --host 0.0.0.0 --token SECRET --no-browser")
)
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=7860,
    show_default=True,
    help="Port to listen on; 0: any free one.",
)
@click.option(
    "--token",
    envvar="VISUALS_TOKEN",
    metavar="TOKEN",
    help="Access token; required if --host is reachable from other machines.",
)
@click.option(
    "--runs",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("runs"),
    show_default=True,
    help="Folder of the run folders.",
)
@click.option(
    "--keep-uploads",
    type=click.IntRange(0),
    default=14,
    show_default=True,
    metavar="DAYS",
    help="Remove uploads, searches and small pictures at the start that were not used for DAYS.",
)
@click.option("--no-browser", is_flag=True, help="Do not open a browser.")
@errors
def ui(
    host: str, port: int, token: str | None, runs: Path, keep_uploads: int, no_browser: bool
) -> None:
    """Open the studio in the browser; it runs on this machine.

    It offers the same commands on pages and as a JSON API (/docs). Every run is a folder in
    --runs. Ctrl-C stops it.
    """
    from ..web import server

    server.check_address(host, port, token)
    os.environ.update(server.environment(runs))

    def announce(address: str, number: int) -> None:
        url = url_of(address, number, token)
        echo(f"studio    {url}")
        if not no_browser:
            import webbrowser

            webbrowser.open(url)

    server.serve(runs, host, port, token=token, keep_days=keep_uploads, on_start=announce)
