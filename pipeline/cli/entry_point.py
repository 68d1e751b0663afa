"""The program `visuals`: the commands in a process of their own, which ends as soon as they do."""

from __future__ import annotations

import atexit
import logging
import os
import sys

from . import main


def program() -> None:
    """What `visuals` and `python -m visuals` run; exits.

    Python takes apart what the model libraries made, object by object, for two seconds. All files
    are closed by then, so that the process ends without it: after its threads and after whatever
    else was to be done at its end.
    """
    # torch's threads sleep while they wait: spinning, they starve each other on a busy machine.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    leaving = _Leaving()
    atexit.register(leaving)  # first of all, so that it is called last
    try:
        main(prog_name="visuals")
    except SystemExit as end:
        leaving.code = end.code if isinstance(end.code, int) else 0 if end.code is None else 1
        raise


class _Leaving:
    """`code`: what the process exits with; None leaves its end to Python."""

    code: int | None = None

    def __init__(self) -> None:
        self._process = os.getpid()

    def __call__(self) -> None:
        if self.code is None or self._process != os.getpid() or "torch" not in sys.modules:
            return
        logging.shutdown()
        try:
            sys.stdout.flush()
            sys.stderr.flush()
        except (OSError, ValueError):  # nobody reads any more: Python says so
            return
        os._exit(self.code)
