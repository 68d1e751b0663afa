"""Models that were never pulled, against a local stand-in of the hub, in this process."""

from __future__ import annotations

import socketserver
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from helpers.hub_stand_in import Hub, connect, files_of
from huggingface_hub import constants, snapshot_download

from visuals.checkpoints import clip_tokenizer, load
from visuals.checkpoints.catalog.entry import shipped_entries
from visuals.checkpoints.hub import first_use, lockfile, pull
from visuals.checkpoints.hub.first_use import Needed
from visuals.pipeline.build.control_maps import ANNOTATORS

SD15 = "stable-diffusion-v1-5/stable-diffusion-v1-5"
DEPTH = "lllyasviel/control_v11f1p_sd15_depth"
LIGHTNING = "ByteDance/SDXL-Lightning"
FOUR, EIGHT = (f"sdxl_lightning_{steps}step_lora.safetensors" for steps in (4, 8))
AFTER = "b" * 40


@pytest.fixture
def hub(own_home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    with Hub() as made:
        connect(monkeypatch, made, own_home / "hub")
        yield made


def go_offline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    first_use.forget_listings()


def test_the_half_precision_weights_of_a_preset_are_downloaded(
    hub: Hub, mini: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """fp16 where the catalogue names it, the plain file where there is none, nothing else; then
    nothing more, without the hub too. A use pins nothing."""
    others = {"v1-5-pruned.safetensors": b"0", "unet/diffusion_pytorch_model.non_ema.bin": b"0"}
    files = files_of(mini / "sd", variant="fp16") | others
    del files["vae/diffusion_pytorch_model.fp16.safetensors"]
    hub.add(SD15, files)
    hub.add(DEPTH, files_of(mini / "controlnet-depth", variant="fp16"))

    pipe = load.load_text_to_image(SD15, dtype=torch.float16)
    load.load_controlnet_inpaint(SD15, [DEPTH], dtype=torch.float16, base=pipe)
    assert hub.weights() == {
        "text_encoder/model.fp16.safetensors",
        "unet/diffusion_pytorch_model.fp16.safetensors",
        "vae/diffusion_pytorch_model.safetensors",
        "diffusion_pytorch_model.fp16.safetensors",
    }
    assert pipe.unet.dtype == torch.float16
    assert not lockfile.default_path().exists()

    hub.requests.clear()
    assert clip_tokenizer.load_tokenizer("sd15").vocab_size
    go_offline(monkeypatch)
    folder = first_use.ensure_local("sd15")
    assert not hub.requests and (Path(folder) / "model_index.json").is_file()
    assert clip_tokenizer.load_tokenizer(SD15).vocab_size


def test_plain_weights_that_are_cached_are_not_downloaded_in_half_precision(hub: Hub) -> None:
    """Another program may have left them."""
    name = "diffusion_pytorch_model"
    hub.add(DEPTH, {f"{name}.safetensors": b"plain", f"{name}.fp16.safetensors": b"half"})
    snapshot_download(DEPTH, allow_patterns=f"{name}.safetensors")
    first_use.ensure_local(DEPTH)
    assert hub.weights() == {f"{name}.safetensors"}


@pytest.mark.parametrize(
    ("name", "repository", "files"),
    [
        ("lightning-sdxl-4", LIGHTNING, load.lora_files(LIGHTNING, EIGHT)),
        (
            "ip-adapter-sd15",
            "h94/IP-Adapter",
            load.ip_adapter_files("sdxl_models", "ip-adapter_sdxl.safetensors"),
        ),
    ],
)
def test_a_pin_of_one_file_leaves_its_siblings_loadable(
    hub: Hub, name: str, repository: str, files: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The siblings are of the pinned commit, though main moves on, and stay out of the lock."""
    pinned = shipped_entries()[name].files
    names = [n.replace("*", "model.safetensors") for n in (*pinned, *files)]
    before = {n: n.encode() for n in names}
    made = hub.add(repository, before)
    pull.pull(name)
    lock = lockfile.default_path().read_text()
    made.commits[AFTER] = dict.fromkeys(names, b"moved on")

    hub.requests.clear()
    folder = Path(first_use.ensure_local(repository, files))
    wanted = set(names) - {n.replace("*", "model.safetensors") for n in pinned}
    assert hub.weights() == wanted
    assert all((folder / n).read_bytes() == before[n] for n in names)
    assert lockfile.default_path().read_text() == lock

    go_offline(monkeypatch)
    assert first_use.ensure_local(repository, files) == str(folder)
    hub.requests.clear()
    assert first_use.ensure_local(name) == str(folder) and not hub.requests


def test_a_catalogue_name_stands_for_its_own_file() -> None:
    assert load.lora_files("lightning-sdxl-4", None) == (FOUR,)
    assert load.lora_files("lightning-sdxl", None) == (EIGHT,)
    assert load.lora_files(LIGHTNING, None) == load.lora_files("mini/loras", None) == ()


@pytest.mark.parametrize("name", ["clip-vit-base-patch32", "blip-base", "upernet-convnext-small"])
@pytest.mark.parametrize("pulled", [False, True])
def test_a_model_whose_main_holds_a_pickle_comes_from_its_pull_request(
    hub: Hub, name: str, pulled: bool
) -> None:
    entry = shipped_entries()[name]
    assert entry.repository and entry.revision
    files = {"config.json": b"{}", "pytorch_model.bin": b"a pickle"}
    made = hub.add(entry.repository, files, refs={entry.revision: AFTER})
    made.commits[AFTER] = {**files, "model.safetensors": b"weights"}
    if pulled:
        assert pull.pull(name).pin.commit == AFTER
    folder = Path(first_use.ensure_local(entry.repository))
    assert (folder / "model.safetensors").read_bytes() == b"weights"
    assert hub.weights() == {"model.safetensors"}


def test_the_seg_annotator_is_the_catalogue_s() -> None:
    assert ANNOTATORS["seg"] == shipped_entries()["upernet-convnext-small"].repository


def test_a_clip_of_a_pull_request_is_loaded(hub: Hub, clip: Path) -> None:
    made = hub.add(
        "openai/clip-vit-base-patch32", {"config.json": b"{}"}, refs={"refs/pr/32": AFTER}
    )
    made.commits[AFTER] = files_of(clip)
    model, processor = load.load_verifier("clip-vit-base-patch32")
    assert model.config.projection_dim and processor.tokenizer


def test_what_is_missing_is_listed_by_repository_and_size(hub: Hub) -> None:
    hub.add(LIGHTNING, {FOUR: b"4" * 40, EIGHT: b"8" * 80})
    hub.add("facebook/sam-vit-base", {"config.json": b"{}", "model.safetensors": b"w" * 10})
    models = [
        Needed("mini/sd"),
        Needed(LIGHTNING, (EIGHT,)),
        Needed("lightning-sdxl-4"),
        Needed("sam-vit-base"),
        Needed("facebook/sam-vit-base"),
    ]
    downloads = first_use.missing(models)
    assert [(d.repository, d.size) for d in downloads] == [
        (LIGHTNING, 120),
        ("facebook/sam-vit-base", 12),
    ]
    first_use.fetch(downloads[1:])
    assert [d.repository for d in first_use.missing(models)] == [LIGHTNING]
    with pytest.raises(pull.PullError, match="has no file 'x"):
        first_use.missing([Needed(LIGHTNING, (FOUR, "x.safetensors"))])
    with pytest.raises(pull.PullError, match="me/absent: the hub has no such repository"):
        first_use.missing([Needed("me/absent")])


def test_the_libraries_load_from_the_stand_in_themselves(hub: Hub, mini: Path) -> None:
    """So that what the tests above find holds for a hub that these accept."""
    from diffusers import ControlNetModel
    from transformers import AutoModel, AutoProcessor

    hub.add(DEPTH, files_of(mini / "controlnet-depth", variant="fp16"))
    hub.add("facebook/sam-vit-base", files_of(mini / "sam"))
    where = {"cache_dir": constants.HF_HUB_CACHE, "use_safetensors": True}
    ControlNetModel.from_pretrained(DEPTH, variant="fp16", **where)
    AutoModel.from_pretrained("facebook/sam-vit-base", **where)
    AutoProcessor.from_pretrained("facebook/sam-vit-base", cache_dir=constants.HF_HUB_CACHE)
    assert hub.weights() == {"diffusion_pytorch_model.fp16.safetensors", "model.safetensors"}


def test_a_pinned_file_of_another_size_is_refused_and_not_replaced(hub: Hub) -> None:
    hub.add("me/sam", {"model.safetensors": b"weights"})
    folder = pull.pull("me/sam").folder
    (folder / "model.safetensors").write_bytes(b"other weights")
    assert not first_use.missing([Needed("me/sam")])
    with pytest.raises(pull.PullError, match="is not as pinned"):
        first_use.ensure_local("me/sam")


def test_a_file_that_differs_from_the_hub_s_is_not_loaded(hub: Hub) -> None:
    hub.add("me/sam", {"model.safetensors": b"weights"}, spoilt={"model.safetensors": b"weightz"})
    with pytest.raises(pull.PullError, match="its hash differs"):
        first_use.ensure_local("me/sam")


def test_a_hub_that_does_not_answer_is_not_asked_for_each_cached_model(
    hub: Hub, mini: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, part in ((SD15, "sd"), (DEPTH, "controlnet-depth")):
        hub.add(name, files_of(mini / part, variant="fp16"))
        first_use.ensure_local(name)
    first_use.forget_listings()
    asked = []

    class HangUp(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            asked.append(self.client_address)

    with socketserver.TCPServer(("127.0.0.1", 0), HangUp) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setattr(constants, "ENDPOINT", f"http://127.0.0.1:{server.server_address[1]}")
        assert Path(first_use.ensure_local(SD15)).is_dir()
        once = len(asked)
        assert once and Path(first_use.ensure_local(DEPTH)).is_dir()
        assert len(asked) == once
        first_use.forget_listings()
        assert Path(first_use.ensure_local(DEPTH)).is_dir() and len(asked) > once
        server.shutdown()
