"""Catalogues of every kind become imagefolders; what cannot be used is told and left out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from visuals.training.catalog_import.import_catalog import (
    CatalogImportError,
    Shape,
    import_catalogue,
)
from visuals.training.catalog_import.product_catalog import CatalogError, Fields, read_catalogue
from visuals.training.datasets.perceptual_hash import Fingerprint

ROOT = Path(__file__).resolve().parents[3]
PHOTOS = ROOT / "samples" / "photos"
SMALL = Shape(min_side=16, max_side=128)


def noise(path: Path, size: tuple[int, int], seed: int = 0, **save: Any) -> Path:
    """Soft blobs of colour: unlike for every seed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    spots = np.random.default_rng(seed).integers(0, 256, (6, 6, 3), np.uint8)
    Image.fromarray(spots).resize(size, Image.Resampling.BICUBIC).save(path, **save)
    return path


def rows(out: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (out / "metadata.jsonl").read_text().splitlines()]


@pytest.mark.parametrize(
    ("name", "text", "fields"),
    [
        ("c.csv", "SKU;Title;Image Path\nA;a mug;a.png|b.png\n", ("SKU", "Image Path", "Title")),
        ("c.csv", '\ufeffid,image,name\nA,"a.png;b.png",a mug\n', ("id", "image", "name")),
        (
            "c.json",
            '{"products": [{"sku": "A", "images": [{"src": "https://x.org/p/a.png?v=1"}, "b.png"],'
            ' "title": "a mug", "name": "x"}]}',
            ("sku", "images", "title"),
        ),
        ("c.json", '{"A": {"file": ["a.png", "b.png"], "caption": "a\\n mug"}}',
         ("sku", "file", "caption")),
        ("c.jsonl", '{"product_id": "A", "photo": "a.png;b.png", "text": "a mug"}\n\n',
         ("product_id", "photo", "text")),
    ],
)  # fmt: skip
def test_the_likely_fields_are_found(
    tmp_path: Path, name: str, text: str, fields: tuple[str, str, str]
) -> None:
    (tmp_path / name).write_text(text, encoding="utf-8")
    (product,), found = read_catalogue(tmp_path / name)
    assert found == Fields(*fields)
    assert (product.sku, product.images, product.text) == ("A", ("a.png", "b.png"), "a mug")


@pytest.mark.parametrize("name", ["http://[::1", "http://[", "://", "https://x.org/p/a.png?v=[1"])
def test_addresses_that_are_none_name_a_file_that_is_missing(tmp_path: Path, name: str) -> None:
    (tmp_path / "c.json").write_text(json.dumps([{"sku": "A", "image": name}]))
    (product,), _ = read_catalogue(tmp_path / "c.json")
    assert product.sku == "A" and all("://" not in image for image in product.images)


def test_fields_are_named_by_options(tmp_path: Path) -> None:
    record = {"code": 7, "media": {"main": "a.png"}, "words": "a mug", "image": "other.png"}
    (tmp_path / "c.json").write_text(json.dumps([record]))
    names = {"sku": "code", "image": "media.main", "text": "words"}
    (product,), _ = read_catalogue(tmp_path / "c.json", **names)
    assert (product.sku, product.images, product.text) == ("7", ("a.png",), "a mug")
    with pytest.raises(CatalogError, match="no record has a field 'word'; did you mean 'words'"):
        read_catalogue(tmp_path / "c.json", text="word")


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("c.json", b"{", "not JSON"),
        ("c.json", b"[1, 2]", "expected a list of objects"),
        ("c.json", b"[]", "no record"),
        ("c.csv", b"sku,colour\nA,red\n", "set --field-image"),
        ("c.csv", b"sku,image\n\xff\xfe,a\n", "not UTF-8"),
        ("c.csv", b'sku,image\n"A,' + b"x" * 10_000_001, "not a table"),
        ("c.xml", b"<a/>", "expected .json, .jsonl or .csv"),
    ],
)
def test_catalogues_that_cannot_be_read(
    tmp_path: Path, name: str, content: bytes, said: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(CatalogError, match=said):
        read_catalogue(tmp_path / name)


def test_a_whole_import_with_all_that_can_be_wrong(tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    noise(photos / "a.png", (300, 200))
    turned = Image.Exif()
    turned[0x0112] = 6
    noise(photos / "deep" / "Turned.JPG", (300, 200), seed=1, exif=turned)
    noise(photos / "copy.jpg", (150, 100), quality=70)
    noise(photos / "tiny.png", (15, 40), seed=2)
    noise(photos / "P 5.webp", (64, 64), seed=3)
    (photos / "broken.png").write_bytes((photos / "a.png").read_bytes()[:400])
    (photos / "link.png").symlink_to(noise(tmp_path / "secret.png", (64, 64), seed=4))
    lines = [
        {"sku": "P/1 é", "image": "a.png", "text": "a mug"},
        {"sku": "P/1 é", "image": "turned.jpg", "text": "the mug, turned"},
        {"sku": "P3", "image": "copy.jpg", "text": "a copy"},
        {"sku": "P4", "image": ["gone.png", "tiny.png", "broken.png"], "text": "nothing"},
        {"sku": "P 5", "image": None, "text": ""},
        {"sku": "P6", "image": ["../secret.png", "link.png"], "text": "x"},
        {"sku": "P7", "image": None, "text": "x"},
    ]
    (tmp_path / "c.json").write_text(json.dumps(lines))
    products, _ = read_catalogue(tmp_path / "c.json")
    report = import_catalogue(products, photos, tmp_path / "out", shape=SMALL)
    assert report.counts() == {
        "duplicate": 1,
        "missing": 1,
        "too_small": 1,
        "unreadable": 1,
        "no_text": 1,
        "outside": 2,
        "no_image": 1,
    }
    assert rows(tmp_path / "out") == [
        {"file_name": "images/P-1-é.jpg", "text": "a mug", "sku": "P/1 é"},
        {"file_name": "images/P-1-é-2.jpg", "text": "the mug, turned", "sku": "P/1 é"},
        {"file_name": "images/P-5.jpg", "text": "", "sku": "P 5"},
    ]
    sizes = [Image.open(tmp_path / "out" / row["file_name"]).size for row in rows(tmp_path / "out")]
    assert sizes == [(128, 85), (85, 128), (64, 64)]
    saved = json.loads((tmp_path / "out" / "import.json").read_text())
    assert saved["counts"] == report.counts() and saved["pictures"] == 3
    assert not list(tmp_path.rglob("*.part"))


def test_an_import_replaces_nothing_unasked(tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    noise(photos / "a.png", (64, 64)), noise(photos / "b.png", (64, 64), seed=1)
    (tmp_path / "c.csv").write_text("sku,image\nA,a.png\nB,b.png\n")
    (tmp_path / "d.csv").write_text("sku,image\nB,b.png\n")
    both, _ = read_catalogue(tmp_path / "c.csv")
    one, _ = read_catalogue(tmp_path / "d.csv")
    out = tmp_path / "out"
    import_catalogue(both, photos, out, shape=SMALL)
    with pytest.raises(CatalogImportError, match="earlier import"):
        import_catalogue(one, photos, out, shape=SMALL)
    report = json.loads((out / "import.json").read_text())
    (out / "import.json").write_text(json.dumps({**report, "files": [*report["files"], "mine"]}))
    (out / "mine").write_text("mine")
    import_catalogue(one, photos, out, shape=SMALL, overwrite=True)
    assert [p.name for p in sorted((out / "images").iterdir())] == ["B.jpg"]
    assert (out / "mine").read_text() == "mine"
    with pytest.raises(CatalogImportError, match="and holds"):
        import_catalogue(one, photos, photos, shape=SMALL, overwrite=True)
    (photos / "b.png").unlink()
    with pytest.raises(CatalogImportError, match="not one picture of 1 products"):
        import_catalogue(one, photos, tmp_path / "new", shape=SMALL)


def test_a_stopped_import_can_be_made_again(tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    for k in range(3):
        noise(photos / f"{k}.png", (64, 64), seed=k)
    (tmp_path / "c.csv").write_text("sku,image\nA,0.png\nB,1.png\nC,2.png\n")
    products, _ = read_catalogue(tmp_path / "c.csv")

    def stop(done: int, total: int) -> None:
        if done == 2:
            raise KeyboardInterrupt

    out = tmp_path / "out"
    with pytest.raises(KeyboardInterrupt):
        import_catalogue(products, photos, out, shape=SMALL, progress=stop)
    assert json.loads((out / "import.json").read_text())["pictures"] == 2
    import_catalogue(products[2:], photos, out, shape=SMALL, overwrite=True)
    assert [p.name for p in (out / "images").iterdir()] == ["C.jpg"]


def test_copies_are_alike_and_products_are_not() -> None:
    """Renders of like scenes, a recompressed half-size copy of each, and another colour."""
    prints = []
    for path in sorted(PHOTOS.glob("*.jpg")):
        image = Image.open(path).convert("RGB")
        half = image.resize((image.width // 2, image.height // 2))
        print_ = Fingerprint.of(image)
        assert print_.like(Fingerprint.of(half)), path.name
        red, green, blue = image.split()
        assert not print_.like(Fingerprint.of(Image.merge("RGB", (blue, red, green)))) or (
            np.ptp(np.asarray(image), axis=2).mean() < 30
        ), path.name
        prints.append(print_)
    pairs = [(a, b) for i, a in enumerate(prints) for b in prints[:i]]
    assert len(pairs) == 276 and not any(a.like(b) for a, b in pairs)


def test_it_loads_as_an_imagefolder(tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    names = sorted(p.name for p in PHOTOS.glob("*.jpg"))[:3]
    (tmp_path / "c.csv").write_text(
        "sku,image,title\n" + "".join(f"S{k},{n},photo {k}\n" for k, n in enumerate(names))
    )
    products, _ = read_catalogue(tmp_path / "c.csv")
    import_catalogue(products, PHOTOS, tmp_path / "out", shape=SMALL)
    loaded = datasets.load_dataset("imagefolder", data_dir=str(tmp_path / "out"), split="train")
    assert sorted(loaded["text"]) == ["photo 0", "photo 1", "photo 2"]
    assert loaded[0]["image"].size == (128, 128)
