"""Runs the core on the lowest and the highest versions that setup.cfg allows: `make versions`.

Each in a fresh virtual environment, of which uv chooses the versions: every module is imported,
`stages/accel` is tested against the libraries' own code, and one `visuals run` draws a picture.
`python tests/versions.py installed` does the same with the packages of this environment.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from helpers import source

CORE_TESTS = ("tests/stages/accel", "tests/stages/test_models.py")
IMPORTS = """
import importlib, sys
for name in sys.argv[1:]:
    try:
        importlib.import_module(name)
    except ModuleNotFoundError as error:  # a package of an extra
        if (error.name or "").startswith("visuals"):
            raise
        print(f"{name}: without {error.name}")
"""
RUN = ("run", "--class", "mug", "--count", "1", "--set", "generate.steps=2")
LIBRARIES = ("torch", "diffusers", "transformers", "peft", "accelerate")


def environment(folder: Path, resolution: str) -> Path:
    """Create a virtual environment with the package, pytest and uv's choice; its Python."""
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    python = folder / "bin" / "python"
    subprocess.run([str(python), "-m", "pip", "install", "--quiet", "uv"], check=True)
    install = ["uv", "pip", "install", "--python", str(python), "--resolution", resolution]
    subprocess.run([str(python), "-m", *install, str(source.ROOT), "pytest>=9"], check=True)
    return python


def check(python: str, work: Path) -> list[str]:
    """Run the core with this Python; the names of the checks that failed."""
    environ = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(work / "src")}
    (work / "src").mkdir()
    (work / "src" / "visuals").symlink_to(source.ROOT)  # the checkout, whatever is installed
    listing = (
        f"from importlib.metadata import version as v; print(*[n+' '+v(n) for n in {LIBRARIES}])"
    )
    subprocess.run([python, "-c", listing], check=True)
    checks = {
        "imports": [python, "-c", IMPORTS, *source.modules()],
        "parity": [python, "-m", "pytest", "-q", *CORE_TESTS],
        "run": [python, "-m", "visuals", *RUN, "--out", str(work / "out")],
    }
    return [
        name
        for name, command in checks.items()
        if subprocess.run(command, cwd=source.ROOT, env=environ).returncode
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    sets = ("lowest", "highest", "installed")
    parser.add_argument("sets", nargs="*", choices=sets, default=list(sets[:2]))
    failed = []
    for name in parser.parse_args().sets:
        print(f"--- {name} versions", flush=True)
        with tempfile.TemporaryDirectory(prefix=f"visuals-{name}-") as folder:
            work = Path(folder)
            python = sys.executable
            if name != "installed":
                resolution = {"lowest": "lowest-direct"}.get(name, name)
                python = str(environment(work / "venv", resolution))
            failed += [f"{name}: {check_name}" for check_name in check(python, work)]
    sys.exit("failed: " + ", ".join(failed) if failed else 0)


if __name__ == "__main__":
    main()
