"""What the recipe does with the varied studio: splits that grow, cuts, finishing, randomising."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

pytest.importorskip("numba")

from visuals.checkpoints.recipe.diffusion import controlnet, latents, vae, vae_finish
from visuals.checkpoints.recipe.pictures import clip_art, crops, cut_outs, randomise
from visuals.checkpoints.recipe.pictures.rendered_pictures import open_renders, render_split
from visuals.checkpoints.recipe.recognition import caption_grammar, classifier, detector
from visuals.samples import settings

pytestmark = pytest.mark.usefixtures("renderer")


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("renders")
    for split, count in (("train", 12), ("crowd", 12)):
        render_split(folder, split, count, 64)
    return folder


def test_a_split_grows_and_goes_on_after_a_stop(drawn: Path, tmp_path: Path) -> None:
    render_split(tmp_path, "train", 4, 64)
    with open(tmp_path / "train" / "images", "ab") as file:
        file.write(b"left over by a stopped drawing")
    render_split(tmp_path, "train", 12, 64)
    a, b = (
        open_renders(tmp_path, "train"),
        open_renders(drawn, "train"),
    )
    assert len(a) == 12 and a.meta == b.meta
    for name in ("images", "instances", "depth"):
        assert np.array_equal(getattr(a, name), getattr(b, name))


def test_the_crowd_has_masks_of_what_is_no_product(drawn: Path) -> None:
    crowd = open_renders(drawn, "crowd")
    rows = [(i, row) for i, m in enumerate(crowd.meta) for row in m["bodies"]]
    assert rows
    for i, row in rows:
        assert (crowd.instances[i] == row["instance"]).sum() == row["area"]


def test_recoloured_pictures_have_the_same_shapes(drawn: Path, tmp_path: Path) -> None:
    render_split(tmp_path, "recoloured", 12, 64)
    a, b = (
        open_renders(drawn, "train"),
        open_renders(tmp_path, "recoloured"),
    )
    assert np.array_equal(a.instances, b.instances) and np.array_equal(a.depth, b.depth)
    tones = [[m["products"][0]["colour"] for m in some.meta if m["products"]] for some in (a, b)]
    assert sum(x != y for x, y in zip(*tones, strict=True)) > 5
    assert any(not np.array_equal(x, y) for x, y in zip(a.images, b.images, strict=True))


def test_hints_get_holes() -> None:
    hint = torch.ones(40, 3, 32, 32)
    holed = controlnet.spotty(hint, np.random.default_rng(0))
    left = holed.mean((1, 2, 3))
    assert hint.min() == 1 and (left == 0).sum() in range(1, 12) and 0.6 < left.mean() < 0.95


def test_the_captioner_knows_every_word_of_every_place() -> None:
    tok = caption_grammar.tokenizer()
    product = {"label": "mug", "colour": "red", "instance": 1}
    seen = np.ones((32, 32), np.uint8)
    for scene in settings.SCENES:
        scene = scene.replace("coloured", "pink")
        meta = {"products": [product], "others": [], "scene": scene}
        text = caption_grammar.caption(meta, seen)
        assert tok.unk_token_id not in tok(text).input_ids, text
        assert all(caption_grammar.named(text, meta).values()), text
        assert not any(caption_grammar.named("a blue car on a chair", meta).values())


def test_details_are_pixels_as_they_are(drawn: Path) -> None:
    train = open_renders(drawn, "train")
    cuts = latents.choose(train, whole=3, details=4, side=32)
    kinds = {"whole": 0, "detail": 0}
    for cut in cuts:
        x0, y0, x1, y1 = cut.box
        image = latents.cut_image(train, cut)
        assert image.shape == (32, 32, 3)
        kinds["whole"] += cut.box == (0, 0, 64, 64)
        if cut.caption.startswith("detail of "):
            kinds["detail"] += 1
            plain = train.images[cut.index, y0:y1, x0:x1]
            assert np.array_equal(image, plain[:, ::-1] if cut.mirrored else plain)
    assert kinds == {"whole": 3, "detail": 4}


def test_decoder_and_discriminator_teach_themselves_alone() -> None:
    torch.manual_seed(0)
    judge, drawn = vae_finish.discriminator(8), torch.randn(2, 3, 32, 32, requires_grad=True)
    fooled, told_apart = vae_finish.adversarial_losses(judge, torch.randn(2, 3, 32, 32), drawn)
    fooled.backward()
    assert drawn.grad is not None and drawn.grad.abs().sum() > 0
    assert all(p.grad is None for p in judge.parameters())
    drawn.grad = None
    told_apart.backward()
    assert drawn.grad is None
    assert all(p.grad is not None for p in judge.parameters())


def test_the_gate_calls_a_blurred_picture_unsharp_and_its_colours_true(drawn: Path) -> None:
    train = open_renders(drawn, "train")

    class Blur:
        """Stands where the VAE does: halves the resolution, keeps the colours."""

        dtype, device = torch.float32, torch.device("cpu")

        def parameters(self):  # type: ignore[no-untyped-def]
            return iter([torch.zeros(1)])

        def encode(self, x):  # type: ignore[no-untyped-def]
            self.x = torch.nn.functional.avg_pool2d(x, 4)
            return type("Out", (), {"latent_dist": type("D", (), {"mode": lambda d: self.x})()})

        def decode(self, z):  # type: ignore[no-untyped-def]
            y = torch.nn.functional.interpolate(z, scale_factor=4, mode="bilinear")
            return type("Out", (), {"sample": y})

    found = vae_finish.gate(Blur(), train)  # type: ignore[arg-type]
    assert max(found["sharpness"].values()) < 0.8
    flat = vae.edge_loss(torch.zeros(1, 3, 16, 16), torch.full((1, 3, 16, 16), 0.5))
    assert flat == 0


def test_randomised_pictures_keep_what_is_left_of_their_products(drawn: Path) -> None:
    train, crowd = (
        open_renders(drawn, "train"),
        open_renders(drawn, "crowd"),
    )
    rng = np.random.default_rng(0)
    i = next(i for i, m in enumerate(train.meta) if m["products"])
    changed = emptied = 0
    for _ in range(40):
        image, seen = randomise.randomise(np.array(train.images[i]), train.instances[i], crowd, rng)
        assert image.shape == (64, 64, 3) and image.dtype == np.uint8
        assert not ((seen > 0) & (train.instances[i] == 0)).any()
        changed += not np.array_equal(image, train.images[i])
        emptied += not seen.any()
    assert changed == 40 and 0 < emptied < 20
    x, boxes, labels = detector.example(train, i, rng, 48, crowd)
    assert x.shape == (48, 48, 3) and len(boxes) == len(labels)


def test_crops_are_of_all_classes_and_of_none(tmp_path: Path) -> None:
    for split, count in (("singles", 60), ("plain", 12)):
        render_split(tmp_path, split, count, 64)
    drawn = [open_renders(tmp_path, "singles"), open_renders(tmp_path, "plain")]
    labels = classifier.LABELS
    bank = cut_outs.fill(drawn, None, labels, 6)
    assert len(bank.cuts) == len(bank.truth) >= 60 and set(bank.truth) == set(range(len(labels)))
    middle = bank.cuts[:, 46:66, 46:66, 3].mean((1, 2))
    assert (middle > 60).mean() > 0.9  # what a cut-out shows is in its middle
    rng = np.random.default_rng(0)
    seen = [crops.crop(bank, 48, rng, classifier.SHARES) for _ in range(120)]
    assert all(image.shape == (48, 48, 3) and image.dtype == np.uint8 for image, _ in seen)
    assert {label for _, label in seen} == set(range(len(labels)))
    assert min(int(image.max()) for image, _ in seen) > 60  # dark, not black
    counts = set()
    for _ in range(60):
        image, boxes, found = crops.scene(bank, 96, rng)
        assert image.shape == (96, 96, 3) and len(boxes) == len(found)
        assert all(0 <= x0 < x1 <= 96 and 0 <= y0 < y1 <= 96 for x0, y0, x1, y1 in boxes)
        counts.add(len(found))
    assert {0, 1, 2} <= counts
    x, where, classes = detector.drawn((bank, None), rng, 96)
    assert x.shape == (96, 96, 3) and where.shape == (len(classes), 4)


def test_clip_art_is_trimmed_and_things_of_the_classes_are_no_negatives(tmp_path: Path) -> None:
    art = tmp_path / "usr" / "share" / "openclipart" / "png"
    emoji = tmp_path / "emoji" / "package" / "assets"
    names = ("animals/cat.png", "people/clothing/tennis_shoe_jarno_vasama_.png", "tools/lamp.png")
    picture = np.zeros((90, 60, 4), np.uint8)
    picture[10:50, 20:30] = (200, 100, 50, 255)
    emoji.mkdir(parents=True)
    for path in (*(art / name for name in names), emoji / "1f697.webp", emoji / "1f408.webp"):
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), picture)
    found = {path.name: label for path, label in clip_art.files(tmp_path)}
    assert found == {
        "1f697.webp": "car",
        "1f408.webp": "none",
        "cat.png": "none",
        "tennis_shoe_jarno_vasama_.png": "sneaker",
    }
    cut = clip_art.cut_out(art / names[0])
    assert cut is not None and cut.shape == (clip_art.SIDE, clip_art.SIDE, 4)
    rows, columns = np.nonzero(cut[..., 3] > 127)
    assert np.ptp(rows) + 1 == clip_art.FILL and abs(rows.mean() + columns.mean() - 111) < 2
    assert cut[56, 56, :3].tolist() == [50, 100, 200]  # RGB
    cv2.imwrite(str(tmp_path / "flat.png"), picture[..., :3])
    assert clip_art.cut_out(tmp_path / "flat.png") is None
