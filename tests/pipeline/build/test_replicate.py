"""Stage 1 on Replicate, stages 2 and 3 here: from the command line to the run folder, over real
sockets to a stand-in that answers with the sample photos."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from click.testing import CliRunner
from helpers.command_line import EVERYTHING, json_of, lines_of
from helpers.replicate_stand_in import MODEL, TOKEN, VERSION, Ending, Replicate
from PIL import Image

from visuals.pipeline.cli import main
from visuals.pipeline.images.read import read_image

PHOTOS = Path(__file__).parents[3] / "samples" / "photos"
ELSEWHERE = ("--set", "generate.backend=replicate", "--set", f"generate.version={MODEL}")
FAST = (*ELSEWHERE, "--set", "rerender.steps=3", "--set", "generate.steps=25")


def plan(inputs: dict[str, Any]) -> Ending:
    """A photo of the class that the prompt names; unlucky seeds are flagged."""
    if "naked" in inputs["prompt"] and inputs["seed"] % 2:
        return Ending("failed", error="NSFW content detected. Try running it again.")
    if "broken" in inputs["prompt"]:
        return Ending("failed", error="CUDA out of memory")
    name = "06-orange-car.jpg" if "car" in inputs["prompt"] else "04-teal-mug.jpg"
    return Ending(data=[(PHOTOS / name).read_bytes()])


@pytest.fixture
def host(mini: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Replicate]:
    with Replicate(plan) as running:
        monkeypatch.setenv("REPLICATE_API_TOKEN", TOKEN)
        monkeypatch.setenv("REPLICATE_API_BASE_URL", running.url)
        yield running


def refused(*arguments: str) -> str:
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 2, f"{result.output}\n{result.exception!r}"
    assert "Traceback" not in result.stderr
    return str(result.stderr.splitlines()[-1])


def test_hosted_pictures_go_through_stages_2_and_3(host: Replicate, tmp_path: Path) -> None:
    out = tmp_path / "o"
    record = json_of(
        "run", "--class", "mug", "--class", "car", "--count", "1", "--mask-k", "1",
        "--out", str(out),
        *FAST, *EVERYTHING,
    )  # fmt: skip
    assert record["made"] == record["enhanced"] == 2
    lines = lines_of(out)
    for id_, name in (("mug-0001", "04-teal-mug.jpg"), ("car-0001", "06-orange-car.jpg")):
        line = lines[id_]
        photo = np.array(Image.open(PHOTOS / name).convert("RGB"))
        result, blend = (read_image(out / line["files"][k]).rgb for k in ("result", "blend"))
        assert np.array_equal(read_image(out / line["files"]["source"]).rgb, photo)
        outside = blend[..., 0] == 0
        assert np.array_equal(result[outside], photo[outside])
        assert line["metrics"]["changed_outside"] == 0 and (result != photo).any()
        asked = host.predictions[line["prediction"]["id"]]["input"]
        assert line["prediction"]["version"] == VERSION
        words = "stylish, studio photography, product photography, ultra realistic"
        assert asked == {
            "prompt": f"ppzmini, {line['classes'][0]}, {words}", "negative_prompt": "",
            "width": 224, "height": 224, "num_outputs": 1, "scheduler": "DPMSolverMultistep",
            "num_inference_steps": 25, "guidance_scale": 4.0, "seed": line["seed"],
        }  # fmt: skip
    kept = yaml.safe_load((out / "run.yaml").read_text())
    assert kept["settings"]["generate"]["version"] == MODEL
    for path in out.rglob("*"):
        assert path.is_dir() or TOKEN.encode() not in path.read_bytes()


def test_settings_reach_the_model(host: Replicate, tmp_path: Path) -> None:
    changes = (
        "refiner.model=mini/sd", "refiner.high_noise_frac=0.7", "generate.sampler=Euler a",
        "generate.replicate.weights=https://x/y.tar", "generate.replicate.lora_scale=0.4",
        "generate.replicate.inputs.apply_watermark=false",
        "generate.replicate.input_names.num_outputs=null",
    )  # fmt: skip
    out = tmp_path / "g"
    more = [word for change in changes for word in ("--set", change)]
    result = CliRunner().invoke(
        main, ["generate", "--class", "mug", "--count", "1", "--out", str(out), *FAST, *more]
    )
    assert result.exit_code == 0, result.output
    assert result.stderr.count("the host has not got LoRA ppzmini") == 1
    (asked,) = host.sent()
    assert "num_outputs" not in asked
    assert {k: asked[k] for k in sorted(asked) if k not in ("prompt", "seed")} == {
        "apply_watermark": False, "guidance_scale": 4.0, "height": 224, "high_noise_frac": 0.7,
        "lora_scale": 0.4, "negative_prompt": "", "num_inference_steps": 25,
        "refine": "expert_ensemble_refiner", "replicate_weights": "https://x/y.tar",
        "scheduler": "K_EULER_ANCESTRAL", "width": 224,
    }  # fmt: skip
    with Image.open(out / "images" / "mug-0001.png") as image:
        assert f'Model: "{MODEL}"' in image.text["parameters"]  # type: ignore[attr-defined]


def test_a_bad_prediction_fails_alone_and_is_made_on_demand(
    host: Replicate, tmp_path: Path
) -> None:
    prompts = tmp_path / "prompts.txt"
    prompts.write_text("a mug\na broken mug\n")
    host.faults = [
        ("POST", "/v1/predictions", 429, {"Retry-After": "0"}),
        ("GET", "/v1/predictions/", 502, {}),
    ]
    given = ["--class", "mug", "--count", "2", "--prompt-file", str(prompts)]
    out = tmp_path / "o"
    record = json_of("generate", *given, "--out", str(out), *FAST)
    assert (record["kept"], record["failed"]) == (1, 1)
    line = lines_of(out)["mug-0002"]
    assert line["error"]["message"].endswith("failed: CUDA out of memory")
    assert line["prediction"]["id"] in host.predictions and line["error"]["where"] == "generate"
    host.plan = lambda inputs: plan({**inputs, "prompt": "a mug"})
    again = json_of("resume", str(out), "--retry-failed")
    assert (again["resumed"], again["kept"]) == (1, 1) and len(host.predictions) == 3


def test_a_flagged_picture_is_tried_with_other_seeds_then_skipped(
    host: Replicate, tmp_path: Path
) -> None:
    out, plain = tmp_path / "o", ("--class", "mug", "--prompt", "a naked {class}")
    json_of("generate", *plain, "--count", "4", "--out", str(out), *FAST)
    lines, tried = lines_of(out), host.sent()
    assert len({asked["seed"] for asked in tried}) == len(tried) > 4  # 3 attempts at most
    for line in lines.values():
        assert line["status"] == ("skipped" if line["seed"] % 2 else "kept")
        if line["status"] == "skipped":
            assert line["reason"]["code"] == "flagged" and "NSFW" in line["reason"]["message"]


def test_without_a_key_it_is_one_sentence(
    host: Replicate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = ("run", "--class", "mug", "--out", str(tmp_path / "o"), *FAST)
    monkeypatch.setenv("REPLICATE_API_TOKEN", "r8_wrong")
    assert "does not know the token (Invalid token)" in refused(*run)
    monkeypatch.setenv("REPLICATE_API_TOKEN", "r8 a\nb")
    assert "REPLICATE_API_TOKEN holds what no token does" in refused(*run)
    monkeypatch.delenv("REPLICATE_API_TOKEN")
    assert "no REPLICATE_API_TOKEN in the environment" in refused(*run)
    other = [*run[:-2], "--set", "rerender.steps=1", "--out", str(tmp_path / "p")]
    assert "no REPLICATE_API_TOKEN" in refused(*other) and not (tmp_path / "p").exists()
    assert not host.predictions


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (("generate.version=null",), "without a model: expected generate.version"),
        (("generate.version=sdxl",), "generate.version 'sdxl': expected owner/name:version"),
        (("generate.sampler=UniPC",), "generate.sampler 'UniPC': the host's models have DDIM"),
        (("generate.hires={}",), "generate.hires with backend replicate"),
        (("generate.init_image=x.png",), "generate.init_image with backend replicate"),
        (("generate.replicate.lora_scale=2",), "generate.replicate.lora_scale 2"),
    ],
)
def test_settings_that_cannot_be(
    host: Replicate, tmp_path: Path, changes: tuple[str, ...], said: str
) -> None:
    more = [word for change in changes for word in ("--set", change)]
    out = tmp_path / "o"
    assert said in refused("generate", "--class", "mug", "--out", str(out), *FAST, *more)
    assert not out.exists() and not host.requests


@pytest.mark.parametrize(
    "url", ["http://api.replicate.com", "ftp://x", "api.replicate.com", "http://[x"]
)
def test_the_token_goes_nowhere_in_clear(
    host: Replicate, monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    monkeypatch.setenv("REPLICATE_API_BASE_URL", url)
    assert "REPLICATE_API_BASE_URL" in refused("generate", "--class", "mug", *FAST)


def test_photos_need_no_host(
    host: Replicate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("REPLICATE_API_TOKEN")
    photo = str(PHOTOS / "04-teal-mug.jpg")
    record = json_of("run", photo, "--class", "mug", "--out", str(tmp_path / "o"), *FAST)
    assert record["total"] == 1 and not host.requests


def test_a_stopped_run_cancels_then_goes_on(host: Replicate, tmp_path: Path) -> None:
    """Ctrl-C twice, in a process of its own: what runs at the host is canceled, not paid for."""
    host.plan = lambda inputs: Ending("")
    out = tmp_path / "o"
    process = subprocess.Popen(
        [sys.executable, "-m", "visuals", "generate", "--class", "mug", "--count", "3",
         "--out", str(out), *FAST],
        stderr=subprocess.PIPE, text=True, env=dict(os.environ),
    )  # fmt: skip
    host.wait_for(lambda: host.running == 3)
    process.send_signal(signal.SIGINT)
    host.wait_for(lambda: host.times("GET", "/v1/predictions/") > 9)
    assert not host.canceled  # the first one waits for the pictures in hand
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=120)
    assert process.returncode == 130, said
    assert sorted(host.canceled) == sorted(host.predictions) and host.running == 0
    assert "Traceback" not in said and f"visuals resume {out} goes on: 0 pictures" in said
    host.plan = plan
    record = json_of("resume", str(out))
    assert record["kept"] == 3 and len(host.predictions) == 6
