"""Stage 2 from the command line, on real models: classes, sweep, masks."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from helpers.command_line import lines_of, visuals

from visuals.configs.schema import Settings, check, load_settings, merge
from visuals.pipeline.build import stages as build_stages_module
from visuals.pipeline.images.read import read_image
from visuals.pipeline.inputs.previous_run import finder
from visuals.pipeline.prompts import product_classes
from visuals.pipeline.prompts.model_vocabulary import UnknownClassError
from visuals.stages.shot import Detection, FileInput, Shot

pytestmark = pytest.mark.usefixtures("loaded_models")

ROOT = Path(__file__).resolve().parents[3]
SHOWN = ("04-teal-mug", "12-gray-mug", "17-red-sneaker-brown-wristwatch", "19-empty")
KNOWN = {"classes": ["mug", "sneaker"], "synonyms": {"sneaker": ["shoe"], "mug": []}}


@pytest.fixture(autouse=True)
def words_and_models(mini: Path) -> Path:
    return mini


@pytest.fixture
def photos(own_home: Path) -> Path:
    """Four of the sample photos in `photos` of the working folder."""
    folder = own_home / "photos"
    folder.mkdir()
    for name in SHOWN:
        shutil.copy(ROOT / "samples" / "photos" / f"{name}.jpg", folder)
    return folder


def record(*arguments: str) -> dict[str, Any]:
    result = visuals(*arguments, "--json")
    assert result.exit_code == 0, f"{result.output}\n{result.exception!r}"
    out: dict[str, Any] = json.loads(result.stdout)
    return out


def settings_with(**specs: Any) -> Settings:
    return check(merge(load_settings().model_dump(mode="json"), {"classes": specs}))


def test_command_line_and_settings_are_joined() -> None:
    own = settings_with(Shoe={"threshold": 0.3, "edit": "red"}, mug={"phrases": ["mug"]})
    made, names, _ = product_classes.merge_classes(own, ["shoe"], KNOWN, preset="mini")
    assert names == ["sneaker"] and made.classes["sneaker"].edit == "red"
    assert list(made.classes) == ["sneaker"]
    made, names, _ = product_classes.merge_classes(own, ["Mug=mug|Shoe"], KNOWN, preset="mini")
    assert names == ["mug"] and made.classes["mug"].phrases == ("mug", "sneaker")
    made, names, _ = product_classes.merge_classes(own, [], KNOWN, preset="mini")
    assert names == ["sneaker", "mug"]
    made, names, _ = product_classes.merge_classes(own, [], KNOWN, preset="mini", fallback=False)
    assert names == [] and set(made.classes) == {"sneaker", "mug"}
    made, names, _ = product_classes.merge_classes(
        own, ["mug=mug", "mug=shoe"], None, preset="sd15"
    )
    assert made.classes["mug"].phrases == ("mug", "shoe")


def test_the_scene_s_prompt_stays_and_is_no_class_to_look_for() -> None:
    own = settings_with(scene={"prompt": "a street"}, mug={})
    for given in ([], ["mug"]):
        made, names, _ = product_classes.merge_classes(own, given, KNOWN, preset="mini")
        assert names == ["mug"] and made.classes["scene"].prompt == "a street"
    result = visuals("filter", "nowhere", "--set", "classes.scene.prompt=a street")
    assert result.exit_code == 2 and "no --class" in result.stderr


def test_a_plain_class_leaves_the_settings_as_they_are() -> None:
    made, names, warnings = product_classes.merge_classes(
        load_settings(), ["mug"], KNOWN, preset="mini"
    )
    assert (made, names, warnings) == (load_settings(), ["mug"], [])


def test_phrases_must_be_known_and_strange_reject_phrases_are_warned_of() -> None:
    with pytest.raises(UnknownClassError, match="'trainers'"):
        product_classes.merge_classes(load_settings(), ["x=shoe|trainers"], KNOWN, preset="mini")
    own = settings_with(mug={"reject": ["vase", "shoe"]})
    known = {**KNOWN, "other": []}
    warnings = product_classes.merge_classes(own, ["mug"], known, preset="mini")[2]
    assert len(warnings) == 1 and warnings[0].endswith("unknown words: vase")


@pytest.mark.parametrize("given", ["=mug", "mug=", "mug=a||b", " "])
def test_a_class_that_cannot_be_read_is_said_in_one_line(given: str) -> None:
    result = visuals("filter", "nowhere", "--class", given)
    assert result.exit_code == 2 and result.stderr.count("\n") == 1
    assert "NAME=PHRASE|PHRASE" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (("--set", "classes.mug.threshhold=1"), "did you mean 'threshold'"),
        (("--set", "verify.treshold=1"), "did you mean 'threshold'"),
        (("--set", "mask.srt=none"), "did you mean 'sort'"),
        (("--mask-min-ratio", "0.5", "--mask-max-ratio", "0.2"), "swap them"),
        (("--sort", "right"), "'left-to-right', 'center-to-edge' or 'area'"),
        (("--set", "mask.fill_holes=3"), "a share from 0 to 1"),
        (("--set", "run.seed=1", "--set", "run.seed.x=1"), "run.seed.x"),
    ],
)
def test_wrong_settings_are_said_in_one_line(arguments: tuple[str, ...], part: str) -> None:
    result = visuals("filter", "nowhere", "--class", "mug", *arguments)
    assert result.exit_code == 2 and part in result.stderr and result.stderr.count("\n") == 1


def test_null_empties_a_setting(photos: Path) -> None:
    shown = record("config", "show", "--set", "detect.cross_class_iou=null")
    assert shown["detect"]["cross_class_iou"] is None


def test_the_sweep_counts_what_filter_keeps_and_writes_nothing(photos: Path) -> None:
    (photos / "broken.jpg").write_bytes(b"words")
    asked = ("filter", "photos", "--class", "mug", "--class", "sneaker")
    swept = record(*asked, "--sweep", "--set", "classes.mug.threshold=0.3")
    assert {p.name for p in photos.parent.iterdir()} <= {"photos", "cache", ".cache"}
    assert swept["pictures"] == 4 and swept["failed"] == 1 and "broken" in swept["errors"][0]
    for threshold in (0.3, 0.5, 0.9):
        options = ("--confidence", str(threshold), "--set", "verify=null")
        kept = record(*asked, *options, "--out", f"at-{threshold}")
        place = swept["thresholds"].index(threshold)
        found = [
            {d["label"] for d in line["detections"]}
            for line in lines_of(kept["folder"]).values()
            if line["status"] == "kept"
        ]
        assert swept["any"]["passing"][place] == len(found)
        for name in ("mug", "sneaker"):
            passing = swept["classes"][name]["passing"][place]
            assert passing == sum(name in labels for labels in found)
    assert swept["classes"]["mug"]["passing_now"] == swept["classes"]["mug"]["passing"][2]
    assert sum(swept["classes"]["mug"]["histogram"]) == 4


def test_the_sweep_s_table_has_a_row_a_class(photos: Path) -> None:
    result = visuals("filter", "photos", "--class", "mug", "--class", "car", "--sweep")
    assert result.exit_code == 0, result.output
    rows = result.stdout.splitlines()
    assert rows[0].strip() == "4 pictures; passing above"
    assert [row.split()[0] for row in rows[2:5]] == ["mug", "car", "any"]
    threshold = load_settings().detect.box_threshold
    assert f"at {threshold:g}" in rows[2] and rows[2].count("|") == 2


def test_trained_models_tell_a_look_alike_and_a_class_apart(
    photos: Path, mini_is_trained: bool
) -> None:
    if not mini_is_trained:
        pytest.skip("the embedded models are not trained yet")
    Path("shop.yaml").write_text(
        "base: mini\nclasses:\n  ware: {phrases: [mug, bottle]}\n"
        "  sneaker: {reject: [sneaker, mug], phrases: [sneaker]}\n"
    )
    kept = record("filter", "photos", "--preset", "shop.yaml", "--out", "o")
    lines = lines_of(kept["folder"])
    assert {d["label"] for d in lines["12-gray-mug"]["detections"]} == {"ware"}
    assert lines["19-empty"]["reason"]["code"] == "no_detection"
    run = yaml.safe_load((Path("o") / "run.yaml").read_text())
    assert run["settings"]["classes"]["ware"]["phrases"] == ["mug", "bottle"]


def test_mask_options_reach_the_manifest(photos: Path, mini_is_trained: bool) -> None:
    everything = ("--confidence", "0", "--set", "detect.text_threshold=0")
    record("filter", "photos", "--class", "mug", *everything, "--mask-k", "1", "--out", "one")
    for line in lines_of("one").values():
        if line["status"] == "kept":
            assert len(line["detections"]) == 1 and "mask" in line["seconds"]
    record("filter", "photos", "--class", "mug", *everything, "--mask-max-ratio", "0", "--out", "z")
    reasons = [line["reason"] for line in lines_of("z").values()]
    assert "mask_ratio" in {reason["code"] for reason in reasons}
    scenes = record("filter", "photos", "--class", "mug", "--invert", "--out", "scene")
    assert scenes["kept"] >= 2 or not mini_is_trained
    for id_, line in lines_of("scene").items():
        if line["status"] != "kept":
            continue
        (scene,) = line["detections"]
        assert scene["label"] == "scene"
        mask = read_image(Path("scene") / line["files"]["mask"]).rgb[..., 0] > 127
        assert mask.sum() == scene["mask_area"]
        (found,) = finder(Path("scene"))(id_)
        assert np.array_equal(found.mask, mask)


def test_an_inverted_run_keeps_the_product_bit_for_bit(photos: Path) -> None:
    name = "12-gray-mug"
    least = ("--confidence", "0.05", "--set", "detect.text_threshold=0")
    done = record(
        "run", f"photos/{name}.jpg", "--class", "mug", "--invert", "--dilate", "4",
        "--prompt", "wooden table", "--set", "rerender.steps=3", "--out", "o", *least,
    )  # fmt: skip
    record("filter", f"photos/{name}.jpg", "--class", "mug", "--out", "f", *least)
    if not done["enhanced"]:
        pytest.skip("the untrained models mask all of the picture")
    line = lines_of("o")[name]
    source, result = (
        read_image(Path("o") / line["files"][kind]).rgb for kind in ("source", "result")
    )
    product = read_image(Path("f") / lines_of("f")[name]["files"]["mask"]).rgb[..., 0] > 127
    assert product.any() and np.array_equal(source[product], result[product])
    assert (source[~product] != result[~product]).any(1).mean() > 0.5
    assert line["metrics"]["changed_outside"] == 0


@pytest.fixture(scope="module")
def inpaint(mini: Path) -> Any:
    settings = load_settings()
    from visuals.checkpoints import load

    return build_stages_module.inpaint_pipeline(
        settings, load.load_text_to_image(settings.generate.model)
    )


def test_a_class_s_edit_and_prompt_serve_where_the_command_line_gives_none(inpaint: Any) -> None:
    image = np.random.default_rng(3).integers(0, 256, (96, 96, 3), np.uint8)
    mask = np.zeros((96, 96), bool)
    mask[30:70, 30:70] = True
    found = Detection((30.0, 30.0, 70.0, 70.0), 0.9, "mug", mask)
    plain = Shot("a", FileInput("a.png", 4), ("mug",), image=image, detections=(found,))

    def render(shot: Shot, changes: dict[str, Any], **spec: Any) -> bytes:
        base = settings_with(mug=spec) if spec else load_settings()
        values = merge(base.model_dump(mode="json"), {"rerender": {"steps": 3, **changes}})
        (done,) = build_stages_module.rerenderer(inpaint, check(values))([shot])
        assert done.result is not None, done.failure
        return done.result.tobytes()

    blue = replace(plain, edit="blue")
    assert render(plain, {}, edit="blue") == render(blue, {}) != render(plain, {})
    assert render(blue, {}, edit="red") == render(blue, {})
    own = "a mug on a shelf"
    assert render(plain, {}, prompt=own) == render(plain, {"prompt": own})


def test_a_run_without_its_files_is_not_said_to_be_done(photos: Path) -> None:
    command = ("filter", "photos", "--class", "mug", "--out", "shop")
    made = record(*command)
    assert made["kept"] == 2 and made["skipped"] == {"no_detection": 2}
    shutil.rmtree("shop/images")
    again = record("resume", "shop")
    assert (again["resumed"], again["kept"]) == (2, 2)
    assert all(Path(name).is_file() for name in again["pictures"]) and len(again["pictures"]) == 2
    Path("shop/run.yaml").unlink()
    refused = visuals("filter", "photos", "--class", "car", "--out", "shop")
    assert refused.exit_code == 2 and "pictures of another run" in refused.stderr
    assert record(*command)["resumed"] == 4
