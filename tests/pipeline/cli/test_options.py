"""Options that several commands share."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import numpy as np
import pytest
from helpers.command_line import checked, commands, visuals
from PIL import Image

from visuals.pipeline.images.read import read_image
from visuals.pipeline.jobs.request import RunRequest
from visuals.pipeline.jobs.resolve import request_settings
from visuals.pipeline.runs import run_yaml

HELP = ["Show", "this", "message", "and", "exit."]


@pytest.mark.usefixtures("random_seeds")
def test_a_run_without_a_seed_takes_a_random_one_and_repeats_it_when_resumed(
    mini: Path, own_home: Path
) -> None:
    def seed_of(folder: str, *words: str) -> int:
        command = ("generate", "-c", "mug", "-n", "1", "--steps", "1", "-o", folder, *words)
        result = checked(*command)
        (note,) = re.findall(r"note: seed (\d+), random", result.stderr) or [""]
        recorded = run_yaml.read(Path(folder))["settings"]["run"]["seed"]
        assert note in ("", str(recorded))
        return int(recorded)

    first, second = seed_of("a"), seed_of("b", "--seed", "-1")
    assert first != second and "-1" not in (first, second)
    assert seed_of("a") == first  # the same run is resumed
    assert seed_of("c", "--seed", str(first)) == first
    assert seed_of("d", "--set", "generate.first_seed=8") == 8
    same = [read_image(Path(name) / "images" / "mug-0001.png").rgb for name in ("a", "c")]
    assert np.array_equal(*same)
    assert (
        "-2: expected 0 to 4294967295, or -1"
        in visuals("run", "--class", "mug", "--seed", "-2").stderr
    )


def test_an_unknown_option_names_the_setting_that_it_could_mean() -> None:
    def refused(*words: str) -> str:
        result = visuals("run", "--class", "mug", *words)
        assert result.exit_code == 2
        return result.stderr

    assert "no option --padding: expected --set rerender.padding=VALUE" in refused("--padding", "3")
    assert "Did you mean '--batch-size'" in refused("--batch-siz", "3")


def test_options_set_their_settings_and_print_themselves() -> None:
    words = ["--steps", "9", "--rerender-steps", "5", "--cfg-scale", "3", "--width", "64"]
    words += ["--sampler", "Euler a", "--controlnet-weight", "0.5"]
    request = RunRequest(
        classes=["mug"], steps=9, rerender_steps=5, cfg_scale=3, width=64, sampler="Euler a",
        controlnet_weight=0.5,
    )  # fmt: skip
    settings = request_settings(request)
    assert (settings.generate.steps, settings.rerender.steps) == (9, 5)
    assert settings.generate.cfg_scale == settings.rerender.cfg_scale == 3
    scales = [settings.controls[name].conditioning_scale for name in settings.rerender.controls]
    assert scales and set(scales) == {0.5}
    command = shlex.split(str(request))
    assert all(word in command for word in words)
    assert visuals(*command[1:], "--dry-run").exit_code == 0


def test_every_option_has_a_topic_in_the_help() -> None:
    for name in ("run", "generate", "filter", "enhance"):
        text = visuals(name, "--help").stdout
        others = text.split("Other options:")[1].partition("Examples:")[0]
        assert others.split() == ["-h,", "--help", *HELP]


def test_the_help_of_every_command_ends_with_two_examples_that_work(mini: Path) -> None:
    """Each is parsed, and those that draw or search photos are planned."""
    for name in ("photos", "pictures", "loras", "embeddings"):
        Path(name).mkdir()
    Image.new("RGB", (64, 64)).save("photos/mug.png")
    for words, command in commands():
        _, _, lines = checked(*words, "--help").stdout.partition("Examples:\n")
        examples = [shlex.split(line) for line in lines.splitlines()]
        assert len(examples) == 2, words
        for _, *given in examples:
            assert given[: len(words)] == list(words)
            command.make_context(words[-1], given[len(words) :])
            if "photos" in given and words in {("run",), ("filter",), ("enhance",)}:
                checked(*given, "--dry-run")
