"""Options that several commands share."""

from __future__ import annotations

import re
import shlex

import click
import pytest
from click.testing import CliRunner
from helpers.command_line import visuals

from visuals.pipeline.cli.options import apply
from visuals.pipeline.jobs.request import RunRequest, request_settings

HELP = ["Show", "this", "message", "and", "exit."]


@pytest.mark.parametrize(("given", "said"), [("-1", r"visuals: seed (\d+)\n(\d+)\n"), ("7", "7\n")])
def test_seed_minus_one_is_random_and_printed(given: str, said: str) -> None:
    @click.command()
    @apply("seed")
    def command(seed: int) -> None:
        click.echo(seed)

    found = re.fullmatch(said, CliRunner().invoke(command, ["--seed", given]).output)
    assert found is not None and len(set(found.groups())) <= 1


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
        assert text.split("Other options:")[1].split() == ["-h,", "--help", *HELP]
