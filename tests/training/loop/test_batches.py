"""What a training makes of good and bad pictures; caches, masks, long captions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import StableDiffusionPipeline
from helpers.small_trainings import small, write_photos
from PIL import Image

from visuals.training.datasets import sampling
from visuals.training.datasets.buckets import BucketError
from visuals.training.datasets.dataset_folder import DatasetError
from visuals.training.datasets.training_set import TrainingSet, read_training_set
from visuals.training.loop import class_images
from visuals.training.loop.batches import BatchLoader
from visuals.training.models import load_models
from visuals.training.models.loss import squared_errors


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    return write_photos(tmp_path / "photos")


def read(folder: Path, **changes: Any) -> TrainingSet:
    return read_training_set(small(folder, folder.parent / "out", **changes))


def test_one_bad_file_stops_nothing(photos: Path) -> None:
    (photos / "02-purple-handbag.png").write_bytes((photos / "04-teal-mug.png").read_bytes()[:500])
    (photos / "03-red-wristwatch.txt").write_text("  \n")
    (photos / "05-brown-bottle.txt").unlink()
    got = read(photos)
    assert [e.name for e in got.learned] == ["04-teal-mug.png", "06-orange-car.png"]
    damaged, silent = got.problems
    assert "02-purple-handbag.png: damaged" in damaged and "copy it again" in damaged
    assert silent.startswith("left out: 2 of 5 pictures without a caption (03-red-wrist")
    assert got.tag == "ppzlook"
    stood_in = read(photos, instance_prompt="ppzlook, a bottle")
    assert [e.text for e in stood_in.learned if "bottle" in e.name] == ["ppzlook, a bottle"]


def test_what_is_left_out_is_named(photos: Path) -> None:
    other = photos / "3_look"
    other.mkdir()
    for file in photos.glob("0[23]*"):
        file.rename(other / file.name)
    (photos / "notes.md").write_text("x")
    got = read(photos)
    assert [(e.name[:9], e.repeats) for e in got.learned] == [("3_look/02", 3), ("3_look/03", 3)]
    assert [text.split(":")[1].strip() for text in got.problems[:-1]] == [
        "04-teal-mug.png", "05-brown-bottle.png", "06-orange-car.png",
    ]  # fmt: skip
    assert got.problems[-1].endswith(
        "04-teal-mug.txt, 05-brown-bottle.txt, 06-orange-car.txt, notes.md"
    )


def test_no_captions_at_all(photos: Path) -> None:
    for file in photos.glob("*.txt"):
        file.unlink()
    with pytest.raises(DatasetError, match=r"none of its 5 pictures has a caption: expected .txt"):
        read(photos)


def test_one_picture_is_learned_and_said(photos: Path) -> None:
    for file in list(photos.iterdir())[:]:
        if "mug" not in file.name:
            file.unlink()
    got = read(photos, validation_split=0.5)
    assert len(got.learned) == 1 and not got.held_out
    assert got.problems == [
        "only one picture (04-teal-mug.png): the training will overfit; add more, 15 or so"
    ]


def test_nothing_but_broken_pictures(photos: Path) -> None:
    for file in photos.glob("*.png"):
        file.write_bytes(b"no picture")
    with pytest.raises(DatasetError, match=r"no picture can be used: left out: .*not a picture"):
        read(photos)


def test_a_resolution_that_is_no_multiple(photos: Path) -> None:
    with pytest.raises(BucketError, match=r"resolution 100: expected a multiple of 8.*set 96"):
        read(photos, resolution=100)


def test_the_held_out_slice_is_fixed_and_not_learned(photos: Path) -> None:
    got, again = read(photos, validation_split=0.4), read(photos, validation_split=0.4)
    assert len(got.held_out) == 2 and got.held_out == again.held_out
    assert not {e.name for e in got.held_out} & {e.name for e in got.learned}
    assert read(photos, validation_split=0.4, seed=6).held_out != got.held_out


def test_steps_are_the_methods_own() -> None:
    """65 photos × 6 repeats / batch 2 = 195 steps."""
    from dataclasses import replace

    from visuals.training.datasets.buckets import Buckets
    from visuals.training.datasets.examples import Example

    fit = Buckets().fit((768, 768))
    one = Example(Path("a.png"), "a", "t", 6, (768, 768), fit, "0")
    found = TrainingSet([replace(one, name=str(k)) for k in range(65)], [], "")
    settings = small(Path("a"), Path("b"))
    assert found.steps_per_epoch(settings, 2) == 195
    assert len(found.batches(settings, 2, 0)) == 195


def gradient(photos: Path, **changes: Any) -> tuple[torch.Tensor, BatchLoader]:
    """Of every LoRA weight after one loss, on a fresh base."""
    settings = small(photos, photos.parent / "out", train_batch_size=2, **changes)
    base = load_models.load(settings, torch.device("cpu"))
    got = read_training_set(settings)
    loader = BatchLoader(settings, base, got)
    loader.fill(lambda done, total: None)
    with torch.no_grad():
        for name, value in base.parameters().items():
            if "lora_B" in name:  # as after some steps; at first these are 0
                value.fill_(0.01)
    batch = loader.batch(got.learned[:2], [sampling.chance(0, 0, 0, k) for k in range(2)])
    prediction = base.prediction(base.denoiser, batch)
    squared_errors(prediction, batch["target"], batch["mask"]).mean().backward()
    values = [p.grad.flatten() for p in base.parameters().values() if p.grad is not None]
    return torch.cat(values), loader


def test_caches_change_no_gradient(photos: Path, mini: Path) -> None:
    bare = {"cache_latents": False, "cache_text_encoder_outputs": False}
    plain, loader = gradient(photos, **bare)
    assert loader.latents.cache is None and loader.prompts.cache is None
    kept, loader = gradient(photos)
    assert loader.latents.cache is not None and loader.prompts.cache is not None
    assert plain.abs().max() > 0
    torch.testing.assert_close(kept, plain, rtol=1e-4, atol=1e-7)
    disk = {"cache_latents_to_disk": True}
    stored, loader = gradient(photos, **disk)
    assert torch.equal(stored, kept)
    folder = loader.latents.cache.folder  # type: ignore[union-attr]
    assert folder is not None
    written = {p: p.stat().st_mtime_ns for p in folder.rglob("*.cache")}
    assert len(written) == 5
    next(iter(written)).write_bytes(b"cut")  # a damaged file is made anew, the others are read
    assert torch.equal(gradient(photos, **disk)[0], kept)
    assert sum(p.stat().st_mtime_ns != t for p, t in written.items()) == 1


def test_masks_reach_the_loss_mirrored_with_their_picture(photos: Path, mini: Path) -> None:
    with pytest.raises(DatasetError, match="masked_loss, and no picture has a mask"):
        read(photos, masked_loss=True)
    (photos / "masks").mkdir()
    mask = np.zeros((64, 64), np.uint8)
    mask[:, :32] = 255
    Image.fromarray(mask).save(photos / "masks" / "02-purple-handbag.png")
    got = read(photos, masked_loss=True)
    (bag,) = [e for e in got.learned if e.mask]
    assert bag.mask_at((8, 8)).tolist() == [[1.0] * 4 + [0.0] * 4] * 8
    assert bag.mask_at((8, 8), flip=True).tolist() == [[0.0] * 4 + [1.0] * 4] * 8
    (other, *_) = [e for e in got.learned if not e.mask]
    assert other.mask_at((8, 8)).min() == 1
    half, _ = gradient(photos, masked_loss=True)
    whole, _ = gradient(photos)
    assert not torch.equal(half, whole)


def test_long_captions_are_read_in_chunks(photos: Path, mini: Path) -> None:
    from visuals.training.models.encoders import PromptEncoder

    base = load_models.load(small(photos, photos.parent / "out"), torch.device("cpu"))
    long = ", ".join(["a red mug on a table"] * 20)
    one, three = (
        PromptEncoder(base.tokenizers, base.text_encoders, None, max_token_length=n)
        for n in (75, 225)
    )
    (tok,) = base.tokenizers
    assert one(["a red mug"])["hidden"].shape[1] == 77
    assert three([long, "a mug"])["hidden"].shape[1] == 227
    assert torch.allclose(three([long])["hidden"][:, :76], one([long])["hidden"][:, :76], atol=1e-5)
    ids = three.ids(long)
    assert len(ids) == 3 and all(len(part) == 77 for part in ids)
    words = tok(long, add_special_tokens=False).input_ids
    assert [i for part in ids for i in part[1:76]][: len(words)] == words[:225]
    assert ids[0] == tok(long, truncation=True, max_length=77).input_ids
    skipped = PromptEncoder(base.tokenizers, base.text_encoders, None, clip_skip=1)
    assert torch.allclose(skipped(["a mug"])["hidden"], one(["a mug"])["hidden"], atol=1e-6)


def test_class_pictures_that_lack_are_drawn(photos: Path, mini: Path, tmp_path: Path) -> None:
    classes = tmp_path / "classes"
    classes.mkdir()
    Image.new("RGB", (64, 64)).save(classes / "mine.png")
    settings = small(
        photos,
        tmp_path / "out",
        with_prior_preservation=True,
        class_data_dir=str(classes),
        class_prompt="a mug",
        num_class_images=2,
    )
    assert class_images.generate(settings, "cpu", lambda done, total: None) == 1
    assert sorted(p.name for p in classes.iterdir()) == ["class-00000.png", "mine.png"]
    assert class_images.generate(settings, "cpu", lambda done, total: None) == 0


def test_class_pictures_are_drawn_in_the_training_s_precision_and_fewer_at_a_time(
    photos: Path, mini: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[tuple[int, torch.dtype]] = []

    def full(pipe: Any, **options: Any) -> Any:
        sizes.append((len(options["prompt"]), pipe.unet.dtype))
        if len(options["prompt"]) > 1:
            raise RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED")
        return whole(pipe, **{**options, "num_inference_steps": 1})

    whole = StableDiffusionPipeline.__call__
    monkeypatch.setattr(StableDiffusionPipeline, "__call__", full)
    settings = small(
        photos,
        tmp_path / "out",
        mixed_precision="bf16",
        with_prior_preservation=True,
        class_data_dir=str(tmp_path / "classes"),
        class_prompt="a mug",
        num_class_images=3,
    )
    told: list[int] = []
    class_images.generate(settings, "cpu", lambda done, total: told.append(done))
    assert [size for size, _ in sizes] == [3, 1, 1, 1] and told == [1, 2, 3]
    assert {dtype for _, dtype in sizes} == {torch.bfloat16}
    assert len(list((tmp_path / "classes").iterdir())) == 3


def test_class_pictures_are_as_many_and_weigh_their_own(photos: Path, tmp_path: Path) -> None:
    classes = tmp_path / "classes"
    classes.mkdir()
    for number, name in enumerate(("a", "b")):
        Image.new("RGB", (64, 64), (90 * number, 90, 90)).save(classes / f"{name}.png")
    changes = {
        "with_prior_preservation": True,
        "class_data_dir": str(classes),
        "class_prompt": "a product",
        "num_class_images": 2,
        "prior_loss_weight": 0.5,
        "repeats": 2,
    }
    got = read(photos, **changes)
    own = [e for e in got.learned if e.name.startswith("class/")]
    assert {(e.text, e.weight, e.repeats) for e in own} == {("a product", 0.5, 5)}
    assert sum(e.repeats for e in own) == sum(e.repeats for e in got.learned if e not in own)
