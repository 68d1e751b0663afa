"""`visuals checkpoints` against a local stand-in of the hub: what is whole is loaded, all else is
a sentence. Each command runs in a process of its own, as huggingface_hub reads its environment
when it is imported."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import huggingface_hub
import pytest
from helpers.hub_stand_in import Hub
from huggingface_hub import constants

from visuals.checkpoints import load
from visuals.checkpoints.hub import download as hubs
from visuals.checkpoints.hub import first_use, lockfile, pull
from visuals.checkpoints.hub.lockfile import Pin, PinnedFile

SAM = "facebook/sam-vit-base"
LARGE = bytes(range(256)) * (24 << 12)  # 24 MiB: the library writes 10 MiB at a time
SETTINGS = b'{"model_type": "sam"}'
BEFORE, AFTER = "a" * 40, "b" * 40


@pytest.fixture
def hub() -> Iterator[Hub]:
    with Hub() as made:
        yield made


class Machine:
    """A home folder and the command line in it."""

    def __init__(self, home: Path, hub: Hub) -> None:
        self.home, self.hub, self.cache = home, hub, home / "hf" / "hub"

    def __call__(self, *args: str, code: int = 0, **env: str) -> str:
        """Run `visuals checkpoints …`; its output, with the errors."""
        done = subprocess.run(
            [sys.executable, "-m", "visuals", "checkpoints", *args],
            env={**os.environ, **self.environment, **env},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=240,
        )
        assert done.returncode == code, done.stdout
        assert "Traceback" not in done.stdout
        return done.stdout

    @property
    def environment(self) -> dict[str, str]:
        return {
            "HF_HOME": str(self.home / "hf"),
            "HF_ENDPOINT": self.hub.url,
            "HF_HUB_OFFLINE": "0",
            "HF_HUB_DISABLE_XET": "1",
            "HF_HUB_DOWNLOAD_TIMEOUT": "30",
        }

    def file(self, name: str, repository: str = SAM, commit: str = BEFORE) -> Path:
        folder = "models--" + repository.replace("/", "--")
        return self.cache / folder / "snapshots" / commit / name

    def left_overs(self) -> list[Path]:
        return [p for p in self.cache.rglob("*.incomplete") if p.stat().st_size]


@pytest.fixture
def machine(own_home: Path, hub: Hub, monkeypatch: pytest.MonkeyPatch) -> Machine:
    """A machine whose cache this process reads too, offline."""
    made = Machine(own_home, hub)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(made.cache))
    return made


def sam(weights: bytes = b"weights", **more: bytes) -> dict[str, bytes]:
    return {
        "config.json": SETTINGS,
        "model.safetensors": weights,
        "pytorch_model.bin": b"a pickle",
        "README.md": b"a card",
    } | more


def test_the_first_pull_pins_and_the_next_ones_fetch_nothing(hub: Hub, machine: Machine) -> None:
    hub.add(SAM, sam())
    said = machine("pull", "sam-vit-base")
    assert "to fetch into" in said and "2 files" in said
    assert machine.file("model.safetensors").read_bytes() == b"weights"
    assert not machine.file("pytorch_model.bin").exists()
    assert not hub.fetched(".bin")
    pin = lockfile.read()[SAM]
    assert pin.commit == BEFORE
    assert pin.files["model.safetensors"].sha256 and pin.files["config.json"].git

    hub.requests.clear()
    said = machine("pull", SAM, "--json")
    assert json.loads(said)["pulled"][0]["fetched"] == 0
    assert not hub.fetched(".safetensors")
    assert "was here already" in machine("pull", "sam-vit-base", HF_HUB_OFFLINE="1")
    assert first_use.ensure_local("sam-vit-base") == str(machine.file("").parent / BEFORE)

    found = json.loads(machine("info", "sam-vit-base", "--json"))
    assert (found["where"], found["commit"], found["pinned"]) == ("cached", BEFORE, True)
    assert "freed" in machine("remove", "sam-vit-base", "--files")
    assert not machine.file("model.safetensors").exists()


def test_an_interrupted_pull_continues_with_the_files_that_are_missing(
    hub: Hub, machine: Machine
) -> None:
    hub.add(SAM, sam(LARGE))
    hub.cut, hub.cuts = 11 << 20, -1
    said = machine("pull", "sam-vit-base", code=1)
    assert "no connection" in said and "complete files are kept" in said
    assert machine.file("config.json").exists()
    assert not machine.file("model.safetensors").exists()
    assert "partial" in machine("info", "sam-vit-base", HF_HUB_OFFLINE="1")
    with pytest.raises(pull.PullError, match="HF_HUB_OFFLINE"):  # offline
        first_use.ensure_local("sam-vit-base")

    hub.cut, hub.cuts = None, 0
    hub.requests.clear()
    assert "fetched 24.0 MiB" in machine("pull", "sam-vit-base")
    assert not hub.fetched("config.json")
    assert machine.file("model.safetensors").read_bytes() == LARGE
    assert not machine.left_overs()


@pytest.mark.skipif(
    int(huggingface_hub.__version__.split(".")[0]) < 1,
    reason="huggingface_hub 0.x does not retry a broken connection; pull again",
)
def test_a_dropped_connection_is_resumed_within_the_pull(hub: Hub, machine: Machine) -> None:
    hub.add(SAM, sam(LARGE))
    hub.cut, hub.cuts = 11 << 20, 1
    assert "all as pinned" in machine("pull", "sam-vit-base")
    assert hub.fetched("model.safetensors") == ["", f"bytes={10 << 20}-"]
    assert machine.file("model.safetensors").read_bytes() == LARGE


def test_two_names_of_one_repository_do_not_unpin_each_other(hub: Hub, machine: Machine) -> None:
    """Each pulls its own file; the update of one brings the other to the same commit."""
    shared = {"a.safetensors": b"a", "b.safetensors": b"b"}
    repository = hub.add("me/loras", shared)
    for name in ("a", "b"):
        machine("add", name, "me/loras", "--kind", "lora", "--files", f"{name}.safetensors")
        machine("pull", name)
        assert machine.file(f"{name}.safetensors", "me/loras").read_text() == name
    assert set(lockfile.read()["me/loras"].files) == {"a.safetensors", "b.safetensors"}
    assert machine.file("a.safetensors", "me/loras").read_text() == "a"

    repository.commits[AFTER] = {"a.safetensors": b"a", "b.safetensors": b"B"}
    hub.requests.clear()
    machine("pull", "a", "--update")
    assert not hub.fetched(".safetensors")  # its content is cached by the commit before
    pin = lockfile.read()["me/loras"]
    assert (pin.commit, set(pin.files)) == (AFTER, {"a.safetensors", "b.safetensors"})
    assert "partial" not in machine("info", "a")
    assert "missing" in machine("info", "b")
    machine("pull", "b")
    assert machine.file("b.safetensors", "me/loras", AFTER).read_text() == "B"


def test_each_fault_is_a_sentence_and_none_stops_the_others(hub: Hub, machine: Machine) -> None:
    hub.add("me/spoilt", sam(), spoilt={"model.safetensors": b"weightz"})
    hub.add("me/config", sam(), spoilt={"config.json": SETTINGS.upper()})
    hub.add("me/lost", sam(), lost={"model.safetensors"})
    hub.add("me/gated", sam(), gated=True)
    hub.add("me/huge", sam(), sizes={"model.safetensors": 1 << 60})
    hub.add("me/pickled", {"config.json": b"{}", "pytorch_model.bin": b"a pickle"})
    hub.add("me/empty", {"README.md": b"a card"})
    hub.add("me/good", sam())
    names = ["spoilt", "config", "lost", "gated", "huge", "pickled", "empty", "absent", "good"]
    said = machine("pull", *(f"me/{name}" for name in names), code=1)
    lines = {line for line in said.splitlines() if line.startswith("visuals: ")}

    def sentence(name: str) -> str:
        (line,) = (line for line in lines if f"me/{name}" in line)
        return line

    assert "its hash differs" in sentence("spoilt") and "deleted" in sentence("spoilt")
    assert "config.json is not what the hub announced" in sentence("config")
    assert "lacks a file" in sentence("lost") and "model.safetensors" in sentence("lost")
    assert f"accept its terms at {hub.url}/me/gated" in sentence("gated")
    assert "1073741824.00 GiB to fetch" in sentence("huge") and "HF_HOME" in sentence("huge")
    assert "only as a pickle" in sentence("pickled")
    assert "no .safetensors" in sentence("empty")
    assert "no such repository" in sentence("absent")
    assert len(lines) == 8 and "me/good: fetched" in said

    whole = {
        p.parts[-4]
        for p in machine.cache.rglob("snapshots/*/model.safetensors")
        if p.with_name("config.json").exists()
    }
    assert whole == {"models--me--good"}
    assert not machine.left_overs() and not hub.fetched(".bin")
    for name in ("spoilt", "config", "lost", "gated"):  # pinned, not whole: never loaded
        with pytest.raises(pull.PullError, match=f"me/{name}"):
            load.load_segmenter(f"me/{name}")

    hub.repositories["me/spoilt"].spoilt.clear()
    assert "fetched 7 B" in machine("pull", "me/spoilt")
    assert "your token has no access" in machine("pull", "me/gated", code=1, HF_TOKEN="hf_other")
    assert "fetched" in machine("pull", "me/gated", HF_TOKEN="accepted")


def test_a_hub_that_is_down_or_away_is_a_sentence(hub: Hub, machine: Machine) -> None:
    hub.add(SAM, sam())
    hub.status = 503
    assert "HTTP 503" in machine("pull", "sam-vit-base", code=1)
    hub.status = 429
    assert "too many requests" in machine("pull", "sam-vit-base", code=1)
    away = machine("pull", "sam-vit-base", code=1, HF_ENDPOINT="http://127.0.0.1:9")
    assert "no connection to http://127.0.0.1:9" in away
    assert "HF_HUB_OFFLINE is set" in machine("pull", "sam-vit-base", code=1, HF_HUB_OFFLINE="1")
    assert "unknown model" in machine("pull", "sam-vit-bse", code=2)
    assert "nothing to pull" in machine("pull", "mini/sam", code=1)
    assert not lockfile.default_path().exists()


def test_a_disk_without_room_is_a_sentence(hub: Hub, machine: Machine) -> None:
    """A cache on a disk of 8 MiB: nothing is fetched, half or whole."""
    small = machine.home / "hf"
    small.mkdir()
    mount = f"mount -t tmpfs -o size=8m none {small}"
    mine = ["unshare", "--mount", "--", "sh", "-c"]
    if (
        not shutil.which("unshare")
        or subprocess.run([*mine, mount], capture_output=True).returncode
    ):
        pytest.skip("a small disk can be mounted by root on Linux only")
    hub.add(SAM, sam())
    command = f"{sys.executable} -m visuals checkpoints pull sam-vit-base; code=$?; du -a {small}"
    done = subprocess.run(
        [*mine, f"{mount} && {command}; exit $code"],
        env={**os.environ, **machine.environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=240,
    )
    assert done.returncode == 1, done.stdout
    assert "to fetch, but" in done.stdout and "free some space" in done.stdout
    assert "Traceback" not in done.stdout and "safetensors" not in done.stdout
    assert not hub.fetched(".safetensors")


def test_a_moved_main_changes_nothing_until_it_is_asked_for(hub: Hub, machine: Machine) -> None:
    repository = hub.add(SAM, sam(b"before"))
    machine("pull", "sam-vit-base", "--lock", "checkpoints.lock")
    assert lockfile.default_path() == Path("checkpoints.lock")
    repository.commits[AFTER] = sam(b"after!")
    shutil.rmtree(machine.cache)

    said = machine("pull")  # what the lock file pins, as on a colleague's machine
    assert f"has moved on to {AFTER[:12]}" in said
    assert machine.file("model.safetensors").read_bytes() == b"before"
    assert pull.identity("sam-vit-base") == f"{SAM}@{BEFORE}"

    machine("pull", "--update")
    assert lockfile.read()[SAM].commit == AFTER
    assert machine.file("model.safetensors", commit=AFTER).read_bytes() == b"after!"

    del repository.commits[AFTER]
    shutil.rmtree(machine.cache)
    assert "no longer has the pinned commit" in machine("pull", "sam-vit-base", code=1)


def test_a_changed_file_is_found_refused_and_replaced(hub: Hub, machine: Machine) -> None:
    hub.add(SAM, sam())
    machine("pull", "sam-vit-base")
    machine.file("model.safetensors").write_bytes(b"weightz")
    with pytest.raises(pull.PullError, match=r"model\.safetensors is not as pinned.* pull sam-vit"):
        load.load_segmenter("sam-vit-base")
    machine("pull", "sam-vit-base")
    assert machine.file("model.safetensors").read_bytes() == b"weights"

    state = machine.file("model.safetensors").stat()
    machine.file("model.safetensors").write_bytes(b"wEights")
    os.utime(machine.file("model.safetensors"), ns=(state.st_atime_ns, state.st_mtime_ns))
    said = machine("verify", code=1)  # nothing but the content tells
    assert "model.safetensors missing or not as pinned" in said
    machine("pull", "sam-vit-base")
    assert "2 files, all as pinned" in machine("verify", "sam-vit-base")

    lockfile.default_path().unlink()  # what is not pinned is held against its name in the cache
    assert "all as the cache names them" in machine("verify")
    machine.file("model.safetensors").write_bytes(b"weightz")
    assert json.loads(machine("verify", "--json", code=1))["verified"][0]["ok"] is False


def test_names_of_ones_own(hub: Hub, machine: Machine, mini: Path) -> None:
    machine("add", "my-sam", str(mini / "sam"))
    found = json.loads(machine("info", "my-sam", "--json"))
    assert (found["kind"], found["where"]) == ("segmenter", "local")
    assert load.load_segmenter("my-sam")[0].config.model_type == "sam"

    hub.add("me/shoes", sam())
    machine("add", "shoes", "me/shoes", "--kind", "segmenter")
    machine("pull", "shoes")
    listed = json.loads(machine("list", "--cached", "--json"))["checkpoints"]
    where = {found["name"]: found["where"] for found in listed}
    assert where["shoes"] == "cached" and where["my-sam"] == "local"
    assert where["mini/sd"] == "embedded" and "sdxl" not in where

    lora = next((mini / "loras").glob("*.safetensors"))
    assert "(lora)" in machine("add", "my-lora", str(lora))
    Path("old.ckpt").write_bytes(b"a pickle")
    assert "is a pickle" in machine("add", "old", "old.ckpt", code=2)
    assert "no such folder or file" in machine("add", "other", "nowhere/at/all", code=2)
    assert "is taken" in machine("add", "shoes", "me/shoes", code=2)
    assert "of the catalogue" in machine("add", "sdxl", "me/shoes", code=2)
    assert "removed" in machine("remove", "my-sam")
    assert (mini / "sam" / "config.json").exists()
    assert "no name of your own" in machine("remove", "sdxl", code=2)


def test_a_pipeline_of_half_precision_files_is_pulled_and_loaded(
    hub: Hub, machine: Machine, mini: Path
) -> None:
    """Of each part the fp16 file where there is one, else the plain one; loaded without network."""
    files = {}
    for path in (mini / "sd").rglob("*"):
        if path.is_file():
            name = path.relative_to(mini / "sd").as_posix()
            data = path.read_bytes()
            files[name] = data
            if name.endswith(".safetensors") and not name.startswith("vae/"):
                files[name.replace(".safetensors", ".fp16.safetensors")] = data
    files["all-in-one.safetensors"] = b"for other programs"
    hub.add("me/mini", files)
    assert "no weights of variant 'fp8'" in machine("pull", "me/mini", "--variant", "fp8", code=1)
    machine("pull", "me/mini", "--variant", "fp16")
    assert "unet/diffusion_pytorch_model.fp16.safetensors" in lockfile.read()["me/mini"].files
    assert len(hub.fetched(".safetensors")) == 3
    pipe = load.load_text_to_image("me/mini")
    assert pipe.unet.dtype.itemsize == 4
    with pytest.raises(pull.PullError, match="me/other: not all files are cached"):  # offline
        load.load_text_to_image("me/other")


def listed(*names: str) -> Pin:
    return Pin(BEFORE, {name: PinnedFile(1, git="0" * 40) for name in names})


def chosen(*names: str, **how: Any) -> set[str]:
    return set(hubs.select_files(listed(*names), **how).files)


def test_the_wanted_files_of_a_repository() -> None:
    unet = ("unet/config.json", "unet/diffusion_pytorch_model.safetensors")
    half = "unet/diffusion_pytorch_model.fp16.safetensors"
    other = "unet/diffusion_pytorch_model.non_ema.safetensors"
    assert chosen(*unet, half, other) == set(unet)
    assert chosen(*unet, half, other, variant="fp16") == {unet[0], half}
    assert chosen(*unet, variant="fp16") == set(unet)
    shards = ["m.fp16-00001-of-00002.safetensors", "m.fp16-00002-of-00002.safetensors"]
    assert chosen(*shards, "m.safetensors", variant="fp16") == set(shards)
    assert chosen("a.safetensors", "b.safetensors", patterns=["a.*"]) == {"a.safetensors"}
    with pytest.raises(ValueError, match="match c"):
        chosen("a.safetensors", patterns=["c.*"])
    with pytest.raises(ValueError, match=r"vae/x\.bin only as a pickle"):
        chosen("model_index.json", *unet, "vae/x.bin")
    assert "x.bin" not in chosen("config.json", "model.safetensors", "x.bin")


def test_a_lock_file_that_is_none_is_a_sentence(own_home: Path) -> None:
    file = own_home / "checkpoints.lock"
    pin = "models: {me/x: {commit: %s, files: {%s: {size: 1, git: '%s'}}}}"
    for text, why in (
        ("models: [", "parsing"),
        ("other: 1", "models"),
        (pin % ("main", "a.json", "0" * 40), "commit 'main'"),
        (pin % (BEFORE, "../../evil.json", "0" * 40), "within the repository"),
        (pin % (BEFORE, "a.json", "../../evil"), "expected 40 hexadecimal"),
    ):
        file.write_text(text)
        with pytest.raises(lockfile.LockError, match=rf"checkpoints\.lock: not a lock file.*{why}"):
            lockfile.read()
    file.write_text(pin % (BEFORE, "a.json", "0" * 40))
    assert lockfile.read()["me/x"].commit == BEFORE
