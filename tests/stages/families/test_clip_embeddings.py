"""Embeddings against diffusers' own, for the embedded Stable Diffusion and a tiny SDXL."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from visuals.checkpoints import load
from visuals.checkpoints.catalog import names as catalog
from visuals.checkpoints.lora.search import in_folders
from visuals.configs.errors import UsageError
from visuals.configs.generate import GenerateOptions, HiresSettings
from visuals.configs.schema import load_settings
from visuals.pipeline.build.stages import build_stages
from visuals.stages.diffusion.samplers import scheduler
from visuals.stages.families import clip_embeddings as embeddings
from visuals.stages.generate import Generator
from visuals.stages.prompts import token_chunks
from visuals.stages.shot import Detection, FileInput, Prompted, Shot

PROMPT, NEGATIVE = "ppzmini, red mug, studio photography", "blue car"
LONG = ", ".join(["red mug on a wooden table"] * 20)


@pytest.fixture(scope="module")
def sd(mini: Path) -> Any:
    return load.load_text_to_image("mini/sd")


@pytest.fixture(scope="module")
def sdxl(sd: Any) -> Any:
    """SDXL's classes with two text encoders of random weights; the second pads with its own."""
    import copy

    from diffusers import StableDiffusionXLPipeline, UNet2DConditionModel
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

    torch.manual_seed(0)
    first, second = sd.tokenizer, copy.deepcopy(sd.tokenizer)
    second.pad_token = "mug</w>"
    assert second.pad_token_id not in (first.pad_token_id, first.unk_token_id)
    small = {
        "vocab_size": len(first),
        "bos_token_id": first.bos_token_id,
        "eos_token_id": first.eos_token_id,
        "intermediate_size": 32,
        "num_attention_heads": 2,
        "num_hidden_layers": 4,
    }
    narrow = CLIPTextConfig(**small, hidden_size=16, pad_token_id=first.pad_token_id)
    wide = CLIPTextConfig(
        **small, hidden_size=24, projection_dim=24, pad_token_id=second.pad_token_id
    )
    unet = UNet2DConditionModel(
        sample_size=8,
        block_out_channels=(16, 32),
        layers_per_block=1,
        norm_num_groups=8,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        cross_attention_dim=40,
        attention_head_dim=(2, 4),
        use_linear_projection=True,
        addition_embed_type="text_time",
        addition_time_embed_dim=8,
        projection_class_embeddings_input_dim=24 + 6 * 8,
    )
    pipe = StableDiffusionXLPipeline(
        vae=sd.vae,
        text_encoder=CLIPTextModel(narrow).eval(),
        text_encoder_2=CLIPTextModelWithProjection(wide).eval(),
        tokenizer=first,
        tokenizer_2=second,
        unet=unet.eval(),
        scheduler=sd.scheduler,
        add_watermarker=False,
    )
    pipe.set_progress_bar_config(disable=True)
    return pipe


@pytest.fixture(params=["sd", "sdxl"])
def pipe(request: pytest.FixtureRequest) -> Any:
    return request.getfixturevalue(request.param)


def encode(pipe: Any, prompt: str, negative: str = "", **options: Any) -> dict[str, torch.Tensor]:
    with torch.inference_mode():
        return embeddings.encode(pipe, [prompt], [negative], **options)


def of_diffusers(pipe: Any, prompt: str, negative: str | None, **options: Any) -> list[Any]:
    with torch.inference_mode():
        return list(
            pipe.encode_prompt(
                prompt,
                device=torch.device("cpu"),
                num_images_per_prompt=1,
                do_classifier_free_guidance=True,
                negative_prompt=negative,
                **options,
            )
        )


@pytest.mark.parametrize("prompt", [PROMPT, "", "mug", "RED  mug,\tÉté"])
@pytest.mark.parametrize("negative", [NEGATIVE, None])
def test_a_plain_prompt_is_bit_for_bit_diffusers_own(
    pipe: Any, prompt: str, negative: str | None
) -> None:
    mine = list(encode(pipe, prompt, negative or "").values())
    theirs = of_diffusers(pipe, prompt, negative)
    assert len(mine) == len(theirs) == (4 if hasattr(pipe, "text_encoder_2") else 2)
    for a, b in zip(mine, theirs, strict=True):
        assert a.shape == b.shape and a.dtype == b.dtype and torch.equal(a, b)


def test_a_clip_skip_beyond_the_layers_is_refused(sd: Any) -> None:
    with pytest.raises(UsageError, match=r"clip_skip 12: expected at most \d; set"):
        encode(sd, PROMPT, clip_skip=12)


def test_clip_skip_leaves_sdxl_alone(sdxl: Any) -> None:
    for clip_skip in (1, 12):
        plain, skipped = (encode(sdxl, PROMPT, clip_skip=skip) for skip in (None, clip_skip))
        assert all(torch.equal(plain[name], skipped[name]) for name in plain)


def test_clip_skip_is_that_of_diffusers_and_of_both_prompts(sd: Any) -> None:
    mine, swapped = (
        encode(sd, *texts, clip_skip=1) for texts in ((PROMPT, NEGATIVE), (NEGATIVE, PROMPT))
    )
    assert torch.equal(mine["negative_prompt_embeds"], swapped["prompt_embeds"])
    # SD 1.5's own breaks with transformers 5 (no text_model): by hand, the last norm on layer n-1.
    ids = torch.tensor(
        [token_chunks.padded(token_chunks.split(PROMPT, sd.tokenizer)[0], sd.tokenizer)]
    )
    with torch.inference_mode():
        layers = sd.text_encoder(ids, output_hidden_states=True).hidden_states
        norm = getattr(sd.text_encoder, "text_model", sd.text_encoder).final_layer_norm
        expected = norm(layers[-2])
    assert torch.equal(encode(sd, PROMPT, clip_skip=1)["prompt_embeds"], expected)
    assert not torch.equal(encode(sd, PROMPT)["prompt_embeds"], expected)


def test_a_long_prompt_is_not_cut_and_its_first_chunk_is_the_short_one_s(pipe: Any) -> None:
    whole = token_chunks.split(LONG, pipe.tokenizer)
    assert len(whole) >= 2
    ids = [token for chunk in whole for token in chunk.ids]
    assert ids == pipe.tokenizer(LONG, add_special_tokens=False).input_ids
    first = pipe.tokenizer.decode(list(whole[0].ids))
    short, long = encode(pipe, first), encode(pipe, LONG)
    length = pipe.tokenizer.model_max_length
    assert long["prompt_embeds"].shape[1] == length * len(whole)
    assert torch.equal(long["prompt_embeds"][:, :length], short["prompt_embeds"])
    assert not torch.equal(long["prompt_embeds"][:, length : 2 * length], short["prompt_embeds"])
    if hasattr(pipe, "text_encoder_2"):
        assert torch.equal(long["pooled_prompt_embeds"], short["pooled_prompt_embeds"])


def test_the_shorter_of_prompt_and_negative_is_padded_with_empty_chunks(pipe: Any) -> None:
    mixed = encode(pipe, "mug", LONG)
    length = pipe.tokenizer.model_max_length
    assert mixed["prompt_embeds"].shape == mixed["negative_prompt_embeds"].shape
    empty, short = encode(pipe, "")["prompt_embeds"], encode(pipe, "mug")["prompt_embeds"]
    assert torch.equal(mixed["prompt_embeds"][:, :length], short)
    assert torch.equal(mixed["prompt_embeds"][:, length : 2 * length], empty)
    broken = encode(pipe, "mug BREAK")["prompt_embeds"]
    assert torch.equal(broken, short)
    three = encode(pipe, "mug BREAK BREAK red")["prompt_embeds"]
    red = encode(pipe, "red")["prompt_embeds"]
    assert torch.equal(three, torch.cat([short, empty, red], dim=1))


def test_weights_multiply_their_tokens_and_the_mean_comes_back(sd: Any) -> None:
    plain = encode(sd, "red mug")["prompt_embeds"][0]
    heavy = encode(sd, "(red:1.5) [mug]")["prompt_embeds"][0]
    weights = torch.ones(len(plain), 1)
    weights[1], weights[2] = 1.5, 1 / 1.1
    expected = plain * weights
    expected = expected * (plain.mean() / expected.mean())
    assert torch.allclose(heavy, expected, atol=1e-6)
    assert heavy.mean().item() == pytest.approx(plain.mean().item(), rel=1e-4)
    assert not torch.allclose(heavy, plain, atol=1e-3)
    assert torch.equal(encode(sd, "(red:1) mug")["prompt_embeds"][0], plain)


def test_sdxl_weighs_each_encoder_by_itself_and_its_pooled_not_at_all(sdxl: Any) -> None:
    plain, heavy = encode(sdxl, "red mug"), encode(sdxl, "red (mug:1.4)")
    assert torch.equal(plain["pooled_prompt_embeds"], heavy["pooled_prompt_embeds"])
    weights = torch.ones(plain["prompt_embeds"].shape[1], 1)
    weights[2] = 1.4
    for part in (slice(0, 16), slice(16, 40)):
        before = plain["prompt_embeds"][0][:, part]
        expected = before * weights * (before.mean() / (before * weights).mean())
        assert torch.allclose(heavy["prompt_embeds"][0][:, part], expected, rtol=1e-3, atol=1e-5)


def test_a_prompt_is_encoded_once_and_does_not_depend_on_its_neighbours(sd: Any) -> None:
    seen: list[int] = []
    hook = sd.text_encoder.register_forward_pre_hook(lambda _, args: seen.append(len(args[0])))
    try:
        with torch.inference_mode():
            both = embeddings.encode(sd, ["mug", "red car", "mug"], ["", "", ""])
    finally:
        hook.remove()
    assert seen == [1, 1, 1]
    assert torch.equal(both["prompt_embeds"][0], encode(sd, "mug")["prompt_embeds"][0])
    assert torch.equal(both["prompt_embeds"][1], encode(sd, "red car")["prompt_embeds"][0])
    assert torch.equal(both["prompt_embeds"][0], both["prompt_embeds"][2])


def test_a_full_chunk_ends_behind_a_comma_that_is_near(sd: Any) -> None:
    tokenizer = sd.tokenizer
    (comma,) = tokenizer(",", add_special_tokens=False).input_ids
    size = token_chunks.room(tokenizer)
    mug = len(tokenizer("mug", add_special_tokens=False).input_ids)
    assert (size, mug) == (75, 1)

    def cut(before: int, after: int) -> list[int]:
        text = f"{'mug ' * before}, {'mug ' * after}"
        return [len(chunk.ids) for chunk in token_chunks.split(text, tokenizer)]

    assert cut(60, 14) == [75]
    assert cut(60, 15) == [61, 15]
    assert cut(54, 21) == [75, 1], "21 tokens back is too far"
    assert cut(55, 20) == [56, 20]
    assert cut(75, 3) == [75, 4], "a comma that has no room begins the next chunk"
    late = token_chunks.split(f"{'mug ' * 75}, mug", tokenizer)
    assert late[1].ids[0] == comma


def test_pictures_of_plain_prompts_are_those_of_the_pipeline_itself(sd: Any) -> None:
    source = Prompted("red mug, studio photography", "blue", 5)
    shot = Shot(id="a", source=source, classes=("mug",))
    (mine,) = Generator(sd, GenerateOptions(steps=3, width=64, height=64, sampler="DPM++ 2M"))(
        [shot]
    )
    sd.scheduler = scheduler("DPM++ 2M", sd.scheduler.config)
    with torch.inference_mode():
        theirs = sd(
            prompt=[source.prompt],
            negative_prompt=[source.negative_prompt],
            generator=[torch.Generator("cpu").manual_seed(5)],
            num_inference_steps=3,
            guidance_scale=7.0,
            width=64,
            height=64,
            output_type="np",
        ).images
    assert mine.image is not None, mine.failure
    assert np.array_equal(mine.image, np.rint(theirs[0] * 255).astype(np.uint8))


def test_weights_length_and_clip_skip_change_the_picture_and_not_their_neighbours(sd: Any) -> None:
    def draw(*prompts: str, **options: Any) -> list[np.ndarray]:
        shots = [
            Shot(id=str(k), source=Prompted(p, "", 5), classes=("mug",))
            for k, p in enumerate(prompts)
        ]
        find_lora = in_folders([catalog.resolve("mini/loras")])
        drawing = GenerateOptions(steps=2, width=64, height=64, **options)
        done = Generator(sd, drawing, find_lora=find_lora)(shots)
        assert all(s.image is not None for s in done), [s.failure for s in done]
        return [s.image for s in done if s.image is not None]

    plain, heavy, long, again = draw("red mug", "red (mug:1.6)", LONG, "red mug")
    (alone,), (skipped,) = draw("red mug"), draw("red mug", clip_skip=1)
    assert np.abs(plain.astype(int) - alone).max() <= 2
    assert np.array_equal(plain, again)
    for other in (heavy, long, skipped):
        assert np.abs(plain.astype(int) - other).max() > 2


@contextmanager
def conditions(unet: Any) -> Iterator[list[tuple[torch.Tensor, torch.Tensor | None]]]:
    """The prompts' part of what a UNet is called with, hidden states and pooled, in order."""
    seen: list[tuple[torch.Tensor, torch.Tensor | None]] = []

    def note(module: Any, args: Any, given: dict[str, Any]) -> None:
        pooled = (given.get("added_cond_kwargs") or {}).get("text_embeds")
        half = len(given["encoder_hidden_states"]) // 2
        seen.append(
            (given["encoder_hidden_states"][half:], None if pooled is None else pooled[half:])
        )

    handle = unet.register_forward_pre_hook(note, with_kwargs=True)
    yield seen
    handle.remove()


@pytest.mark.parametrize(
    ("prompt", "changes", "expected"),
    [
        ("[red:blue:2] mug", {}, ["red mug"] * 3 + ["blue mug"]),
        ("[red:blue:0.25] mug", {}, ["red mug"] * 2 + ["blue mug"] * 2),
        ("[red|blue] mug", {}, ["red mug", "red mug", "blue mug", "red mug"]),
        ("mug [(on wood:1.2):0.5]", {}, ["mug "] * 3 + ["mug (on wood:1.2)"]),
        ("[red:blue:2] mug", {"sampler": "Heun"}, ["red mug"] * 3 + ["blue mug"] * 4),
        (
            "[red:blue:1.5] mug",
            {"hires": HiresSettings(scale=1.5, strength=0.5, steps=4)},
            ["red mug"] * 7 + ["blue mug"],
        ),
    ],
)
def test_each_step_is_drawn_by_its_text(
    pipe: Any, prompt: str, changes: dict[str, Any], expected: list[str]
) -> None:
    options = GenerateOptions(steps=4, sampler="Euler", width=64, height=64, cfg_scale=2.0)
    generator = Generator(pipe, options.model_copy(update=changes))
    with conditions(pipe.unet) as seen:
        (done,) = generator([Shot("a", Prompted(prompt, "", 1), ())])
    assert done.image is not None and len(seen) == len(expected)
    for (hidden, pooled), text in zip(seen, expected, strict=True):
        wanted = encode(pipe, text)
        assert torch.equal(hidden, wanted["prompt_embeds"]), text
        if pooled is not None:
            assert torch.equal(pooled, wanted["pooled_prompt_embeds"])


def test_prompts_that_change_are_drawn_as_alone(sd: Any) -> None:
    options = GenerateOptions(steps=4, sampler="Euler", width=64, height=64, batch_size=4)
    prompts = ["[red:blue:2] mug", "mug", "[red:blue:2] mug", "[|blue] mug"]
    shots = [Shot(f"{k}", Prompted(text, "", k), ()) for k, text in enumerate(prompts)]
    together = Generator(sd, options)(shots)
    for shot, one in zip(together, shots, strict=True):
        (alone,) = Generator(sd, options)([one])
        assert shot.image is not None and alone.image is not None
        assert np.abs(shot.image.astype(int) - alone.image).max() <= 1


def test_an_instance_is_re_rendered_by_the_text_of_each_step(sd: Any) -> None:
    changes = {"steps": 4, "strength": 1.0, "sampler": "Euler", "prompt": "[red:blue:1] mug"}
    settings = load_settings("mini", {f"rerender.{name}": value for name, value in changes.items()})
    stage = build_stages(settings, ("rerender",)).rerender
    assert stage is not None
    mask = np.zeros((96, 96), bool)
    mask[20:60, 30:70] = True
    found = (Detection((30.0, 20.0, 70.0, 60.0), 0.9, "mug", mask),)
    image = np.random.default_rng(0).integers(0, 256, (96, 96, 3), np.uint8)
    shot = Shot("a", FileInput("a.png", seed=1), ("mug",), image=image, detections=found)
    parts = [part for parts in stage.modules().values() for part in parts]
    unet = next(part for part in parts if type(part).__name__ == "UNet2DConditionModel")
    with conditions(unet) as seen:
        stage([shot])
    expected = ["red mug"] * 2 + ["blue mug"] * 2
    for (hidden, _), text in zip(seen, expected, strict=True):
        assert torch.equal(hidden, encode(sd, text)["prompt_embeds"]), text
