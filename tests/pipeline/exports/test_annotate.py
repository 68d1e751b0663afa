"""Annotations of run folders: read back by the tools they are for, compared with the masks."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import cv2
import numpy as np
import pytest
import yaml
from hypothesis import given, settings
from hypothesis.extra.numpy import array_shapes, arrays
from PIL import Image
from pycocotools import coco
from pycocotools import mask as rle

from visuals.checkpoints import atomic_files
from visuals.configs.errors import RunFolderError
from visuals.pipeline.exports import polygons
from visuals.pipeline.exports.annotate import (
    FORMATS,
    AnnotationError,
    NothingToAnnotateError,
    annotate,
)
from visuals.pipeline.exports.caption_text import caption
from visuals.pipeline.exports.training_set import export
from visuals.pipeline.images.read import read_image
from visuals.pipeline.images.write import encode_png
from visuals.pipeline.runs.folder import RunFolder
from visuals.pipeline.runs.manifest import ManifestRecord
from visuals.stages.shot import Detection, FileInput, Prompted, Shot, Skip

Masks = Sequence[np.ndarray]


def shot(id_: str, masks: Masks, labels: Sequence[str] = (), **changes: Any) -> Shot:
    """A kept shot of noise with these masks; `labels` default to mug."""
    height, width = masks[0].shape if masks else (8, 12)
    labels = labels or ["mug"] * len(masks)
    found = tuple(
        Detection((0, 0, width, height), 0.5 + k / 16, label, mask=mask, mask_score=0.25)
        for k, (mask, label) in enumerate(zip(masks, labels, strict=True))
    )
    rng = np.random.default_rng(len(id_))
    image = rng.integers(0, 255, (height, width, 3), np.uint8)
    source = Prompted("tag, a red mug on a table, <lora:tag:0.8>", "", 7)
    base = Shot(id_, source, ("mug", "car"), image=image, detections=found, status="kept")
    return replace(base, **changes)


def recorded(path: Path, *shots: Shot) -> Path:
    folder = RunFolder(path, request={}, settings={})
    for one in shots:
        folder.record(one)
    return path


def square(y: int, x: int, size: int = 4) -> np.ndarray:
    mask = np.zeros((8, 12), bool)
    mask[y : y + size, x : x + size] = True
    return mask


def ring_and_dot() -> np.ndarray:
    """A ring with a hole, and a part of one pixel apart from it."""
    mask = square(1, 1, 6)
    mask[3:5, 3:5] = False
    mask[7, 11] = True
    return mask


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """Kept, re-rendered, skipped and failed shots; holes, parts, overlaps, sub-folders."""
    two = (square(0, 0), square(2, 2))
    pair = shot("deep/images/pair", two, ("mug", "car"))
    done = shot("done", [square(4, 8)], edit="red leather", status="enhanced")
    assert done.image is not None
    return recorded(
        tmp_path / "run",
        shot("ring", [ring_and_dot()]),
        pair,
        replace(done, result=255 - done.image, blend=np.zeros((8, 12), np.float32)),
        shot("none", []).skip(Skip("no_detection", "no 'mug' above 0.35")),
        shot("small", [square(0, 0, 1)]).skip(Skip("no_mask", "too small")),
        shot("broken", []).fail(RuntimeError("out of paint"), "generate"),
    )


MASKS = {
    "ring": [ring_and_dot()],
    "deep/images/pair": [square(0, 0), square(2, 2)],
    "done": [square(4, 8)],
}

masks_2d = array_shapes(min_dims=2, max_dims=2, max_side=14).flatmap(
    lambda shape: arrays(bool, shape).filter(np.any)
)


# COCO


def coco_masks(api: Any) -> dict[str, list[np.ndarray]]:
    return {
        image["file_name"]: [api.annToMask(a) for a in api.imgToAnns[image["id"]]]
        for image in api.loadImgs(api.getImgIds())
    }


@pytest.mark.parametrize("as_polygons", [False, True])
def test_coco_gives_every_mask_back(run: Path, as_polygons: bool) -> None:
    done = annotate(run, ["coco"], polygons=as_polygons)
    assert done.files == {"coco": run / "annotations" / "coco.json"}
    assert (done.pictures, done.instances, done.errors) == (3, 4, [])
    api = coco.COCO(str(done.files["coco"]))
    read = coco_masks(api)
    assert set(read) == {f"images/{id_}.png" for id_ in MASKS}
    for id_, masks in MASKS.items():
        for got, mask in zip(read[f"images/{id_}.png"], masks, strict=True):
            assert np.array_equal(got, mask)
    for image in api.dataset["images"]:
        size = read_image(run / image["file_name"]).rgb.shape[:2]
        assert size == (image["height"], image["width"]) == (8, 12)


def test_coco_says_area_box_class_score_and_caption(run: Path) -> None:
    path = annotate(run).files["coco"]
    record = json.loads(path.read_text(encoding="utf-8"))
    assert [(c["id"], c["name"]) for c in record["categories"]] == [(1, "mug"), (2, "car")]
    ring, first, second, done = record["annotations"]
    assert (ring["area"], ring["bbox"]) == (36 - 4 + 1, [1, 1, 11, 7])
    assert [a["category_id"] for a in (ring, first, second, done)] == [1, 1, 2, 1]
    assert (second["bbox"], second["score"], second["iscrowd"]) == ([2, 2, 4, 4], 0.5625, 0)
    captions = {image["file_name"]: image["caption"] for image in record["images"]}
    assert captions["images/ring.png"] == "tag, a red mug on a table"
    assert captions["images/done.png"] == "tag, a red red leather mug on a table"
    assert record["images"][0]["prompt"].endswith("<lora:tag:0.8>")


def iou(a: Any, b: Any) -> float:
    return float(rle.iou([a], [b], [0])[0][0])


@settings(max_examples=150, deadline=None)
@given(mask=masks_2d)
def test_any_mask_goes_through_coco_with_iou_1(mask: np.ndarray) -> None:
    from visuals.pipeline.exports.coco import rle as encode

    truth = rle.encode(np.asfortranarray(mask, np.uint8))
    assert iou(encode(mask), truth) == 1.0
    parts = [outline.ravel().tolist() for outline in polygons.edges(mask)]
    assert all(len(part) >= 8 for part in parts)
    whole = rle.merge(rle.frPyObjects(parts, *mask.shape))
    assert iou(whole, truth) == 1.0


def test_large_masks_with_holes_go_through_coco_polygons() -> None:
    rng = np.random.default_rng(3)
    noise = cv2.GaussianBlur(rng.random((300, 401)).astype(np.float32), (0, 0), 4)
    mask = noise > np.median(noise)
    parts = [outline.ravel().tolist() for outline in polygons.edges(mask)]
    assert len(parts) > 3
    assert np.array_equal(rle.decode(rle.merge(rle.frPyObjects(parts, 300, 401))), mask)


def test_an_empty_mask_has_no_outline_and_no_annotation(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="empty mask"):
        polygons.edges(np.zeros((4, 4), bool))
    run = recorded(tmp_path / "run", shot("a", [square(0, 0), np.zeros((8, 12), bool)]))
    assert annotate(run, list(FORMATS)).instances == 1


# YOLO


def yolo_mask(points: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """As Ultralytics' polygon2mask, which cuts to whole pixels, and supervision's reader, which
    rounds; then cv2.fillPoly."""
    polygon = points.reshape(-1, 2) * shape[::-1]
    cut, rounded = (
        cv2.fillPoly(np.zeros(shape, np.uint8), [corners.astype(np.int32)], (1,))
        for corners in (polygon, np.round(polygon))
    )
    assert np.array_equal(cut, rounded)
    return cut


def test_yolo_lines_give_the_masks_back(run: Path) -> None:
    place = annotate(run, ["yolo"]).files["yolo"]
    data = yaml.safe_load((place / "data.yaml").read_text(encoding="utf-8"))
    assert data == {"train": "images", "val": "images", "names": {0: "mug", 1: "car"}}
    images = sorted((place / data["train"]).rglob("*.png"))
    assert len(images) == 3
    for image in images:
        # Ultralytics' img2label_paths: the last folder "images" becomes "labels".
        label = Path("/labels/".join(str(image).rsplit("/images/", 1))).with_suffix(".txt")
        rows = [line.split() for line in label.read_text().splitlines()]
        id_ = image.relative_to(place / "images").with_suffix("").as_posix()
        masks = MASKS[id_.replace("images_", "images")]
        assert [row[0] for row in rows] == ["0", "1"][: len(masks)]
        for (_, *numbers), mask in zip(rows, masks, strict=True):
            points = np.array(numbers, float)
            assert points.min() >= 0 and points.max() <= 1 and len(points) >= 6
            got = yolo_mask(points, mask.shape)
            assert (got >= mask).all()
            if id_ != "ring":  # its two parts are joined by a line
                assert np.array_equal(got, mask)


@settings(max_examples=150, deadline=None)
@given(mask=masks_2d)
def test_any_mask_of_one_part_goes_through_yolo(mask: np.ndarray) -> None:
    height, width = mask.shape
    points = polygons.outline(mask) / (width, height)
    text = " ".join(f"{v:.6f}" for v in points.ravel())
    got = yolo_mask(np.array(text.split(), float), mask.shape)
    parts = cv2.connectedComponents(mask.astype(np.uint8), connectivity=8)[0] - 1
    assert (got >= mask).all()
    # Each further part costs a bridge, at most as long as the picture.
    assert got.sum() - mask.sum() <= (parts - 1) * max(mask.shape)


# Pascal VOC


def test_voc_boxes_count_from_one_and_hold_their_last_pixel(run: Path) -> None:
    place = annotate(run, ["voc"]).files["voc"]
    listed = (place / "ImageSets" / "Segmentation" / "trainval.txt").read_text().splitlines()
    assert listed == list(MASKS)
    for id_, masks in MASKS.items():
        root = ElementTree.parse(place / "Annotations" / f"{id_}.xml").getroot()
        assert (place / "JPEGImages" / (root.findtext("filename") or "")).is_file()
        assert [root.findtext(f"size/{k}") for k in ("width", "height", "depth")] == [
            "12", "8", "3",
        ]  # fmt: skip
        assert root.findtext("segmented") == "1"
        for item, mask in zip(root.findall("object"), masks, strict=True):
            rows, columns = np.nonzero(mask)
            box = [int(item.findtext(f"bndbox/{k}") or 0) for k in ("xmin", "ymin", "xmax", "ymax")]
            assert box == [
                columns.min() + 1, rows.min() + 1, columns.max() + 1, rows.max() + 1,
            ]  # fmt: skip


def test_voc_maps_hold_instances_and_classes(run: Path) -> None:
    place = annotate(run, ["voc"]).files["voc"]
    name = "deep/images/pair.png"
    with Image.open(place / "SegmentationObject" / name) as image:
        objects = np.asarray(image)
        assert image.mode == "P"
        # Background, first and second colour of VOC's own colour map.
        assert image.getpalette()[:9] == [0, 0, 0, 128, 0, 0, 0, 128, 0]  # type: ignore[index]
    with Image.open(place / "SegmentationClass" / name) as image:
        classes = np.asarray(image)
    first, second = MASKS["deep/images/pair"]
    assert np.array_equal(objects == 2, second) and np.array_equal(objects == 1, first & ~second)
    assert np.array_equal(classes, objects)  # mug is class 1 and instance 1, car 2 and 2
    assert (place / "labels.txt").read_text().split() == ["background", "mug", "car"]


def test_voc_names_are_escaped(tmp_path: Path) -> None:
    run = recorded(tmp_path / "run", shot("a & <b> ü", [square(0, 0)], ["mug & <cup>"]))
    place = annotate(run, ["voc"]).files["voc"]
    root = ElementTree.parse(place / "Annotations" / "a & <b> ü.xml").getroot()
    assert root.findtext("object/name") == "mug & <cup>"
    assert root.findtext("filename") == "a & <b> ü.png"


# masks, metadata


def test_masks_are_the_unions(run: Path) -> None:
    place = annotate(run, ["masks"]).files["masks"]
    for id_, masks in MASKS.items():
        with Image.open(place / f"{id_}.png") as image:
            assert image.mode == "L"
            assert np.array_equal(np.asarray(image), np.logical_or.reduce(masks) * np.uint8(255))


def test_metadata_lines_have_the_same_keys(run: Path) -> None:
    place = annotate(run, ["metadata"], include_skipped=True).files["metadata"]
    text = (place / "metadata.jsonl").read_text(encoding="utf-8")
    rows = {row["file_name"]: row for row in map(json.loads, text.splitlines())}
    assert len(rows) == 5 and all((place / name).is_file() for name in rows)
    assert all(list(row) == ["file_name", "text", "objects"] for row in rows.values())
    pair = rows["images/deep/images/pair.png"]["objects"]
    assert pair == {
        "bbox": [[0.0, 0.0, 4.0, 4.0], [2.0, 2.0, 4.0, 4.0]],
        "categories": ["mug", "car"],
    }
    assert rows["images/none.png"]["objects"] == {"bbox": [], "categories": []}


def test_metadata_loads_as_an_imagefolder(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    datasets = pytest.importorskip("datasets")
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", str(run.parent / "cache"))
    place = annotate(run, ["metadata"]).files["metadata"]
    loaded = datasets.load_dataset(
        "imagefolder", data_dir=str(place), split="train", cache_dir=str(run.parent / "cache")
    )
    assert loaded.num_rows == 3 and set(loaded.column_names) == {"image", "text", "objects"}
    rows = {tuple(row["objects"]["categories"]): row for row in loaded}
    pair = rows["mug", "car"]
    assert pair["text"] == "tag, a red mug on a table"
    expected = read_image(run / "images/deep/images/pair.png").rgb
    assert np.array_equal(np.asarray(pair["image"].convert("RGB")), expected)


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ({"prompt": "tag, mug, <lora:x:0.5>", "edit": ""}, "tag, mug"),
        ({"prompt": "tag, mug, shelf", "edit": "blue"}, "tag, blue mug, shelf"),
        ({"prompt": "smug {edit} mug", "edit": "blue"}, "smug blue mug"),
        ({"prompt": "smugness", "edit": "blue"}, "smugness, blue mug"),
        ({"prompt": None, "edit": ""}, "a mug"),
        ({"prompt": None, "edit": "old", "detections": [{"label": "mug"}]}, "an old mug"),
        ({"prompt": None, "edit": "old", "files": {"result": None}}, "a mug"),
        (
            {"prompt": None, "edit": "", "detections": [{"label": k} for k in ("car", "mug")]},
            "a green car and a mug",
        ),
        ({"prompt": "an orange mug", "edit": "old"}, "an orange old mug"),
        ({"prompt": "a mug", "edit": "old"}, "an old mug"),
        ({"prompt": "a car", "edit": "red", "detections": [{"label": "car"}]}, "a red car"),
        ({"prompt": None, "edit": "", "detections": [{"label": "scene"}]}, "a mug"),
        (
            {"prompt": None, "edit": "snowy", "detections": [{"label": "scene"}]},
            "a mug, snowy scene",
        ),
        ({"prompt": None, "edit": "old", "detections": [{"label": "merged"}]}, "an old mug"),
    ],
)
def test_captions(line: dict[str, Any], text: str) -> None:
    usual = {"id": "a", "status": "enhanced", "seed": 1, "classes": ["mug"]}
    record = {**usual, "files": {"result": "images/a.png"}, **line}
    detections = [
        {"score": 0.9, "box_xyxy": [0, 0, 1, 1], **found} for found in line.get("detections", [])
    ]
    record = ManifestRecord.from_dict({**record, "detections": detections})
    assert caption(record, {"car": "green"}) == text


def test_a_class_brings_its_own_edit_into_the_caption(tmp_path: Path) -> None:
    done = shot("a", [square(0, 0)], status="enhanced")
    done = replace(done, result=done.image, blend=np.ones((8, 12), np.float32))
    settings = {"classes": {"mug": {"edit": "blue"}, "car": {"edit": ""}}}
    folder = RunFolder(tmp_path / "run", request={}, settings=settings)
    folder.record(done)
    record = json.loads(annotate(folder.path).files["coco"].read_text())
    assert record["images"][0]["caption"] == "tag, a red blue mug on a table"
    (folder.path / "run.yaml").unlink()
    record = json.loads(annotate(folder.path).files["coco"].read_text())
    assert record["images"][0]["caption"] == "tag, a red mug on a table"


# What is annotated, and where it goes


def test_the_result_is_annotated_where_there_is_one(run: Path) -> None:
    files = annotate(run, ["yolo", "metadata"]).files
    result = read_image(run / "images" / "done.png").rgb
    source = read_image(run / "sources" / "done.png").rgb
    for place in files.values():
        got = read_image(place / "images" / "done.png").rgb
        assert np.array_equal(got, result) and not np.array_equal(got, source)


def test_skipped_pictures_are_asked_for_and_carry_no_instances(run: Path) -> None:
    done = annotate(run, ["coco", "yolo"], include_skipped=True)
    assert (done.pictures, done.instances) == (5, 4)
    images = json.loads(done.files["coco"].read_text())["images"]
    assert [i.get("skipped") for i in images] == [None, None, None, "no_detection", "no_mask"]
    assert [i["caption"] for i in images[3:]] == ["", ""] and images[0]["caption"]
    assert (done.files["yolo"] / "labels" / "small.txt").read_text() == ""
    rows = annotate(run, ["metadata"], include_skipped=True).files["metadata"] / "metadata.jsonl"
    texts = [json.loads(line)["text"] for line in rows.read_text().splitlines()]
    assert [bool(text) for text in texts] == [True, True, True, False, False]


def test_a_second_call_replaces_the_first(run: Path) -> None:
    formats = list(FORMATS)
    annotate(run, formats, include_skipped=True)
    before = read_image(run / "images" / "ring.png").rgb
    done = annotate(run, formats)
    names = {path.name for path in (run / "annotations").iterdir()}
    records = {f".{name}.written.json" for name in FORMATS.values()}
    assert names == set(FORMATS.values()) | records
    assert not (done.files["yolo"] / "images" / "none.png").exists()
    assert np.array_equal(read_image(run / "images" / "ring.png").rgb, before)


def test_what_lies_in_out_is_not_touched(run: Path) -> None:
    with pytest.raises(AnnotationError, match="holds 'images'"):
        annotate(run, ["coco", "masks"], out=run)
    assert not (run / "coco.json").exists() and (run / "masks" / "ring.png").is_file()
    done = annotate(run, ["coco", "masks"], out=run.parent / "new")
    assert done.files["coco"].is_file() and not (run / "annotations").exists()


def test_a_run_folder_moves_with_its_annotations(run: Path, tmp_path: Path) -> None:
    annotate(run, list(FORMATS))
    moved = Path(shutil.move(run, tmp_path / "elsewhere"))
    for path in (moved / "annotations").rglob("*"):
        if path.is_file() and path.suffix != ".png":
            assert str(tmp_path) not in path.read_text(encoding="utf-8")
    read = coco_masks(coco.COCO(str(moved / "annotations" / "coco.json")))
    assert all((moved / name).is_file() for name in read)


def test_a_bad_picture_or_mask_is_left_out_and_named(run: Path) -> None:
    (run / "masks" / "ring.png").write_bytes(b"no picture")
    (run / "images" / "deep" / "images" / "pair.png").unlink()
    done = annotate(run, ["coco"])
    assert done.pictures == 1 and len(done.errors) == 2
    assert "ring" in done.errors[0] and "no such file" in done.errors[1]


def test_a_mask_of_another_size_is_named(run: Path) -> None:
    atomic_files.write(run / "masks" / "ring.png", encode_png(np.full((3, 4), 255, np.uint8)))
    done = annotate(run, ["masks"])
    assert done.errors == [
        "ring: a mask of 4 × 3 for a picture of 12 × 8: expected equal sizes; run it again"
    ]


def test_a_manifest_cannot_name_files_outside_its_folder(run: Path) -> None:
    path = run / "manifest.jsonl"
    path.write_text(path.read_text().replace('"images/ring.png"', '"../secret.png"'))
    with pytest.raises(RunFolderError, match="expected a path inside the run folder"):
        annotate(run, ["yolo"])


def test_no_run_folder_and_nothing_kept(tmp_path: Path) -> None:
    with pytest.raises(AnnotationError, match="is no run folder"):
        annotate(tmp_path)
    with pytest.raises(AnnotationError, match="no format: expected one or more of coco"):
        annotate(tmp_path, [","])
    run = recorded(tmp_path / "run", shot("none", []).skip(Skip("no_detection", "x")))
    with pytest.raises(NothingToAnnotateError, match="add --include-skipped"):
        annotate(run)
    assert annotate(run, include_skipped=True).pictures == 1


def test_photos_of_a_folder_have_their_class_as_caption(tmp_path: Path) -> None:
    photo = shot("a", [square(0, 0)], source=FileInput("x.png", 1))
    path = annotate(recorded(tmp_path / "run", photo)).files["coco"]
    assert json.loads(path.read_text())["images"][0]["caption"] == "a mug"


@pytest.mark.parametrize("kind", ["source", "mask"])
def test_broken_pictures_are_left_out_by_name(tmp_path: Path, kind: str) -> None:
    run = recorded(tmp_path, shot("half", [square(1, 1)]), shot("whole", [square(1, 1)]))
    path = run / {"source": "images", "mask": "masks"}[kind] / "half.png"
    path.write_bytes(path.read_bytes()[:-40])
    written = annotate(run, tuple(FORMATS))
    assert written.pictures == 1 and len(written.errors) == 1
    assert written.errors[0].startswith("half: ") and "damaged or truncated" in written.errors[0]
    assert [file.stem for file in (run / "annotations/yolo/images").rglob("*.png")] == ["whole"]


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"id": "m\ud800"}, "no file name has"),
        ({"id": "m" * 5000}, "is too long"),
        ({"id": "/".join(["m" * 100] * 50)}, "is too long"),
        ({"id": "m\nug"}, "no file name has"),
        ({"files": {}}, "names no picture"),
        ({"files": {"mask": "masks/ring.png"}}, "names no picture"),
        ({"files": {"source": "images/m\ud800.png"}}, "images/m"),
        ({"files": {"source": f"images/{'m' * 5000}.png"}}, "images/m"),
        ({"files": {"source": "images"}}, "images"),
    ],
)
def test_a_bad_line_is_left_out_and_named(run: Path, change: dict[str, Any], why: str) -> None:
    path = run / "manifest.jsonl"
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert lines[0]["id"] == "ring"
    lines[0] |= change
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    name = change.get("id", "ring")[:1]
    for done in (annotate(run, list(FORMATS)), export(run, "kohya"), export(run, "imagefolder")):
        if "id" in change and "coco" not in done.files:  # training sets have names of their own
            assert done.pictures == 3 and not done.errors
            continue
        (error,) = done.errors
        assert done.pictures == 2 and why in error and error.startswith(name)
        assert len(error.partition(": ")[0].encode()) <= 200
