"""The modules of the package, as files."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = ("benchmarks", "checkpoints", "configs", "pipeline", "samples", "stages", "training")
"""The top-level folders that ship in the wheel."""


def module_name(path: Path) -> str:
    """The name by which a module is imported: `visuals.stages.shot`."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(["visuals", *(part for part in parts if part != "__init__")])


def modules(*more_folders: str) -> dict[str, Path]:
    """Each module's file by its name, of the root and of the folders, in order."""
    paths = [path for top in (*FOLDERS, *more_folders) for path in (ROOT / top).rglob("*.py")]
    return {module_name(path): path for path in sorted([*ROOT.glob("__*__.py"), *paths])}
