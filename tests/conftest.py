"""What every test stands on: a home folder of its own, one thread, no network, the models.

`mini` is the folder of embedded models: checkpoints/mini where its weights are, else the
random-weight one of `stages/tiny.py`, which has the same formats and can only be run.
"""

from __future__ import annotations

import gc
import itertools
import os
import re
import secrets
import signal
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["VISUALS_PRESETS"] = str(Path(__file__).parent / "presets")
os.environ["TRANSFORMERS_VERBOSITY"] = "error"
# Ray reads these once a process; with a token of the tests' own none is left in a home folder.
os.environ["RAY_AUTH_MODE"], os.environ["RAY_AUTH_TOKEN"] = "token", secrets.token_hex(32)

# A shell's background jobs ignore Ctrl-C, and so would the processes that tests stop with it.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# The libraries' objects outlast every test; looking through them took a fifth of the tests' time.
gc.disable()

from helpers import tiny  # noqa: E402

ROOT = Path(__file__).resolve().parent.parent
TRAINED = ROOT / "checkpoints" / "mini"
ALLOWED_SKIPS = (
    "no GPU",
    "the reference pictures are not here",
    "the method's own photos are not here",
    "no Chromium here",
    "no bitsandbytes here",
    r"preset \S+ takes",
    "two pictures of 768 px take minutes",
    "the embedded models have other weights than in version 0.1.0",
)
"""Reasons, as regular expressions, that `--strict-skips` lets a test give."""

LONGEST = (
    "test_survival.py", "test_remote_folder.py", "test_docs.py", "test_quality.py",
    "test_recipe.py", "test_ray_engine.py",
)  # fmt: skip
"""Files that take more than 40 s of CPU time, some of them in one test."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--strict-skips",
        action="store_true",
        help="fail where a test was skipped for a reason that is not in ALLOWED_SKIPS",
    )


def pytest_sessionfinish(session: pytest.Session) -> None:
    """With `--strict-skips`, name the tests that should have run, and fail."""
    terminal = session.config.pluginmanager.get_plugin("terminalreporter")
    if terminal is None or not session.config.getoption("strict_skips"):
        return
    for report in terminal.stats.get("skipped", ()):
        reason = str(report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr)
        if not any(re.search(allowed, reason) for allowed in ALLOWED_SKIPS):
            terminal.write_line(f"\n{report.nodeid} was skipped: {reason}", red=True)
            session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Start `LONGEST`, then the files with the most slow tests, where xdist shares out files."""
    if not hasattr(config, "workerinput"):
        return
    slow = Counter(item.path for item in items if item.get_closest_marker("slow"))
    files = sorted(
        dict.fromkeys(item.path for item in items),
        key=lambda path: (path.name not in LONGEST, -slow[path]),
    )
    items.sort(key=lambda item: files.index(item.path))


def pytest_collection_finish() -> None:
    """Collect garbage again, but seldom, and not what the collected modules hold."""
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)
    gc.enable()


def pytest_unconfigure() -> None:
    """Let Python take apart at its end what was left out of collections."""
    gc.unfreeze()


def trained() -> bool:
    """Whether the embedded weights are there, all of them."""
    parts = ("sd", "controlnet-canny", "grounding-dino", "sam")
    return all(list((TRAINED / part).rglob("*.safetensors")) for part in parts)


@pytest.fixture(scope="session", autouse=True)
def random_seeds_are_zero() -> Iterator[None]:
    """Runs without a seed repeat in tests; `random_seeds` gives a test random ones again."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("visuals.stages.shot.secrets.randbelow", lambda below: 0)
        yield


@pytest.fixture(scope="module", autouse=True)
def what_lasts_is_collected_once() -> Iterator[None]:
    """Collect what a file left; what the libraries still hold then is not looked through again."""
    yield
    gc.collect(1)
    gc.freeze()


@pytest.fixture
def random_seeds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Random seeds, as users have them."""
    monkeypatch.setattr("visuals.stages.shot.secrets.randbelow", secrets.SystemRandom().randrange)


@pytest.fixture(scope="session")
def homes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Names of folders in one of their own: pytest looks through all that it numbers, each time."""
    folder = tmp_path_factory.mktemp("homes")
    return (folder / str(number) for number in itertools.count())


@pytest.fixture(autouse=True)
def own_home(homes: Iterator[Path], monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A home and a working folder of its own, so that no test sees another's files."""
    home = next(homes)
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("XDG_CACHE_HOME", str(home / "cache"))
    for name in ("XDG_CONFIG_HOME", "VISUALS_LOCK", "HF_TOKEN", "HF_HUB_CACHE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(home)
    monkeypatch.setattr(os, "fsync", lambda handle: None)  # no test cuts the power
    yield home


@pytest.fixture(scope="session")
def mini_is_trained() -> bool:
    return trained()


@pytest.fixture(scope="session")
def mini(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The embedded models, else tiny ones of the same formats (see VISUALS_MINI)."""
    if trained():
        yield TRAINED
        return
    folder = tmp_path_factory.mktemp("mini")
    tiny.write(folder)
    before = os.environ.get("VISUALS_MINI")
    os.environ["VISUALS_MINI"] = str(folder)
    yield folder
    if before is None:
        os.environ.pop("VISUALS_MINI", None)
    else:
        os.environ["VISUALS_MINI"] = before


@pytest.fixture(scope="session")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a CLIP of random weights."""
    folder = tmp_path_factory.mktemp("clip")
    tiny.write_clip(folder)
    return folder


@pytest.fixture(scope="session")
def blip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a BLIP of random weights."""
    folder = tmp_path_factory.mktemp("blip")
    tiny.write_blip(folder)
    return folder


@pytest.fixture(scope="session")
def renderer(tmp_path_factory: pytest.TempPathFactory) -> None:
    """The ray-marcher, compiled: by one process, for whose cache the others wait."""
    pytest.importorskip("numba")
    from filelock import FileLock

    from visuals.samples import studio

    with FileLock(tmp_path_factory.getbasetemp().parent / "renderer.lock"):
        studio.render(0, 8)


@pytest.fixture(scope="module")
def loaded_models() -> Iterator[None]:
    """Commands that a file's tests call in this process load each model once, as in the studio."""
    from visuals.checkpoints.loaded_models import LoadedModels

    with LoadedModels():
        yield
