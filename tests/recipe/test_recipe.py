"""The recipe's own parts: the loop that resumes, the detector's losses, the tokenizers' ids."""

from __future__ import annotations

import contextlib
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

pytest.importorskip("numba")

from visuals.checkpoints.recipe.diffusion import denoiser, vae
from visuals.checkpoints.recipe.recognition import detector_loss, detector_model
from visuals.checkpoints.recipe.training import train_loop


def _train(workdir: Path, steps: int, total: int) -> torch.Tensor:
    torch.manual_seed(0)
    net = nn.Linear(3, 1)

    def loss_fn(step: int, rng: np.random.Generator) -> tuple[torch.Tensor, dict[str, float]]:
        if step == steps:
            raise KeyboardInterrupt
        x = torch.from_numpy(rng.normal(size=(8, 3))).float()
        return (net(x + 0.1 * torch.randn(8, 3)) - x.sum(1, keepdim=True)).square().mean(), {}

    budget = train_loop.Budget(steps=total, lr=0.05, warmup=2, ema=0.9)
    with contextlib.suppress(KeyboardInterrupt):
        train_loop.train(
            "t",
            workdir=workdir,
            modules={"net": net},
            loss_fn=loss_fn,
            budget=budget,
            seed=3,
            save_every_s=0,
        )
    return torch.cat([p.detach().flatten() for p in net.parameters()])


def test_stopped_and_resumed_equals_never_stopped(tmp_path: Path) -> None:
    whole = _train(tmp_path / "whole", -1, 20)
    for stop in (5, 6, 13, -1):
        parts = _train(tmp_path / "parts", stop, 20)
    assert torch.equal(whole, parts)


def test_a_loss_that_is_no_number_stops_the_training(tmp_path: Path) -> None:
    net = nn.Linear(1, 1)
    with pytest.raises(FloatingPointError, match="lower the rate"):
        train_loop.train(
            "nan",
            workdir=tmp_path,
            modules={"net": net},
            loss_fn=lambda step, rng: (net.weight.sum() * float("nan"), {}),
            budget=train_loop.Budget(steps=3, lr=0.1),
            seed=0,
        )


def test_detector_tokenizer_has_the_ids_that_transformers_takes_for_granted() -> None:
    tok = detector_model.tokenizer()
    ids = tok("sneaker . red mug ?").input_ids
    assert ids[0] == 101 and ids[-1] == 102 and ids[2] == 1012 and ids[-2] == 1029
    assert all(i >= detector_model.FIRST_WORD for i in (ids[1], ids[3], ids[4]))
    assert tok("zebra").input_ids[1] == 100


def test_a_location_answers_for_the_smallest_box_that_holds_it() -> None:
    points = torch.tensor([[0.5, 0.5], [0.1, 0.1], [0.9, 0.5]])
    boxes = torch.tensor([[0.5, 0.5, 0.9, 0.9], [0.5, 0.5, 0.2, 0.2]])
    assert detector_loss.assign(points, boxes, 1.0).tolist() == [1, 0, 0]
    assert detector_loss.assign(points, boxes, 0.6).tolist() == [1, -1, -1]


def test_focal_loss_is_nothing_for_sure_and_right_answers() -> None:
    sure = torch.tensor([[20.0, -20.0]])
    assert detector_loss.focal(sure, torch.tensor([[1.0, 0.0]])) < 1e-6
    assert detector_loss.focal(sure, torch.tensor([[0.0, 1.0]])) > 5


def test_a_detector_gets_more_queries_of_those_it_learned() -> None:
    tok = detector_model.tokenizer()
    model = detector_model.build(len(tok)).eval()
    learned = model.model.query_position_embeddings.weight.detach().clone()
    detector_model.more_queries(model, 60)
    more = model.model.query_position_embeddings.weight
    assert torch.equal(more[:24], learned) and torch.equal(more[48:], learned[:12])
    detector_model.more_queries(model, 30)  # no fewer
    ids = tok(["mug ."], return_tensors="pt").input_ids
    with torch.no_grad():
        out = model(torch.zeros(1, 3, 128, 128), ids, attention_mask=torch.ones_like(ids))
    assert out.pred_boxes.shape == (1, 60, 4)


def test_clip_tokenizer_reads_its_own_words_back() -> None:
    tok = denoiser.tokenizer(["a red sneaker on a shelf", "ppzmini, blue mug"] * 9, 640)
    assert tok.decode(tok("red sneaker").input_ids, skip_special_tokens=True).strip() == (
        "red sneaker"
    )
    assert denoiser.tokens(tok, ["red " * 100]).shape == (1, 77)


def test_whitened_latents_decode_to_the_same_pictures() -> None:
    torch.manual_seed(0)
    model = vae.build((16, 16, 16, 16)).eval()
    images = np.random.default_rng(0).integers(0, 256, (4, 32, 32, 3), np.uint8)
    before = vae.psnr(model, images)
    vae.whiten(model, images)
    z = vae.encode(model, images).float()
    assert vae.psnr(model, images) == pytest.approx(before, abs=1e-3)
    assert z.mean((0, 2, 3)).abs().max() < 0.01 and (z.std((0, 2, 3)) - 1).abs().max() < 0.01


@pytest.mark.usefixtures("renderer")
@pytest.mark.slow
def test_the_whole_recipe_runs_resumes_and_makes_a_set_that_the_program_loads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from click.testing import CliRunner

    from visuals.checkpoints import annotators, load
    from visuals.checkpoints.recipe.__main__ import main

    args = ["--plan", "smoke", "--workdir", str(tmp_path), "--out", str(tmp_path / "mini")]
    done = CliRunner().invoke(main, [*args, "--device", "cpu"], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    again = CliRunner().invoke(main, [*args, "--only", "unet"], catch_exceptions=False)
    assert "unet: resumed at step 3" in again.output
    monkeypatch.setenv("VISUALS_MINI", str(tmp_path / "mini"))
    pipe = load.load_text_to_image("mini/sd")
    image = pipe("mug", num_inference_steps=2, output_type="np").images[0]
    assert image.shape == (128, 128, 3)
    load.load_controlnet_inpaint("mini/sd", ["mini/controlnet-canny", "mini/controlnet-depth"])
    annotators.load_depth("mini/depth")
    load.load_detector("mini/grounding-dino"), load.load_segmenter("mini/sam")
    assert (tmp_path / "mini" / "loras" / "ppzmini.safetensors").stat().st_size > 10_000
    configs = (tmp_path / "mini").rglob("config.json")
    assert not any(str(tmp_path) in file.read_text() for file in configs)


def test_an_unknown_step_is_named() -> None:
    from click.testing import CliRunner

    from visuals.checkpoints.recipe.__main__ import main

    out = CliRunner().invoke(main, ["--only", "unett"])
    assert out.exit_code == 2 and "unknown step 'unett'" in out.output
