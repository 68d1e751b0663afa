"""`visuals replay`: pictures made again from their run or from themselves, equal to the pixel."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from helpers.command_line import EVERYTHING, json_of, lines_of, visuals
from helpers.stand_ins import STAGES, prompted
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from visuals.configs.schema import load_settings
from visuals.pipeline.images import exif_block, infotext, provenance
from visuals.pipeline.images.read import read_texts
from visuals.pipeline.images.write import Format
from visuals.pipeline.jobs.replays import replay_infotext
from visuals.pipeline.jobs.replays.replay import compare
from visuals.pipeline.jobs.replays.replay_plan import ReplayError, Wanted, of_picture, of_run
from visuals.pipeline.runner.run import run_shots
from visuals.pipeline.runs.folder import RunFolder
from visuals.stages.shot import Prompted, Shot

pytestmark = pytest.mark.usefixtures("loaded_models")

# Every box counts, so that stage 3 has work whatever the models are worth.
OPEN = [*EVERYTHING, "--set", "run.retries=0", "--mask-k", "1"]
FEW = ["--set", "generate.steps=2", "--set", "rerender.steps=2"]
PHOTOS = Path(__file__).resolve().parents[3] / "samples" / "photos"


def pixels(path: Path) -> bytes:
    return Image.open(path).convert("RGB").tobytes()


@pytest.fixture(scope="module")
def ten(mini: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of ten pictures of two classes in batches of 4, by a prompt file with choices."""
    folder = tmp_path_factory.mktemp("ten")
    rows: list[dict[str, Any]] = [
        {"class": "mug", "prompt": "{red|blue} {class}", "negative_prompt": "old", "count": 5},
        {"class": "car", "edit": "{red|white} paint", "count": 3, "lora": "ppzmini:0.5"},
        {"class": "car", "seed": 7, "sampler": "Euler a", "strength": 0.5, "count": 2},
    ]  # fmt: skip
    (folder / "p.jsonl").write_text("\n".join(map(json.dumps, rows)))
    json_of(
        "run", "--prompts", str(folder / "p.jsonl"), "--out", str(folder / "run"), *OPEN, *FEW,
        "--set", "run.batch_size=4",
    )  # fmt: skip
    return folder / "run"


def test_ten_pictures_of_a_run_have_equal_pixels(ten: Path, tmp_path: Path) -> None:
    record = json_of("replay", str(ten), "--out", str(tmp_path / "again"))
    assert record["equal"] == len(record["shots"]) == 10
    then, now = lines_of(ten), lines_of(tmp_path / "again")
    assert sum(line["status"] == "enhanced" for line in now.values()) >= 8
    for id_, line in then.items():
        for kind in ("source", "mask", "blend", "result"):
            if line["files"][kind]:
                old, new = ten / line["files"][kind], tmp_path / "again" / line["files"][kind]
                assert pixels(old) == pixels(new), (id_, kind)
        for key in ("prompt", "negative_prompt", "prompts", "seed", "settings", "edit", "batch"):
            assert now[id_][key] == line[key]


def test_one_shot_one_picture_and_a_replay_of_the_replay(ten: Path, tmp_path: Path) -> None:
    """Each alone, though it was made in a batch; the picture far from its run."""
    enhanced = [id_ for id_, line in lines_of(ten).items() if line["status"] == "enhanced"]
    shot, other = enhanced[1], enhanced[-1]
    out = [str(tmp_path / name) for name in "abcd"]
    assert json_of("replay", str(ten), shot, "--out", out[0])["equal"] == 1
    assert list(lines_of(tmp_path / "a")) == [shot]
    alone = tmp_path / "alone.png"
    shutil.copy(ten / "images" / f"{other}.png", alone)
    assert json_of("replay", str(alone), "--out", out[1])["equal"] == 1
    assert json_of("replay", out[1], "--out", out[2])["equal"] == 1
    again = json_of("replay", str(alone), "--out", out[1])
    assert again["equal"] == 1  # made before: nothing is loaded, and it is compared once more


def test_other_settings_and_seeds_make_other_pictures(ten: Path, tmp_path: Path) -> None:
    shot = next(iter(lines_of(ten)))
    for name, change in {"a": ["--seed", "5"], "b": ["--set", "generate.steps=1"]}.items():
        record = json_of("replay", str(ten), shot, "--out", str(tmp_path / name), *change)
        assert record["equal"] == 0 and record["shots"][0]["changed"] > 0
    assert lines_of(tmp_path / "a")[shot]["seed"] == 5
    said = visuals(
        "replay", str(ten), shot, "--set", "generate.stepz=1", "--out", str(tmp_path / "c")
    )
    assert said.exit_code == 2 and "did you mean 'steps'?" in said.stderr


def test_a_photo_by_its_run_and_by_its_picture(mini: Path, tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    for name in ("04-teal-mug.jpg", "12-gray-mug.jpg"):
        shutil.copy(PHOTOS / name, photos)
    run, out = tmp_path / "run", tmp_path / "out"
    json_of(
        "run", str(photos), "--class", "mug", "--edit", "{red|blue} paint <lora:ppzmini:0.5>",
        "--out", str(run), "--format", "webp", *OPEN, *FEW,
    )  # fmt: skip
    record = json_of("replay", str(run), "--out", str(out))
    assert record["equal"] == 2
    then, now = (yaml.safe_load((place / "run.yaml").read_text()) for place in (run, out))
    assert now["checkpoints"]["lora:ppzmini"] == then["checkpoints"]["lora:ppzmini"]
    alone = tmp_path / "alone.webp"
    shutil.copy(run / "images" / "04-teal-mug.webp", alone)
    said = visuals("replay", str(alone), "--out", str(tmp_path / "no"))
    assert said.exit_code == 2 and "--photos" in said.stderr and "04-teal-mug.jpg" in said.stderr
    assert not (tmp_path / "no").exists()
    (photos / "04-teal-mug.jpg").rename(photos / "moved.jpg")
    record = json_of("replay", str(alone), "--photos", str(photos), "--out", str(tmp_path / "yes"))
    assert record["equal"] == 1
    held = alone.read_bytes()
    assert str(tmp_path).encode() not in held and str(tmp_path) not in json.dumps(
        provenance.read(alone)["batch"]
    )

    (photos / "12-gray-mug.jpg").write_bytes((PHOTOS / "06-orange-car.jpg").read_bytes())
    result = visuals("replay", str(run), "12-gray-mug", "--out", str(tmp_path / "other"))
    assert result.exit_code == 1 and "rounds otherwise" not in result.stderr
    line = lines_of(tmp_path / "other")["12-gray-mug"]
    assert "another photo than then" in line["error"]["message"]
    assert f"was enhanced, is failed: {line['error']['message']}\n" in result.stdout
    photos.rename(tmp_path / "elsewhere")
    result = visuals("replay", str(run), "12-gray-mug", "--out", str(tmp_path / "gone"))
    assert "12-gray-mug.jpg" in result.stdout
    assert "0 of 1 are equal; 1 came out otherwise: the reasons are above" in result.stderr


@pytest.mark.parametrize("kind", ["png", "jpeg", "webp"])
@pytest.mark.parametrize("bits", [8, 16])
def test_each_format_holds_the_record(tmp_path: Path, kind: Any, bits: int) -> None:
    shot = Shot(
        "a", Prompted('a <red> & "blue" 鞋', "", 1), ("mug",), settings={"generate.steps": 2}
    )
    said = provenance.record(shot, {"settings": {"a": 1}, "request": {"needs": ["generate"]}})
    pixels = np.zeros((8, 8, 3), f"uint{bits}")
    out = Format(kind)
    inner = "" if out.exact else said
    data = out.encode(pixels, text="x", lineage=said, xmp=provenance.xmp(shot, inner))
    path = tmp_path / f"a{out.ending}"
    path.write_bytes(data)
    record = provenance.read(path)
    assert record["batch"] == [provenance.source(shot)] and record["settings"] == {"a": 1}
    assert "/trainedAlgorithmicMedia<" in read_texts(path)["xmp"]


def test_masks_of_ones_own_are_taken_from_the_run(mini: Path, tmp_path: Path) -> None:
    photo = PHOTOS / "04-teal-mug.jpg"
    with Image.open(photo) as image:
        mask = np.zeros((image.height, image.width), np.uint8)
    mask[40:90, 30:100] = 255
    Image.fromarray(mask).save(tmp_path / "mask.png")
    run = tmp_path / "run"
    json_of(
        "enhance", str(photo), "--class", "mug", "--mask", str(tmp_path / "mask.png"),
        "--out", str(run), *FEW,
    )  # fmt: skip
    (tmp_path / "mask.png").unlink()
    assert json_of("replay", str(run), "--out", str(tmp_path / "again"))["equal"] == 1
    shutil.copy(run / "images" / "04-teal-mug.png", tmp_path / "alone.png")
    said = visuals("replay", str(tmp_path / "alone.png"), "--out", str(tmp_path / "o"))
    assert said.exit_code == 2 and "its masks were given" in said.stderr


def test_a_picture_with_a1111s_parameters_only(ten: Path, tmp_path: Path) -> None:
    """One of ours, saved again without its record, and one that A1111 wrote."""
    json_of(
        "generate", "--class", "mug", "--count", "1", "--seed", "3", "--out", str(tmp_path / "run"),
        "--negative-prompt", "old", "--set", "generate.steps=3", "--set", "generate.width=96",
        "--set", "generate.clip_skip=1", "--set", "generate.sampler=Euler a",
    )  # fmt: skip
    ours = tmp_path / "run" / "images" / "mug-0001.png"
    info = PngInfo()
    info.add_text("parameters", Image.open(ours).info["parameters"])
    Image.open(ours).save(tmp_path / "bare.png", pnginfo=info)
    assert json_of("replay", str(tmp_path / "bare.png"), "--out", str(tmp_path / "a"))["equal"] == 1

    sampler = "Sampler: DPM++ 2M, Schedule type: Karras"
    theirs = f"red mug\nSteps: 2, {sampler}, Seed: 1, Size: 64x96, Model: x"
    info = PngInfo()
    info.add_text("parameters", theirs)
    Image.new("RGB", (64, 96)).save(tmp_path / "theirs.png", pnginfo=info)
    result = visuals("replay", str(tmp_path / "theirs.png"), "--out", str(tmp_path / "b"))
    assert result.exit_code == 1 and "not by x: pixels may differ" in result.stderr
    assert Image.open(tmp_path / "b" / "images" / "theirs.png").size == (64, 96)

    for name in ("jpg", "webp"):
        exif = exif_block.Exif(">")
        exif.comment = f"{theirs}, RNG: CPU"
        Image.new("RGB", (64, 96)).save(tmp_path / f"theirs.{name}", exif=exif.block())
        out = tmp_path / name
        result = visuals("replay", str(tmp_path / f"theirs.{name}"), "--out", str(out))
        assert result.exit_code == 1 and "not honoured: RNG: CPU: pixels" in result.stderr
        assert Image.open(out / "images" / "theirs.png").size == (64, 96)

    info = PngInfo()
    info.add_text("parameters", "red mug\nSteps: 2, Seed: 1, Denoising strength: 0.5, Mask blur: 4")
    Image.new("RGB", (64, 96)).save(tmp_path / "painted.png", pnginfo=info)
    result = visuals("replay", str(tmp_path / "painted.png"), "--out", str(tmp_path / "c"))
    assert result.exit_code == 2 and "painted over" in result.stderr


@pytest.mark.parametrize(
    ("text", "settings"),
    [
        ("a\nSteps: 5, Seed: 1", {"generate.steps": 5}),
        (
            'a\nSteps: 5, Sampler: Euler a, CFG scale: 6.5, Seed: 1, Lora hashes: "x: 1, y: 2", '
            "Clip skip: 2, Version: v1",
            {
                "generate.steps": 5,
                "generate.sampler": "Euler a",
                "generate.cfg_scale": 6.5,
                "generate.clip_skip": 1,
            },
        ),
        (
            "a\nSteps: 5, Seed: 1, Denoising strength: 0.5, Hires upscale: 1.5, Hires steps: 3",
            {
                "generate.steps": 5,
                "generate.hires": {"scale": 1.5, "strength": 0.5, "steps": 3},
            },
        ),
    ],
)
def test_infotexts_become_settings_that_are_valid(text: str, settings: dict[str, Any]) -> None:
    found = infotext.parse_infotext(text)
    assert found.settings == settings and not found.inpainted
    load_settings("mini", found.settings)


@pytest.mark.parametrize(
    ("program", "entries"),
    [
        ("ComfyUI", {"prompt": '{"3": {}}', "workflow": "{}"}),
        ("InvokeAI", {"invokeai_metadata": "{}"}),
        ("Fooocus", {"parameters": '{"prompt": "a mug"}', "fooocus_scheme": "fooocus"}),
    ],
)
def test_the_program_of_a_record_that_is_not_read_is_named(
    program: str, entries: dict[str, str], tmp_path: Path
) -> None:
    info = PngInfo()
    for name, text in entries.items():
        info.add_text(name, text)
    Image.new("RGB", (8, 8)).save(tmp_path / "a.png", pnginfo=info)
    with pytest.raises(ReplayError, match=f"made by {program}, whose record is not read"):
        replay_infotext.of_picture(tmp_path / "a.png", "mini")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a\nb, c: d\nNegative prompt: e\nf\nSteps: 1, Seed: 2", ("a\nb, c: d", "e\nf")),
        ("Negative prompt: e\nSteps: 1, Seed: 2", ("", "e")),
        ("Steps: 1, Seed: 2", ("", "")),
    ],
)
def test_the_words_of_an_infotext(text: str, words: tuple[str, str]) -> None:
    found = infotext.parse_infotext(text)
    assert (found.prompt, found.negative_prompt) == words and found.seed == 2
    for wrong in ("", "a mug", "a\nSteps: many, Seed: 1"):
        with pytest.raises(infotext.InfotextError, match="expected A1111's line"):
            infotext.parse_infotext(wrong)


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (["{ten}", "nobody"], "has no shot 'nobody'"),
        (["{here}"], "expected a folder that `visuals run`"),
        (["{photo}"], "holds no record of how it was made"),
        (["{photo}", "mug"], "expected one picture, or RUN SHOT"),
        (["{here}/none.png"], "no such file"),
    ],
)
def test_what_cannot_be_replayed_is_said(
    ten: Path, tmp_path: Path, arguments: list[str], part: str
) -> None:
    names = {"ten": ten, "here": tmp_path, "photo": PHOTOS / "04-teal-mug.jpg"}
    result = visuals(
        "replay", *(a.format(**names) for a in arguments), "--out", str(tmp_path / "o")
    )
    assert result.exit_code == 2 and part in result.stderr, result.output
    assert len(result.stderr.splitlines()) == 1 and not (tmp_path / "o").exists()


def test_a_lora_that_changed_since_is_said(ten: Path, tmp_path: Path) -> None:
    copy = tmp_path / "run"
    shutil.copytree(ten, copy)
    text = (copy / "run.yaml").read_text()
    (copy / "run.yaml").write_text(text.replace("mini/sam: sha256:", "mini/sam: sha256:0"))
    result = visuals("replay", str(copy), next(iter(lines_of(ten))), "--out", str(tmp_path / "o"))
    assert "mini/sam has other weights than then: pixels may differ" in result.stderr


def test_every_picture_says_that_it_was_made(ten: Path, mini: Path, tmp_path: Path) -> None:
    """IPTC's digital source type, and the whole lineage."""
    line = next(line for line in lines_of(ten).values() if line["status"] == "enhanced")
    path = ten / line["files"]["result"]
    said = read_texts(path)
    assert "digitalsourcetype/trainedAlgorithmicMedia<" in said["xmp"]
    assert "Steps: 2" in said["parameters"]
    record = provenance.read(path)
    assert record["settings"]["detect"]["model"] == "mini/grounding-dino"
    assert record["checkpoints"] and record["detections"][0]["mask_sha256"]
    assert [one["id"] for one in record["batch"]] == [id_ for id_, _ in line["batch"]]
    photo = str(PHOTOS / "04-teal-mug.jpg")
    for command, kind in (("filter", ""), ("run", "compositeWithTrainedAlgorithmicMedia")):
        out = tmp_path / command
        few = FEW if command == "run" else []
        json_of(command, photo, "--class", "mug", "--out", str(out), *few, *OPEN[:4])
        said = read_texts(out / "images" / "04-teal-mug.png")
        assert (f"digitalsourcetype/{kind}<" in said["xmp"]) if kind else not said["xmp"]


def test_a_shot_that_is_not_in_its_own_batch_is_said(tmp_path: Path) -> None:
    """By its line, and by the record in its picture."""
    run = RunFolder(tmp_path / "run", request={"needs": ["generate"]}, settings={})
    for shot in run_shots([prompted("a", 2), prompted("b", 4)], STAGES):
        run.record(shot)
    path = run.path / "manifest.jsonl"
    path.write_text(path.read_text().replace('["a", ', '["c", ', 1))
    with pytest.raises(ReplayError, match="'a' names a batch without it"):
        of_run(run.path)
    assert list(of_run(run.path, ["b"]).wanted) == ["b"]
    path.write_text(path.read_text().replace('"prompt": "a mug"', '"prompt": null'))
    with pytest.raises(ReplayError, match="names neither a photo nor a prompt"):
        of_run(run.path, ["b"])
    record = provenance.read(run.path / "images" / "b.png")
    for one in record["batch"]:
        one["id"] = "c"
    picture = tmp_path / "b.png"
    picture.write_bytes(Format().encode(np.zeros((8, 8, 3), np.uint8), lineage=json.dumps(record)))
    with pytest.raises(ReplayError, match="its record names a batch without it: expected 'b'"):
        of_picture(picture)


@pytest.mark.parametrize(
    ("was", "seed", "says"),
    [("enhanced", 2, "enhanced: no picture to compare"), ("failed", 13, "failed, as then"),
     ("kept", 13, "was kept, is failed: WHY"), ("", 13, "was a picture, is failed: WHY")],
)  # fmt: skip
def test_a_picture_that_is_gone_is_not_equal(
    tmp_path: Path, was: str, seed: int, says: str
) -> None:
    run = RunFolder(tmp_path / "run", request={}, settings={})
    (record,) = map(run.record, run_shots([prompted("a", seed)], STAGES))
    compared = compare(Wanted("a", was, tmp_path / "gone.png"), record, run.path)
    says = says.replace("WHY", record.error.message if record.error else "")
    assert str(compared) == says and compared.equal == ("as then" in says)
