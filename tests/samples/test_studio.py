"""The studio: exact truth, the same picture from the same seed, what was asked for."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("numba", reason="the studio is compiled: pip install 'product-visuals[recipe]'")

from visuals.samples import studio, vocabulary

pytestmark = pytest.mark.usefixtures("renderer")


def test_same_seed_same_bytes() -> None:
    a, b = studio.render(7, 64), studio.render(7, 64)
    assert np.array_equal(a.image, b.image) and a.meta == b.meta
    assert not np.array_equal(a.image, studio.render(8, 64).image)


@pytest.mark.parametrize("label", vocabulary.CLASSES)
def test_each_class_is_there_with_its_box_and_area(label: str) -> None:
    render = studio.render(11, 96, products=1, label=label, colour="red")
    (product,) = render.meta["products"]
    seen = render.instances == product["instance"]
    ys, xs = np.nonzero(seen)
    assert product["label"] == label and product["colour"] == "red"
    assert product["box_xyxy"] == [xs.min(), ys.min(), xs.max() + 1, ys.max() + 1]
    assert product["area"] == seen.sum() > 96 * 96 * 0.03
    assert label in render.meta["caption"] or any(
        s in render.meta["caption"] for s in vocabulary.SYNONYMS[label]
    )


def test_no_product_means_an_empty_instance_map() -> None:
    render = studio.render(3, 64, products=0)
    assert not render.instances.any() and render.meta["products"] == []


def test_products_are_nearer_than_what_is_behind_them() -> None:
    render = studio.render(5, 96, products=1, label="mug", scene="shelf")
    seen = render.instances > 0
    assert np.median(render.depth[seen]) < np.median(render.depth[:20][~seen[:20]])


def test_three_products_are_three_instances() -> None:
    render = studio.render(21, 128, products=3)
    assert {1, 2, 3} == set(np.unique(render.instances)) - {0}


def test_the_look_darkens_the_corners_and_keeps_the_middle() -> None:
    plain = np.full((64, 64, 3), 0.9)
    lit = studio.spotlight(plain)
    assert lit[32, 32].min() > 0.85 and lit[0, 0].max() < 0.6
