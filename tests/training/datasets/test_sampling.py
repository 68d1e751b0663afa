"""Order, captions, buckets and losses of a training: arithmetic, without models."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch

from visuals.configs.schema import SettingsError
from visuals.configs.train import check, read_train_settings
from visuals.training.datasets import sampling
from visuals.training.datasets.training_set import make_buckets
from visuals.training.models import loss

BASE = {"model": "mini/sd", "train_data_dir": "photos", "output_dir": "loras/look"}


def test_every_picture_as_often_as_it_is_repeated_each_batch_from_one_bucket() -> None:
    sizes = [(64, 64), (64, 64), (96, 64), (64, 64), (96, 64)]
    repeats = [1, 3, 2, 1, 4]
    got = sampling.batches(sizes, repeats, size=2, seed=1, epoch=0)
    assert Counter(k for batch in got for k in batch) == dict(enumerate(repeats))
    assert all(len({sizes[k] for k in batch}) == 1 for batch in got)
    assert sorted(map(len, got)) == [1, 2, 2, 2, 2, 2]
    assert got == sampling.batches(sizes, repeats, size=2, seed=1, epoch=0)
    others = [sampling.batches(sizes, repeats, size=2, seed=1, epoch=e) for e in range(1, 6)]
    assert any(other != got for other in others)


def test_captions_keep_their_first_tags() -> None:
    text = "ppz, a, b, c, d, e"
    captions = {
        sampling.training_caption(
            text, sampling.chance(0, 0, 0, k), shuffle_caption=True, keep_tokens=1
        )
        for k in range(20)
    }
    assert len(captions) > 10
    assert all(
        t.startswith("ppz, ") and sorted(t.split(", ")) == list("abcde") + ["ppz"] for t in captions
    )
    rng = np.random.default_rng(0)
    dropped = [sampling.training_caption(text, rng, caption_dropout_rate=0.3) for _ in range(1000)]
    assert set(dropped) == {"", text} and 250 < dropped.count("") < 350
    assert sampling.training_caption("as, it  is", rng) == "as, it  is"


def test_empty_tags_are_shuffled_as_in_kohyas_scripts() -> None:
    """Each part between commas is a token there, an empty one too, and counts for keep_tokens."""
    rng = np.random.default_rng(0)
    captions = {
        sampling.training_caption("a,,b,", rng, shuffle_caption=True, keep_tokens=2)
        for _ in range(40)
    }
    assert captions == {"a, , b, ", "a, , , b"}
    assert sampling.training_caption("a,,b", rng) == "a,,b"


def scheduler(kind: str, zero: bool = False) -> object:
    from diffusers import DDPMScheduler

    return DDPMScheduler(
        beta_schedule="scaled_linear", prediction_type=kind, rescale_betas_zero_snr=zero
    )


@pytest.mark.parametrize("kind", ["epsilon", "v_prediction"])
def test_min_snr_by_hand(kind: str) -> None:
    made = scheduler(kind)
    times = torch.tensor([1, 400, 990])
    alphas = made.alphas_cumprod[times].double()  # type: ignore[attr-defined]
    snr = alphas / (1 - alphas)
    assert snr[0] > 5 > snr[2]
    least = torch.minimum(snr, torch.tensor(5.0))
    expected = least / snr if kind == "epsilon" else least / (snr + 1)
    torch.testing.assert_close(
        loss.snr_weights(made, times, 5.0).double(), expected, rtol=1e-4, atol=1e-6
    )
    assert loss.snr_weights(made, times, None).tolist() == [1, 1, 1]


def test_min_snr_at_zero_terminal_snr_is_a_number() -> None:
    made = scheduler("epsilon", zero=True)
    assert torch.isfinite(loss.snr_weights(made, torch.tensor([999]), 5.0)).all()


def test_the_target_is_noise_or_velocity() -> None:
    latents, noise, times = torch.randn(2, 4, 3, 3), torch.randn(2, 4, 3, 3), torch.tensor([9, 700])
    assert loss.target(scheduler("epsilon"), latents, noise, times) is noise
    made = scheduler("v_prediction")
    a = made.alphas_cumprod[times].view(2, 1, 1, 1)  # type: ignore[attr-defined]
    torch.testing.assert_close(
        loss.target(made, latents, noise, times), a**0.5 * noise - (1 - a) ** 0.5 * latents
    )


def test_a_masked_loss_sees_only_the_mask() -> None:
    said = torch.zeros(1, 4, 4, 4, requires_grad=True)
    wanted = torch.ones(1, 4, 4, 4)
    mask = torch.zeros(1, 1, 4, 4)
    mask[..., :2] = 1
    value = loss.squared_errors(said, wanted, mask)
    assert value.tolist() == [0.5]
    value.sum().backward()
    assert said.grad is not None
    assert (said.grad[..., 2:] == 0).all() and (said.grad[..., :2] != 0).all()


def test_noise_of_a_picture_is_its_own() -> None:
    def generators(*seeds: int) -> list[torch.Generator]:
        return [torch.Generator().manual_seed(s) for s in seeds]

    both, alone = (loss.draw_noise(generators(*s), (4, 3, 3), 0.1) for s in ((1, 2), (2,)))
    times, time = (loss.draw_steps(generators(*s), 1000) for s in ((1, 2), (2,)))
    assert torch.equal(both[1:], alone) and times[1:] == time


def test_time_steps_keep_to_their_range() -> None:
    """kohya's min_timestep and max_timestep: the first is drawn, the last is not."""
    draws = [torch.Generator().manual_seed(seed) for seed in range(200)]
    times = loss.draw_steps(draws, 604, 600)
    assert set(times.tolist()) == {600, 601, 602, 603}
    free = [torch.Generator().manual_seed(seed) for seed in range(200)]
    times = loss.draw_steps(free, 1000)
    assert times.min() < 100 and times.max() >= 900


def test_names_of_both_houses_and_numbers_of_yaml() -> None:
    got = check(
        {
            **BASE,
            "network_dim": 8,
            "network_alpha": 4,
            "unet_lr": "2e-4",
            "max_train_epochs": 3,
            "min_snr_gamma": 5,
            "use_8bit_adam": True,
            "resolution": "96,64",
            "lora_layers": "to_q,to_k",
        }
    )
    assert (got.rank, got.alpha, got.learning_rate, got.num_train_epochs) == (8, 4.0, 2e-4, 3)
    assert (got.snr_gamma, got.optimizer_type, got.resolution) == (5, "AdamW8bit", (96, 64))
    assert got.name == "look" and not got.trains_text_encoder
    assert check({**BASE, "text_encoder_lr": "4e-5"}).trains_text_encoder


def test_all_problems_at_once() -> None:
    with pytest.raises(SettingsError) as error:
        check({**BASE, "learning_rat": 1, "rank": 0, "lr_scheduler": "cosin", "repeats": 0})
    assert len(error.value.problems) == 4
    assert "unknown setting 'learning_rat'; did you mean 'learning_rate'?" in str(error.value)
    with pytest.raises(SettingsError, match="network_dim is another name of rank: expected one"):
        check({**BASE, "rank": 4, "network_dim": 4})
    with pytest.raises(SettingsError, match="model is missing"):
        check({"train_data_dir": "a", "output_dir": "b"})
    for wrong, told in (
        ({"cache_latents": True, "color_jitter": True}, "cache_latents with color_jitter"),
        ({"text_encoder_lr": 1e-4, "train_text_encoder": False}, "text_encoder_lr with"),
        ({"min_timestep": 600, "max_timestep": 600}, "expected the lower one first"),
        ({"min_timestep": 999, "max_timestep": 5}, "min_timestep 999 with max_timestep 5"),
        ({"lr_warmup_steps": 1.5}, "lr_warmup_steps 1.5: expected whole steps"),
        ({"cache_text_encoder_outputs": True, "shuffle_caption": True}, "cache_text_encoder"),
    ):
        with pytest.raises(SettingsError, match=told):
            check({**BASE, **wrong})


def test_no_file_and_no_yaml() -> None:
    with pytest.raises(SettingsError, match=r"no file 'nothing.yaml': expected the YAML"):
        read_train_settings("nothing.yaml")
    Path("bad.yaml").write_text("rank: [1\n")
    with pytest.raises(SettingsError, match="not YAML"):
        read_train_settings("bad.yaml")


def test_folders_may_be_below_the_home_folder(own_home: Path) -> None:
    found = check({**BASE, "train_data_dir": "~/photos", "output_dir": "out~"})
    assert (found.train_data_dir, found.output_dir) == (f"{own_home}/photos", "out~")


def test_limits_of_buckets_follow_the_resolution() -> None:
    method = make_buckets(check({**BASE, "resolution": 768}))
    assert (method.min_bucket_reso, method.max_bucket_reso) == (320, 1280)
    for side in (64, 128, 512, 1024):
        made = make_buckets(check({**BASE, "resolution": side}))
        assert (side, side) in made.sizes
        assert made.min_bucket_reso <= side <= made.max_bucket_reso
