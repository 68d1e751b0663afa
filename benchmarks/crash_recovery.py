"""Whether runs survive: killed at random moments and resumed, against one that was left alone;
and what memory they hold.

Starts `visuals` as a user would, in processes of its own, and looks at run folders only.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..checkpoints import atomic_files
from ..pipeline.images.read import PictureError, read_image
from ..pipeline.images.write import encode_png
from ..pipeline.runs import folder as run_folder
from ..pipeline.runs import run_yaml

Tell = Callable[[str], None]
FAST = ("--set", "generate.steps=1", "--set", "rerender.steps=2")


def photos(folder: Path, count: int, size: int = 96) -> None:
    """`count` pieces of the sample photos, `size` × `size`, none like another."""
    import cv2

    from .. import samples

    shipped = sorted((Path(samples.__file__).parent / "photos").glob("*.jpg"))
    shown = [read_image(path).rgb for path in shipped]
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        rgb = shown[number % len(shown)]
        cut = 2 * (number // len(shown))
        piece = cv2.resize(rgb[cut % 64 :, : rgb.shape[1] - cut // 64], (size, size))
        piece[0, 0] = number >> 16 & 255, number >> 8 & 255, number & 255
        atomic_files.write(folder / f"{number:05d}.png", encode_png(piece))


def start(arguments: Sequence[str]) -> subprocess.Popen[bytes]:
    """`visuals` with these arguments, quiet."""
    return subprocess.Popen(
        [sys.executable, "-m", "visuals", *arguments],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )


def lines_in(folder: Path) -> int:
    """Whole lines in a folder's manifest, as another process sees it grow."""
    path = folder / run_folder.NAME
    return path.read_bytes().count(b"\n") if path.is_file() else 0


def killed(
    arguments: Sequence[str],
    folder: Path,
    *,
    kills: int,
    total: int,
    seed: int = 0,
    tell: Tell = lambda text: None,
) -> list[int]:
    """Run `arguments` into `folder`, killed `kills` times by SIGKILL and resumed each time, until
    it ends. Returns how many of the `total` lines stood at each kill.

    Most kills come while pictures are made, one in five while the program starts.
    """
    chance = random.Random(seed)
    stood: list[int] = []
    first = [*arguments, "--out", str(folder)]
    while True:
        begun = (folder / run_yaml.NAME).is_file()
        process = start(["resume", str(folder)] if begun else first)
        before = lines_in(folder)
        if len(stood) < kills:
            # A kill leaves work for those that follow: an equal share of what is left to each.
            last = before + (total - before) // (kills - len(stood) + 1)
            at = before if chance.random() < 0.2 else chance.randint(before, last)
            while process.poll() is None and lines_in(folder) < max(at, 1 if at else 0):
                time.sleep(0.005)
            time.sleep(chance.random() * (2.0 if at == before else 0.2))
            if process.poll() is None:
                process.kill()
                process.communicate()
                stood.append(lines_in(folder))
                tell(f"killed at {stood[-1]} of {total}")
                continue
        _, said = process.communicate()
        if process.returncode:
            raise RuntimeError(f"exit {process.returncode}: {said.decode(errors='replace')}")
        if len(stood) < kills and lines_in(folder) >= total:
            raise RuntimeError(f"ended after {len(stood)} of {kills} kills: take more pictures")
        return stood


def compare(folder: Path, whole: Path) -> dict[str, Any]:
    """A resumed run against one that was left alone: lines, files, pixels."""
    mine = list(run_folder.read_lines(folder))
    theirs = {line["id"]: line for line in run_folder.read_lines(whole)}
    twice = sum(number - 1 for number in Counter(line["id"] for line in mine).values())
    broken, other_lines, files, worst = 0, 0, 0, 0
    for line in mine:
        other = theirs.get(line["id"], {})
        same = {**line, "seconds": None} == {**other, "seconds": None}
        other_lines += not same
        for kind, name in line["files"].items():
            if not name:
                continue
            files += 1
            try:
                got = read_image(folder / name).rgb.astype(int)
                expected = read_image(whole / other["files"][kind]).rgb.astype(int)
            except (PictureError, KeyError, TypeError):
                broken += 1
                continue
            worst = max(worst, int(abs(got - expected).max()))
    return {
        "lines": len(mine),
        "expected": len(theirs),
        "twice": twice,
        "missing": len(set(theirs) - {line["id"] for line in mine}),
        "lines_that_differ": other_lines,
        "files": files,
        "files_broken": broken,
        "half_written": len(list(folder.rglob("*.part"))),
        "largest_difference": worst,
    }


def survive(
    work: Path,
    *,
    count: int,
    kills: int,
    arguments: Sequence[str] = (),
    seed: int = 0,
    tell: Tell = lambda text: None,
) -> dict[str, Any]:
    """The killed run against the whole one, over `count` photos, at batch size 1."""
    tell(f"rendering {count} photos")
    photos(work / "photos", count)
    command = ["run", str(work / "photos"), "--class", "mug", "--batch-size", "1", "--seed", "0"]
    command += [*FAST, *arguments]
    tell("a run that is left alone")
    begun = time.perf_counter()
    process = start([*command, "--out", str(work / "whole")])
    _, said = process.communicate()
    if process.returncode:
        raise RuntimeError(f"exit {process.returncode}: {said.decode(errors='replace')}")
    alone = time.perf_counter() - begun
    stood = killed(command, work / "killed", kills=kills, total=count, seed=seed, tell=tell)
    found = compare(work / "killed", work / "whole")
    return {"pictures": count, "killed_at": stood, "seconds_alone": round(alone, 1), **found}


def resident(pid: int) -> int:
    """Resident memory of a process, bytes (Linux); 0 once it ended."""
    try:
        pages = Path(f"/proc/{pid}/statm").read_text().split()[1]
    except (OSError, IndexError):
        return 0
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


def memory(
    work: Path,
    *,
    count: int,
    warm_up: int = 100,
    arguments: Sequence[str] = (),
    tell: Tell = lambda text: None,
) -> dict[str, Any]:
    """Resident memory of a filter run over `count` photos, after the first `warm_up`."""
    photos(work / "many", count)
    out = work / "memory"
    command = ["filter", str(work / "many"), "--class", "mug", "--out", str(out), *arguments]
    process = start(command)
    samples: list[tuple[int, int]] = []
    while process.poll() is None:
        done, held = lines_in(out), resident(process.pid)
        if held and warm_up <= done < count:
            samples.append((done, held))
        if len(samples) % 20 == 1:
            tell(f"{done} of {count}: {held >> 20} MiB")
        time.sleep(0.25)
    if process.returncode or len(samples) < 2:
        said = process.communicate()[1].decode(errors="replace")
        raise RuntimeError(f"exit {process.returncode}, {len(samples)} samples: {said}")
    # The middle of some samples: the allocator breathes.
    few = max(1, len(samples) // 10)
    first = float(np.median([held for _, held in samples[:few]]))
    last = float(np.median([held for _, held in samples[-few:]]))
    return {
        "pictures": count,
        "mib_after_warm_up": round(first / 2**20, 1),
        "mib_at_the_end": round(last / 2**20, 1),
        "growth": round(last / first - 1, 4),
    }
