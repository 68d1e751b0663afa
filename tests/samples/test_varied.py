"""The varied studio: shapes inside their bounds, exact truth, captions of what is drawn."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("numba", reason="the studio is compiled: pip install 'product-visuals[recipe]'")

from visuals.samples import lens, prints, products, varied, vocabulary
from visuals.samples.shapes import bodies, kinds

pytestmark = pytest.mark.usefixtures("renderer")


def test_same_seed_same_bytes() -> None:
    a, b = varied.render(7, 64), varied.render(7, 64)
    assert np.array_equal(a.image, b.image) and a.meta == b.meta
    assert not np.array_equal(a.image, varied.render(8, 64).image)


@pytest.mark.parametrize(
    "kind",
    [
        *range(kinds.FIRST, kinds.FIRST + len(kinds.KINDS)),
        *range(bodies.FIRST, bodies.FIRST + len(bodies.KINDS)),
    ],
)
def test_no_shape_reaches_out_of_its_bounds_and_all_are_painted(kind: int) -> None:
    rng = np.random.default_rng(kind)
    half = varied._BOUNDS[kind]
    for _ in range(60):
        p = rng.random(24)
        side = rng.integers(3)
        point = rng.uniform(-1, 1, 3) * half
        point[1] = rng.random() * half[1]
        point[side] = half[side] * (1 if side == 1 else rng.choice((-1, 1)))
        assert products.distance(kind, p, *point) > 0, (point, p)
        assert 0 <= products.part(kind, p, *point) < kinds.PARTS


@pytest.mark.parametrize("label, shape", [(label, shape) for label, shape, _ in kinds.KINDS])
def test_each_shape_is_there_with_its_box_and_area(label: str, shape: str) -> None:
    render = varied.render(11, 96, products=1, label=label, shape=shape, others=0)
    (product,) = render.meta["products"]
    seen = render.instances == product["instance"]
    ys, xs = np.nonzero(seen)
    assert (product["label"], product["shape"]) == (label, shape)
    assert product["box_xyxy"] == [xs.min(), ys.min(), xs.max() + 1, ys.max() + 1]
    assert product["area"] == seen.sum() > 96 * 96 * 0.02
    assert any(w in render.meta["caption"] for w in (label, *vocabulary.SYNONYMS[label]))


def test_a_second_colour_is_named_and_drawn() -> None:
    for seed in range(200):
        render = varied.render(seed, 32, products=1, label="mug", others=0)
        if "band" in render.meta["products"][0].get("detail", ""):
            break
    detail = render.meta["products"][0]["detail"]
    colour = np.array(vocabulary.COLOUR_RGB[detail.split()[0]], float)
    other = [
        r
        for r in range(500)
        if detail in varied.render(r, 16, products=1, label="mug", others=0).meta["caption"]
    ]
    assert other, f"no caption says {detail!r}"
    render = varied.render(seed, 96, products=1, label="mug", others=0)
    inside = render.image[render.instances == 1].astype(float)
    tone = inside / np.maximum(inside.sum(1, keepdims=True), 1)
    assert (np.abs(tone - colour / colour.sum()).sum(1) < 0.25).mean() > 0.04


def test_strange_things_have_masks_of_their_own() -> None:
    render = varied.render(5, 96, products=1, others=2, strange=True, scene="random", wide=True)
    numbers = {row["instance"] for row in render.meta["bodies"]}
    assert numbers <= {2, 3} and numbers
    for row in render.meta["bodies"]:
        ys, xs = np.nonzero(render.instances == row["instance"])
        assert row["box_xyxy"] == [xs.min(), ys.min(), xs.max() + 1, ys.max() + 1]
    plain = varied.render(5, 96, products=1, others=2)
    assert set(np.unique(plain.instances)) <= {0, 1} and "bodies" not in plain.meta


def test_what_is_asked_for_must_exist() -> None:
    with pytest.raises(ValueError, match="'canoe' of mug: expected one of"):
        varied.render(1, 32, products=1, label="mug", shape="canoe")
    with pytest.raises(ValueError, match="scene 'moon': expected"):
        varied.render(1, 32, scene="moon")


def test_prints_mix_two_colours() -> None:
    rng = np.random.default_rng(0)
    for kind in range(1, len(prints.NAMES)):
        mixes = [prints.cover(kind, 6.0, *rng.uniform(-1, 1, 5)) for _ in range(400)]
        assert min(mixes) >= 0 and max(mixes) <= 1 and 0.02 < np.mean(mixes) < 0.98


def test_depth_of_field_blurs_the_back_alone() -> None:
    rng = np.random.default_rng(0)
    image = rng.random((64, 64, 3)).astype(np.float32)
    sharp = np.zeros((64, 64), bool)
    sharp[20:40, 20:40] = True
    depth = np.where(sharp, 2.0, 9.0).astype(np.float32)
    out = lens.depth_of_field(image, depth, sharp, 2.5, 0.03)
    assert np.array_equal(out[sharp], image[sharp])
    assert out[~sharp].std() < 0.5 * image[~sharp].std()


def test_the_look_is_drawn_on_the_same_picture() -> None:
    plain, lit = (varied.render(4, 48, products=1, look=look) for look in (None, "spotlight"))
    assert np.array_equal(plain.instances, lit.instances)
    assert lit.image[:4, :4].mean() < 0.7 * plain.image[:4, :4].mean()


def test_places_are_put_into_plain_words() -> None:
    rng = np.random.default_rng(0)
    said = {vocabulary.caption([], [], "street at night", rng) for _ in range(30)}
    assert vocabulary.placed("room") == "in a room"
    assert any("street at night" in s for s in said)
    row = {"label": "mug", "colour": "red", "material": "matte", "detail": "white dots"}
    captions = [vocabulary.caption([row], [], "grass", rng) for _ in range(60)]
    assert any("mug with white dots" in c for c in captions)
    assert any(c.endswith("on grass") for c in captions)
    assert not any("with a white dots" in c or "on a grass" in c for c in captions)
