"""Finds the pictures that a catalogue names, below one folder and never outside it."""

from __future__ import annotations

from pathlib import Path

from ..datasets import images as dataset_images


class ImageLocator:
    """Finds a catalogue's pictures by path, ignoring case and ending, or by a file name that is
    unique below the folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._by_path: dict[str, Path] = {}
        self._by_name: dict[str, list[Path]] = {}
        for path in sorted(
            p for p in folder.rglob("*") if dataset_images.is_picture(p) and p.is_file()
        ):
            below = path.relative_to(folder)
            for key in (below.as_posix(), below.with_suffix("").as_posix()):
                self._by_path.setdefault(key.casefold(), path)
            for key in {path.name, path.stem}:
                self._by_name.setdefault(key.casefold(), []).append(path)

    def __call__(self, name: str) -> Path | None:
        """Return the file or None; raises PermissionError for a path outside the folder."""
        exact = dataset_images.inside(self.folder, name)
        if exact is None:
            raise PermissionError(name)
        if exact.is_file():
            return exact
        found = self._by_path.get(name.removeprefix("./").casefold())
        same = self._by_name.get(name.rpartition("/")[2].casefold(), [])
        found = found or (same[0] if len(same) == 1 else None)
        if (
            found
            and dataset_images.inside(self.folder, found.relative_to(self.folder).as_posix())
            is None
        ):
            raise PermissionError(name)
        return found
