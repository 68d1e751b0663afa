"""A1111's .ckpt files: read where that is allowed, written once as safetensors; no code is run."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import types
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors import safe_open

from visuals.checkpoints import load, reference_configs
from visuals.checkpoints.formats import convert_pickle
from visuals.checkpoints.formats.pickles import PickleError
from visuals.checkpoints.identify import base_family
from visuals.configs.train import TrainSettings
from visuals.training.models import load_models


def converted() -> list[Path]:
    """What the cache holds that is not hidden."""
    place = convert_pickle.folder()
    found = place.iterdir() if place.is_dir() else ()
    return sorted(p for p in found if not p.name.startswith("."))


def weights(size: int = 100) -> dict[str, torch.Tensor]:
    noise = torch.Generator().manual_seed(size)
    return {"a": torch.randn(size, 4, generator=noise), "b.c": torch.ones(3, dtype=torch.float16)}


def save(path: Path, held: Any, **options: Any) -> Path:
    torch.save(held, path, **options)
    return path


def names(path: str) -> set[str]:
    with safe_open(path, "pt") as file:
        return set(file.keys())


def test_a_ckpt_is_the_model_that_was_written(a1111: Any, family: str, tmp_path: Path) -> None:
    pipe = a1111.random(family, tmp_path / "config")
    state = a1111.weights_of(pipe)
    ema = {f"model_ema.{n.replace('.', '')}": torch.zeros(1) for n in list(state)[:3]}
    held = {"state_dict": {**state, **ema, "model_ema.decay": torch.tensor(1), "step": 3}}
    file = save(tmp_path / "my-model.ckpt", {**held, "epoch": 3, "lr_schedulers": []})
    with pytest.raises(PickleError, match=r"my-model\.ckpt: a pickle.*--allow-pickle") as caught:
        load.load_text_to_image(file)
    assert "\n" not in str(caught.value) and not converted()
    read = load.load_text_to_image(file, allow_pickle=True)
    assert type(read) is type(pipe)
    for name in ("unet", "vae", "text_encoder", "text_encoder_2"):
        old, new = (getattr(p, name, None) for p in (pipe, read))
        for key, value in old.state_dict().items() if old else ():
            assert torch.equal(value, new.state_dict()[key]), f"{name}.{key}"
    (kept,) = converted()
    assert names(str(kept)) == set(state)
    before = kept.stat()
    load.load_text_to_image(file, allow_pickle=True)
    (again,) = converted()
    assert (again.stat().st_ino, again.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    with pytest.raises(PickleError, match="--allow-pickle"):  # that it was allowed once is no leave
        load.load_text_to_image(file)


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("ending", ["ckpt", "pt", "PTH"])
def test_every_value_is_kept(zipped: bool, ending: str, tmp_path: Path) -> None:
    state = weights()
    state["turned"] = torch.arange(6.0).reshape(2, 3).T
    state["half of it"] = state["a"][:50]
    state["brain"] = torch.randn(5).to(torch.bfloat16)
    file = save(tmp_path / f"x.{ending}", state, _use_new_zipfile_serialization=zipped)
    with safe_open(convert_pickle.as_safetensors(str(file), allowed=True), "pt") as read:
        assert set(read.keys()) == set(state)
        for name, value in state.items():
            assert torch.equal(read.get_tensor(name), value), name
            assert read.get_tensor(name).dtype == value.dtype


def test_a_file_that_changed_is_converted_anew(tmp_path: Path) -> None:
    file = save(tmp_path / "x.ckpt", weights(100))
    first = convert_pickle.as_safetensors(str(file), allowed=True)
    other = save(tmp_path / "other.ckpt", weights(7))
    convert_pickle.as_safetensors(str(other), allowed=True)
    second = convert_pickle.as_safetensors(str(save(file, weights(200))), allowed=True)
    assert first != second and not Path(first).exists()
    assert len(converted()) == 2
    with safe_open(second, "pt") as read:
        assert torch.equal(read.get_tensor("a"), weights(200)["a"])


class Attack:
    """Makes a file when it is unpickled."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> Any:
        return (os.system, (f"touch {self.target}",))


@pytest.mark.parametrize("protocol", [2, 4])
@pytest.mark.parametrize("form", ["zip", "legacy", "bare"])
def test_a_malicious_pickle_runs_nothing(form: str, protocol: int, tmp_path: Path) -> None:
    file, mark = tmp_path / "x.ckpt", tmp_path / "was-run"
    held = {"state_dict": {**weights(), "evil": Attack(mark)}}
    if form == "bare":
        file.write_bytes(pickle.dumps({"evil": Attack(mark)}, protocol))
    else:
        zipped = form == "zip"
        save(file, held, pickle_protocol=protocol, _use_new_zipfile_serialization=zipped)
    for allowed, said in ((False, "--allow-pickle"), (True, "not a file of plain weights")):
        with pytest.raises(PickleError, match=said) as caught:
            load.load_text_to_image(file, allow_pickle=allowed)
        assert "\n" not in str(caught.value) and "Weights only" not in str(caught.value)
    with pytest.raises(PickleError, match="not a file of plain weights"):
        base_family.base_of_checkpoint(file, allow_pickle=True)
    assert not mark.exists() and not converted()
    pickle.loads(pickle.dumps(Attack(mark)))
    assert mark.exists()  # so it would have been run


def test_what_trainers_leave_beside_the_weights_is_not_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in sd-v1-4.ckpt: classes of a library that is not here, and NumPy's numbers."""
    name = "pytorch_lightning.callbacks.model_checkpoint"
    module = types.ModuleType(name)
    module.ModelCheckpoint = type("ModelCheckpoint", (), {"__module__": name})  # type: ignore[attr-defined]
    with monkeypatch.context() as context:
        context.setitem(sys.modules, "pytorch_lightning", types.ModuleType("pytorch_lightning"))
        context.setitem(sys.modules, name, module)
        best = {"best_model_score": np.float64(0.5), "saver": module.ModelCheckpoint()}
        held = {"callbacks": {module.ModelCheckpoint: best}, "state_dict": weights()}
        file = save(tmp_path / "v1-4.ckpt", {**held, "pytorch-lightning_version": "1.4.2"})
    assert names(convert_pickle.as_safetensors(str(file), allowed=True)) == set(weights())


@pytest.mark.parametrize(
    ("held", "said"),
    [([1, 2], "holds a list"), ({"epoch": 3}, "no tensors"), ({"a": [1]}, "a list among")],
)
def test_what_holds_no_weights_is_one_sentence(held: Any, said: str, tmp_path: Path) -> None:
    with pytest.raises(PickleError, match=f"{said}.*expected names with tensors"):
        convert_pickle.as_safetensors(str(save(tmp_path / "x.pt", held)), allowed=True)
    assert not converted()


CONVERT = """
import resource, signal, sys
from visuals.checkpoints.formats import convert_pickle
signal.signal(signal.SIGXFSZ, getattr(signal, sys.argv[2]))
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
try:
    convert_pickle.as_safetensors(sys.argv[1], allowed=True)
except convert_pickle.PickleError as error:
    print(error)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="the limit is POSIX's")
@pytest.mark.parametrize("end", ["SIG_DFL", "SIG_IGN"])
def test_a_kill_or_a_full_disk_leaves_nothing_that_is_loaded(end: str, tmp_path: Path) -> None:
    """The file grows over what the system allows: that kills the process, or is an error of it."""
    state = weights(100_000)
    file = save(tmp_path / "x.ckpt", state)
    words = [sys.executable, "-c", CONVERT, str(file), end]
    done = subprocess.run(words, capture_output=True, text=True, timeout=300)
    hidden = [p for p in convert_pickle.folder().iterdir() if p.name.startswith(".")]
    if end == "SIG_DFL":
        assert done.returncode == -signal.SIGXFSZ and hidden
    else:
        assert done.returncode == 0 and not hidden, done.stderr
        assert done.stdout.count("\n") == 1 and "cannot write its weights to" in done.stdout
        assert "free 0.0016 GB there, or set XDG_CACHE_HOME" in done.stdout
    assert not converted()
    for path in hidden:  # what an hour ago was killed goes with the next conversion
        os.utime(path, (0, 0))
    with safe_open(convert_pickle.as_safetensors(str(file), allowed=True), "pt") as read:
        assert torch.equal(read.get_tensor("a"), state["a"])
    assert len(list(convert_pickle.folder().iterdir())) == 1


def test_half_a_conversion_is_made_anew(tmp_path: Path) -> None:
    """As a machine that lost its power leaves it."""
    file = save(tmp_path / "x.ckpt", weights())
    kept = Path(convert_pickle.as_safetensors(str(file), allowed=True))
    whole = kept.read_bytes()
    kept.write_bytes(whole[: len(whole) // 2])
    assert Path(convert_pickle.as_safetensors(str(file), allowed=True)).read_bytes() == whole


def test_a_cache_that_cannot_be_written_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = save(tmp_path / "x.ckpt", weights())
    (tmp_path / "a-file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "a-file"))
    with pytest.raises(PickleError, match=r"cannot write its weights to .*set XDG_CACHE_HOME"):
        convert_pickle.as_safetensors(str(file), allowed=True)


def test_the_base_is_read_without_the_weights(tmp_path: Path) -> None:
    state = {"model.diffusion_model.x.attn2.to_k.weight": torch.zeros(320, 768)}
    file = save(tmp_path / "x.ckpt", {"state_dict": state})
    assert base_family.base_of_checkpoint(file, allow_pickle=True) == base_family.Base(
        "SD 1.x", 768
    )
    assert base_family.base_of_checkpoint(file) == base_family.Base()
    assert not converted()
    convert_pickle.as_safetensors(str(file), allowed=True)
    assert base_family.base_of_checkpoint(file, allow_pickle=True) == base_family.Base(
        "SD 1.x", 768
    )
    assert base_family.base_of_checkpoint(file) == base_family.Base()


@pytest.mark.parametrize("family", ["sdxl"], indirect=True)
def test_a_refiner_is_one_too(
    a1111: Any, family: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from diffusers import UNet2DConditionModel

    base = a1111.random(family, tmp_path / "config")
    narrow = a1111.narrow("sdxl-refiner")
    monkeypatch.setitem(reference_configs.read("sdxl-refiner"), "components", narrow)
    unet = UNet2DConditionModel.from_config(
        reference_configs.components("sdxl-refiner")["unet"]
    ).state_dict()
    text = a1111.open_clip(base.text_encoder_2.state_dict(), "conditioner.embedders.0.model.")
    state = {**a1111.unet(unet), **text, **a1111.vae(base.vae.state_dict())}
    file = save(tmp_path / "refiner.ckpt", {"state_dict": state})
    with pytest.raises(PickleError, match="--allow-pickle"):
        load.load_refiner(file, base)
    pipe = load.load_refiner(file, base, allow_pickle=True)
    assert all(torch.equal(unet[name], v) for name, v in pipe.unet.state_dict().items())
    with pytest.raises(load.CheckpointError, match=r"refiner\.model"):
        load.load_text_to_image(file, allow_pickle=True)


def test_a_training_reads_one_where_it_is_allowed(
    a1111: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(reference_configs.read("sd15"), "components", a1111.narrow("sd15"))
    file = save(tmp_path / "x.ckpt", a1111.weights_of(a1111.random("sd15", tmp_path / "config")))
    said = {"model": str(file), "train_data_dir": "photos", "output_dir": "out", "rank": 2}
    with pytest.raises(PickleError, match="--allow-pickle"):
        load_models.load(TrainSettings(**said), "cpu")
    assert load_models.load(TrainSettings(**said, allow_pickle=True), "cpu").parts["unet"]
