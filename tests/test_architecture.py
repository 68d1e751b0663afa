"""Structure of the package: imports point down the layers, without cycles, in small folders.

Reads the source only. Imports within functions and under `TYPE_CHECKING` count like all others.
"""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator
from itertools import combinations, takewhile
from pathlib import Path

from helpers import source

# From top to bottom: a module imports from its own layer and from those below.
LAYERS = (
    "visuals.__main__",
    "visuals",  # the public names
    "hosting",
    "pipeline.cli",
    "pipeline.web",
    "checkpoints.recipe",
    "benchmarks",
    "pipeline.diagnostics",
    "pipeline.jobs",
    "pipeline.engines",
    "pipeline.exports",
    "pipeline.reports",
    "pipeline.build",
    "pipeline.inputs",
    "pipeline.prompts",
    "pipeline.runs",
    "pipeline.runner",
    "training",
    "pipeline.images",
    "stages",
    "checkpoints",
    "configs",
    "samples",
    "pipeline",  # its __init__ alone
)
IMPORTERS_OF_SAMPLES = {"benchmarks", "checkpoints.recipe", "samples"}

MOST_MODULES = 14  # of a folder; the command line has a file a command
MOST_LINES = 350

# File names that may recur: the same role in sibling packages.
PARTS_OF_COMMANDS = (
    "configs",
    "pipeline.diagnostics",
    "pipeline.exports",
    "pipeline.inputs",
    "pipeline.jobs",
    "pipeline.jobs.replays",
    "pipeline.runner",
)
SAME_ROLE: tuple[set[str], ...] = (
    *({"pipeline.cli", part} for part in PARTS_OF_COMMANDS),
    {"configs", "pipeline.build", "stages", "stages.hosted", "stages.diffusion"},  # of one stage
    {"configs", "pipeline.runner"},  # the run and its settings
    {"pipeline.exports", "training.datasets"},  # writer and reader of one format
    {f"pipeline.web.tabs.{name}" for name in ("compare", "create", "enhance", "runs", "train")},
)
ANYWHERE = {"__init__", "__main__", "errors"}

MODULES = {
    name.removeprefix("visuals.") if path.parent != source.ROOT else name: path
    for name, path in source.modules("hosting").items()
}


def folder(name: str) -> str:
    """The dotted name of the folder that holds a module."""
    return name if MODULES[name].name == "__init__.py" else name.rpartition(".")[0]


def imported(name: str, path: Path) -> set[str]:
    """The modules of the package that a module imports by name, wherever in its source."""
    package = path.relative_to(source.ROOT).parent.parts
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name.removeprefix("visuals.") for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = (node.module or "").split(".") if node.module else []
            if node.level:
                base = [*package[: len(package) - node.level + 1], *base]
            elif base[0] == "visuals":
                base = base[1:]
            else:
                continue
            for alias in node.names:
                longest = ".".join([*base, alias.name])
                names.add(longest if longest in MODULES else ".".join(base) or "visuals")
    return names & set(MODULES) - {name}


IMPORTS = {name: imported(name, path) for name, path in MODULES.items()}


def layer(name: str) -> str:
    """The entry of LAYERS that holds a module."""
    holders = [entry for entry in LAYERS if name == entry or name.startswith(f"{entry}.")]
    return max(holders, key=len)


def cycles(graph: dict[str, set[str]]) -> Iterator[list[str]]:
    """The groups of nodes that reach each other."""
    reached: dict[str, set[str]] = {}
    for start in graph:
        found, waiting = set(), list(graph[start])
        while waiting:
            node = waiting.pop()
            if node not in found:
                found.add(node)
                waiting += graph.get(node, ())
        reached[start] = found
    done: set[str] = set()
    for node in graph:
        group = {other for other in reached[node] if node in reached.get(other, ())}
        if group and node not in done:
            done |= group
            yield sorted(group)


def folder_graphs() -> dict[str, dict[str, set[str]]]:
    """By folder: how its modules and sub-folders, each taken as a whole, import each other.

    The folders of `pipeline` are taken for siblings of the top ones, as in LAYERS.
    """
    graphs: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for name, others in IMPORTS.items():
        for other in others:
            source, target = (n.removeprefix("pipeline.").split(".") for n in (name, other))
            pairs = zip(source, target, strict=False)
            common = [part for part, _ in takewhile(lambda pair: pair[0] == pair[1], pairs)]
            start, end = (".".join(parts[: len(common) + 1]) for parts in (source, target))
            graphs[".".join(common)][start].add(end)
    return graphs


def test_every_module_has_a_layer_and_imports_are_seen() -> None:
    assert all(layer(name) for name in MODULES)
    assert IMPORTS["stages.detect"] >= {"stages.shot"}
    assert len(MODULES) > 200 and sum(map(len, IMPORTS.values())) > 500


def test_imports_of_modules_make_no_cycle() -> None:
    assert [" ↔ ".join(group) for group in cycles(IMPORTS)] == []


def test_imports_of_folders_make_no_cycle() -> None:
    groups = [group for graph in folder_graphs().values() for group in cycles(graph)]
    folders = {folder(name).removeprefix("pipeline.") for name in MODULES}
    assert [" ↔ ".join(group) for group in groups if folders & set(group)] == []


def test_imports_point_down_the_layers() -> None:
    edges = [(name, other) for name, others in IMPORTS.items() for other in others]
    upward = [
        f"{name} → {other}"
        for name, other in edges
        if LAYERS.index(layer(name)) > LAYERS.index(layer(other))
        or (layer(other) == "samples" and layer(name) not in IMPORTERS_OF_SAMPLES)
    ]
    assert upward == []


def test_folders_are_small() -> None:
    sizes: dict[str, int] = defaultdict(int)
    for path in MODULES.values():
        sizes[path.parent.relative_to(source.ROOT).as_posix()] += path.name != "__init__.py"
    sizes.pop("pipeline/cli")
    assert [name for name, size in sizes.items() if size > MOST_MODULES] == []


def test_file_names_are_used_once() -> None:
    by_name = defaultdict(list)
    for name, path in MODULES.items():
        if path.stem not in ANYWHERE:
            by_name[path.stem].append(folder(name))
    twice = [
        f"{stem}: {first}, {second}"
        for stem, folders in by_name.items()
        for first, second in combinations(sorted(folders), 2)
        if not any({first, second} <= role for role in SAME_ROLE)
    ]
    assert twice == []


def test_modules_are_short() -> None:
    lengths = {name: len(path.read_text("utf-8").splitlines()) for name, path in MODULES.items()}
    assert [name for name, lines in lengths.items() if lines > MOST_LINES] == []
