"""The LoRAs of a run: refused, found and recommended by their headers before a model is loaded."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from helpers.command_line import visuals
from PIL import Image
from safetensors.numpy import load_file, save_file

from visuals.checkpoints.catalog.names import resolve
from visuals.checkpoints.lora.file import WrongBaseError
from visuals.configs.schema import given, load_settings
from visuals.pipeline.build.stages import check_words
from visuals.pipeline.prompts import loras

pytestmark = pytest.mark.usefixtures("loaded_models")

LAYER = "lora_unet_down_blocks_1_attentions_0_transformer_blocks_0_attn2_to_k"


def put(path: Path, width: int, **meta: str) -> Path:
    halves = {
        f"{LAYER}.lora_down.weight": np.zeros((2, width), np.float16),
        f"{LAYER}.lora_up.weight": np.zeros((8, 2), np.float16),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file(halves, path, metadata=meta)
    return path


@pytest.mark.parametrize("command", ["generate", "run"])
def test_a_lora_of_another_base_is_refused_before_anything_is_loaded(
    command: str, mini: Path, tmp_path: Path
) -> None:
    """The model's folder holds nothing that could be loaded, only what says its base."""
    put(tmp_path / "deep" / "big.safetensors", 2048)
    model = tmp_path / "v1"
    (model / "unet").mkdir(parents=True)
    (model / "model_index.json").write_text('{"_class_name": "StableDiffusionPipeline"}')
    (model / "unet" / "config.json").write_text('{"cross_attention_dim": 768}')
    (net := tmp_path / "net").mkdir()
    values = {"_class_name": "ControlNetModel", "cross_attention_dim": 768}
    (net / "config.json").write_text(json.dumps(values))
    result = visuals(
        command, "--class", "mug", "--prompt", "{class} <lora:big:1>", "--lora-dir", str(tmp_path),
        "--set", f"generate.model={model}", "--set", f"controls.canny.model={net}",
    )  # fmt: skip
    assert result.exit_code == 2
    said = result.stderr.splitlines()[-1]
    assert said == (
        f"visuals: LoRA 'big' was trained for SDXL, but generate.model {str(model)!r} is SD 1.x: "
        "name another LoRA, or a model of SDXL"
    )
    assert not Path("runs").exists()


def test_a_lora_is_held_against_the_model_of_its_stage(mini: Path, tmp_path: Path) -> None:
    """Stage 1 draws with SD 1.x, stage 3 with SDXL; neither folder holds anything to load."""
    put(tmp_path / "large.safetensors", 2048)
    put(tmp_path / "small.safetensors", 768)
    models = {}
    for stage, kind, width in (("generate", "", 768), ("rerender", "XL", 2048)):
        folder = models[stage] = tmp_path / stage
        (folder / "unet").mkdir(parents=True)
        index = {"_class_name": f"StableDiffusion{kind}Pipeline"}
        (folder / "model_index.json").write_text(json.dumps(index))
        (folder / "unet" / "config.json").write_text(json.dumps({"cross_attention_dim": width}))
    changes = {f"{stage}.model": str(folder) for stage, folder in models.items()}
    changes |= {"generate.lora_dirs": [str(tmp_path)]}
    settings = load_settings("sd15", changes)
    check_words(settings, ["a mug <lora:small:1>"], (), ["red <lora:large:1>"])
    wrong = f"'small' was trained for SD 1.x, but rerender.model {str(models['rerender'])!r}"
    both = {f"{stage}.prompt": "{class} <lora:small:1>" for stage in models}
    for own in ({"rerender.prompt": "<lora:small:1> {class}"}, both,
                {"classes.mug.edit": "<lora:small:1> red"}):  # fmt: skip
        with pytest.raises(WrongBaseError, match=re.escape(wrong)):
            check_words(load_settings("sd15", {**changes, **own}))
    with pytest.raises(WrongBaseError, match=re.escape(wrong)):
        check_words(settings, (), (), ["red <lora:small:1>"])
    with pytest.raises(WrongBaseError, match="'large' was trained for SDXL, but generate"):
        check_words(settings, ["a mug <lora:large:1>"])
    # a stage that does not run
    check_words(settings, ["a mug <lora:large:1>"], needs=("rerender",))
    check_words(settings, (), (), ["red <lora:small:1>"], needs=("generate",))
    # without a model and a prompt of its own stage 3 has those of stage 1
    alone = {**changes, "rerender.model": None, "generate.prompt": "{class} <lora:large:1>"}
    with pytest.raises(WrongBaseError, match="'large' was trained for SDXL, but generate"):
        check_words(load_settings("sd15", alone), needs=("rerender",))


def test_the_trigger_word_is_offered_where_the_prompt_lacks_it(tmp_path: Path) -> None:
    put(tmp_path / "cup.safetensors", 768, **{"modelspec.trigger_phrase": "ppzcup"})
    base = {"generate.model": "owner/none", "generate.lora_dirs": [str(tmp_path)]}
    prompts = {"{class} <lora:cup:1>": 1, "PPZcup, {class} <lora:cup:1>": 0, "{class}": 0}
    for prompt, count in prompts.items():
        settings = load_settings("sd15", {**base, "generate.prompt": prompt})
        lines = loras.missing_triggers(settings, loras.find_loras(settings))
        assert len(lines) == count
        assert all("'ppzcup' (its modelspec.trigger_phrase)" in line for line in lines)


def lent(folder: Path, **overrides: object) -> tuple[loras.Settings, list[str]]:
    """sd15 with the LoRA `x` of a folder, what its header recommends taken, and what was said."""
    changes = {
        "generate.model": "owner/none",
        "generate.lora_dirs": [str(folder)],
        "generate.prompt": "{class} <lora:x:1>",
        **{f"generate.{k}": v for k, v in overrides.items()},
    }
    said: list[str] = []
    settings = load_settings("sd15", changes)
    ready = loras.apply_lora_recommendations(
        settings, (), given("sd15", changes), tell=said.append, warn=lambda text: None
    )
    return ready, said


def test_clip_skip_and_resolution_come_from_the_header(tmp_path: Path) -> None:
    put(tmp_path / "x.safetensors", 768, ss_clip_skip="2", ss_resolution="(768, 768)")
    settings, said = lent(tmp_path)
    g = settings.generate
    assert (g.clip_skip, g.width, g.height) == (1, 768, 768)  # diffusers counts from 0
    assert len(said) == 2 and "generate.clip_skip is 1" in said[0] and "768x768" in said[1]


def test_what_the_user_set_stays(tmp_path: Path) -> None:
    put(tmp_path / "x.safetensors", 768, ss_clip_skip="2", ss_resolution="(768, 768)")
    settings, said = lent(tmp_path, width=640, clip_skip=2)
    assert (settings.generate.clip_skip, settings.generate.width) == (2, 640)
    assert said == [
        "LoRA 'x' was trained with clip skip 2; your generate.clip_skip 2 stays",
        "LoRA 'x' was trained at 768x768; your 640x512 stays",
    ]


def test_a_larger_area_keeps_the_shape_and_a_smaller_is_not_taken(tmp_path: Path) -> None:
    wide = load_settings("sd15", {"generate.width": 1024})
    for trained, size in {(1024, 1024): (1472, 704), (512, 512): (1024, 512)}.items():
        path = tmp_path / f"{trained[0]}" / "x.safetensors"
        put(path, 768, ss_resolution=str(trained))
        file = loras.lora_search.read(path)
        g = loras.with_size(wide, [file], (), lambda text: None).generate
        assert (g.width, g.height) == size


def test_sdxl_knows_no_clip_skip(tmp_path: Path) -> None:
    put(tmp_path / "x.safetensors", 2048, ss_clip_skip="2")
    assert lent(tmp_path)[0].generate.clip_skip is None


def test_a_clip_skip_that_sdxl_does_not_read_is_named(tmp_path: Path) -> None:
    """The model's folder holds what says its base alone."""
    (tmp_path / "model_index.json").write_text('{"_class_name": "StableDiffusionXLPipeline"}')
    table = tmp_path / "rows.csv"
    table.write_text("prompt,clip_skip\na mug,2\n")
    words = ["generate", "--preset", "sdxl", "--dry-run", "--set", f"generate.model={tmp_path}"]
    for row in (["--prompt", "a mug", "--set", "generate.clip_skip=2"], ["--prompt-file", table]):
        done = visuals(*words, *row)
        assert done.exit_code == 0, done.output
        assert "generate.clip_skip 2 changes nothing" in done.stderr
        assert done.stderr.count("warning") == 1
    assert "clip_skip" not in visuals(*words, "--prompt", "a mug").stderr


def test_given_is_what_the_user_wrote(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("base: sd15\ngenerate: {width: 640}\n")
    (tmp_path / "b.yaml").write_text(f"base: {tmp_path / 'a.yaml'}\nrun: {{seed: 1}}\n")
    names = given(str(tmp_path / "b.yaml"), {"generate.height": 512, "run.device": None})
    assert names == {"generate.width", "generate.height", "run.seed"}
    assert given("sd15") == set()


def test_keys_that_are_not_read_are_counted_by_info_and_by_a_run(
    mini: Path, tmp_path: Path
) -> None:
    file = load_file(Path(resolve("mini/loras")) / "ppzmini.safetensors")
    file["lora_unet_mid_block_resnets_0_norm1.w_norm"] = np.zeros(8, np.float16)
    save_file(file, tmp_path / "odd.safetensors")
    record = json.loads(visuals("lora", "info", str(tmp_path / "odd.safetensors"), "--json").stdout)
    assert record["unread_keys"] == {"norm layers": 1}
    done = visuals(
        "generate", "--class", "mug", "--count", "1", "--prompt", "{class} <lora:odd:1>",
        "--lora-dir", str(tmp_path), "--set", "generate.steps=1",
    )  # fmt: skip
    assert done.exit_code == 0
    assert "LoRA 'odd': keys that are not read: 1 of norm layers" in done.stderr


def test_info_and_list_say_what_is_there(mini: Path, tmp_path: Path) -> None:
    whole = put(tmp_path / "sub" / "x.safetensors", 768, sshs_model_hash="ab" * 32)
    (tmp_path / "torn.safetensors").write_bytes(b"")
    result = visuals("lora", "list", "--lora-dir", str(tmp_path), "--json")
    assert result.exit_code == 0 and "torn.safetensors" in result.stderr
    assert [r["name"] for r in json.loads(result.stdout)] == ["x", "ppzmini"]
    by_name = visuals("lora", "info", "x", "--lora-dir", str(tmp_path), "--json")
    by_path = visuals("lora", "info", str(whole), "--json")
    assert by_name.exit_code == by_path.exit_code == 0
    record = json.loads(by_name.stdout)
    assert {**record, "file": ""} == {**json.loads(by_path.stdout), "file": ""}
    assert record["base"] == "SD 1.x" and record["sshs_model_hash"] == "ab" * 32
    digest = hashlib.sha256(whole.read_bytes()).hexdigest()
    assert (record["sha256"], record["auto_v2"]) == (digest, digest[:10])
    wrong = visuals("lora", "info", "ppzmni")
    assert wrong.exit_code == 2 and "did you mean 'ppzmini'?" in wrong.stderr


@pytest.mark.slow
def test_fused_pictures_are_those_of_attached_loras(mini: Path, tmp_path: Path) -> None:
    """Through the command line; a copy under another name weighs beside the preset's own."""
    shutil.copy(Path(resolve("mini/loras")) / "ppzmini.safetensors", tmp_path / "twin.safetensors")
    pictures = []
    for fuse in ("false", "true"):
        out = tmp_path / fuse
        result = visuals(
            "generate", "--class", "mug", "--count", "2", "--out", str(out), "--seed", "3",
            "--lora-dir", str(tmp_path), "--set", "generate.steps=3",
            "--set", f"generate.fuse_loras={fuse}",
            "--prompt", "ppzmini, {class} <lora:ppzmini:0.6> <lora:twin:0.3>",
        )  # fmt: skip
        assert result.exit_code == 0, result.output
        checkpoints = (out / "run.yaml").read_text()
        assert "lora:ppzmini: sha256:" in checkpoints and "lora:twin: sha256:" in checkpoints
        files = sorted((out / "images").glob("*.png"))
        pictures.append([np.asarray(Image.open(f).convert("RGB"), int) for f in files])
    assert len(pictures[0]) == 2
    for a, b in zip(*pictures, strict=True):
        assert np.abs(a - b).max() <= 2
