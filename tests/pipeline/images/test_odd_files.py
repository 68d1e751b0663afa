"""A folder with one of each bad or odd file beside good photos, through `filter` and `run`."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from click.testing import CliRunner
from helpers import odd_files
from helpers.command_line import EVERYTHING
from PIL import Image

from visuals.pipeline.cli import main
from visuals.pipeline.images.read import read_image

SAMPLES = Path(__file__).resolve().parents[3] / "samples" / "photos"
GOOD = ("04-teal-mug", "12-gray-mug")
FAST = ("--set", "rerender.steps=2")

Lines = dict[str, dict[str, Any]]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("odd") / "photos"
    odd_files.build(place, read_image(SAMPLES / f"{GOOD[0]}.jpg").rgb)
    for name in GOOD:
        shutil.copy(SAMPLES / f"{name}.jpg", place / f"{name}.jpg")
    return place


@pytest.fixture(scope="module")
def went(
    folder: Path, mini: Path, mini_is_trained: bool
) -> Callable[..., tuple[Path, Lines, dict[str, Any]]]:
    """Runs a command once on the folder: its run folder, its lines by id, its JSON."""
    known: dict[str, tuple[Path, Lines, dict[str, Any]]] = {}

    def go(command: str, *options: str) -> tuple[Path, Lines, dict[str, Any]]:
        if command not in known:
            out = folder.parent / command
            more = () if mini_is_trained else EVERYTHING
            arguments = [command, str(folder), "--class", "mug", "--out", str(out), "--json"]
            result = CliRunner().invoke(main, [*arguments, *options, *more])
            assert result.exit_code == 0, f"{result.output}\n{result.exception!r}"
            text = (out / "manifest.jsonl").read_text(encoding="utf-8")
            lines = {line["id"]: line for line in map(json.loads, text.splitlines())}
            known[command] = out, lines, json.loads(result.stdout)
        return known[command]

    return go


@pytest.fixture(params=["filter", "run"])
def done(
    request: pytest.FixtureRequest, went: Callable[..., tuple[Path, Lines, dict[str, Any]]]
) -> tuple[Path, Lines, dict[str, Any], str]:
    options = FAST if request.param == "run" else ("--copy-skipped", "--sort-by-class")
    kept = "enhanced" if request.param == "run" else "kept"
    return (*went(request.param, *options), kept)


def test_every_file_has_its_outcome(
    done: tuple[Path, Lines, dict[str, Any], str], folder: Path, mini_is_trained: bool
) -> None:
    _, lines, record, kept = done
    assert len(lines) == record["total"] == len(list(folder.iterdir()))
    for id_, said in odd_files.FAILED.items():
        assert lines[id_]["status"] == "failed", id_
        assert said in lines[id_]["error"]["message"]
        assert not any(lines[id_]["files"].values())
    assert record["failed"] == len(odd_files.FAILED) + bool(os.geteuid())
    if os.geteuid():
        assert "permission denied" in lines["locked"]["error"]["message"]
    for id_, said in odd_files.NOTED.items():
        assert said in lines[id_]["notes"], id_
    assert all(not lines[id_]["notes"] for id_ in (*GOOD, "deep", "palette", "turned-6"))
    if mini_is_trained:
        for id_ in (*GOOD, *odd_files.SAME, *odd_files.NEAR):
            assert lines[id_]["status"] == kept, id_
        for id_ in odd_files.TINY:
            assert lines[id_]["status"] == "skipped" and lines[id_]["reason"]["code"], id_
    assert lines["long"]["reason"]["code"] == "too_narrow"


def test_what_was_read_is_the_photo(
    done: tuple[Path, Lines, dict[str, Any], str], folder: Path
) -> None:
    out, lines, *_ = done
    photo = read_image(folder / f"{GOOD[0]}.jpg").rgb
    for id_ in odd_files.SAME:
        assert np.array_equal(read_image(out / lines[id_]["files"]["source"]).rgb, photo), id_
    for id_ in odd_files.NEAR:
        read = read_image(out / lines[id_]["files"]["source"]).rgb
        assert np.abs(read.astype(int) - photo).mean() < 1.5, id_


def test_names_are_kept_as_far_as_they_can_be_written(
    done: tuple[Path, Lines, dict[str, Any], str],
) -> None:
    out, lines, *_ = done
    (long,) = [id_ for id_ in lines if id_.startswith("nnn")]
    assert len(long) < 210 and lines[long]["input"].endswith(f"{odd_files.LONG}.png")
    assert lines["a_b"]["input"].endswith("a\nb.png")
    for line in lines.values():
        for name in filter(None, line["files"].values()):
            assert (out / name).is_file(), name
    assert not list(out.rglob("*.part"))


def test_no_pixel_changes_outside_in_the_files_own_depth(
    went: Callable[..., tuple[Path, Lines, dict[str, Any]]], folder: Path
) -> None:
    out, lines, record = went("run", *FAST)
    assert record["changed_outside"] == 0 and record["enhanced"] >= 1
    for id_, line in lines.items():
        if line["status"] != "enhanced":
            continue
        outside = read_image(out / line["files"]["blend"]).rgb[..., 0] == 0
        source, result = (read_image(out / line["files"][k]) for k in ("source", "result"))
        assert np.array_equal(source.rgb[outside], result.rgb[outside]), id_
        assert not np.array_equal(source.rgb, result.rgb), id_
    for id_, file in (("deep", "deep.png"), ("deep-alpha", "deep-alpha.png"),
                      ("deep-tiff", "deep-tiff.tif"), ("deep-grey", "deep-grey.png")):  # fmt: skip
        line = lines[id_]
        if line["status"] != "enhanced":
            continue
        outside = read_image(out / line["files"]["blend"]).rgb[..., 0] == 0
        before = cv2.imread(str(folder / file), cv2.IMREAD_UNCHANGED)
        after = cv2.imread(str(out / line["files"]["result"]), cv2.IMREAD_UNCHANGED)
        assert before is not None and after is not None
        if before.ndim == 2:
            before = np.repeat(before[..., None], 3, axis=2)
        assert after.dtype == np.uint16 and after.shape == before.shape, id_
        assert np.array_equal(after[outside], before[outside]), id_
        assert not np.array_equal(after[..., :3], before[..., :3]), id_
        if after.shape[2] == 4:
            assert np.array_equal(after[..., 3], before[..., 3])


def test_palette_transparency_comes_out_as_alpha(
    done: tuple[Path, Lines, dict[str, Any], str], folder: Path
) -> None:
    out, lines, *_ = done
    with Image.open(folder / "palette.png") as image:
        expected = np.asarray(image.convert("RGBA"))[..., 3]
    name = lines["palette"]["files"]["result"] or lines["palette"]["files"]["source"]
    alpha = read_image(out / name).alpha
    assert alpha is not None and np.array_equal(alpha, expected) and (alpha == 0).any()


def test_skipped_originals_and_kept_pictures_are_filed(
    went: Callable[..., tuple[Path, Lines, dict[str, Any]]], folder: Path
) -> None:
    out, lines, record = went("filter", "--copy-skipped", "--sort-by-class")
    skipped = {p for p in (out / "skipped").rglob("*") if p.is_file()}
    assert len(skipped) == sum(record["skipped"].values())
    for id_, line in lines.items():
        if line["status"] == "skipped":
            original = Path(line["input"])
            copy = out / "skipped" / line["reason"]["code"] / f"{id_}{original.suffix}"
            assert copy.read_bytes() == original.read_bytes()
    kept = [line for line in lines.values() if line["status"] == "kept"]
    assert kept
    for line in kept:
        copy = out / "sorted" / "mug" / f"{line['id']}.png"
        assert copy.read_bytes() == (out / line["files"]["source"]).read_bytes()
