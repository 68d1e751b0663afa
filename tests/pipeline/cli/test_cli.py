"""The command line: what bad input says, and that help comes at once. No model is loaded here."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest
from helpers.command_line import visuals

import visuals as visuals_package
from visuals.configs.schema import load_settings

pytestmark = pytest.mark.usefixtures("loaded_models", "words")


@pytest.mark.alone
def test_help_comes_within_300_ms() -> None:
    def seconds() -> float:
        start = time.perf_counter()
        done = subprocess.run(
            [sys.executable, "-m", "visuals", "--help"], capture_output=True, text=True, check=True
        )
        assert "generate" in done.stdout and "bench" in done.stdout
        return time.perf_counter() - start

    assert min(seconds() for _ in range(5)) <= 0.3


@pytest.mark.parametrize("command", [["--help"], ["run", "--help"], ["enhance", "--help"]])
def test_help_imports_nothing_heavy(command: list[str]) -> None:
    code = (
        "import sys\n"
        "from visuals.pipeline.cli import main\n"
        f"main({command!r}, standalone_mode=False)\n"
        "print(sorted({'torch', 'pydantic', 'numpy', 'yaml', 'cv2', 'PIL'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_a_folder_where_every_file_fails_is_reported_and_ends_with_1(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for name in ("a.png", "b.jpg"):
        (tmp_path / "in" / name).write_bytes(b"words")
    result = visuals("run", str(tmp_path / "in"), "--class", "mug", "--out", str(tmp_path / "o"))
    assert result.exit_code == 1, result.output
    assert result.stderr.count("visuals: failed:") == 2 and "Traceback" not in result.output
    lines = (tmp_path / "o" / "manifest.jsonl").read_text().splitlines()
    assert [json.loads(line)["status"] for line in lines] == ["failed", "failed"]
    assert "not a picture" in (tmp_path / "o" / "report.html").read_text()


def test_unknown_words_are_warned_of() -> None:
    result = visuals("run", "nowhere", "--class", "mug", "--edit", "crocodile leather")
    assert "warning" in result.stderr and "crocodile" in result.stderr
    assert "leather" not in result.stderr.split("crocodile")[1].split("\n")[0]


def test_config_show_is_a_preset_file_itself(tmp_path: Path) -> None:
    result = visuals("config", "show", "--set", "run.seed=7")
    assert result.exit_code == 0
    (tmp_path / "mine.yaml").write_text(result.stdout)
    assert load_settings(str(tmp_path / "mine.yaml")) == load_settings("mini", {"run.seed": 7})
    assert json.loads(visuals("config", "show", "--json").stdout)["run"]["seed"] == -1


def test_version_in_a_process_of_its_own() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "visuals", "--version"], capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith("visuals, version ")


ESCAPES = "\x1b[31mX\x1b]0;T\x07\x9b2J\u202e"


def test_texts_of_files_do_not_steer_the_terminal(tmp_path: Path) -> None:
    import numpy as np
    from PIL import Image
    from safetensors.numpy import save_file

    from visuals.pipeline.cli.output import console

    layer = "lora_unet_mid_block_attentions_0_proj_in"
    halves = {f"{layer}.lora_{half}.weight": np.ones((2, 2), "f4") for half in ("down", "up")}
    names = ("ss_output_name", "modelspec.trigger_phrase", "ss_base_model_version")
    (tmp_path / "loras").mkdir()
    save_file(halves, tmp_path / "loras/a.safetensors", dict.fromkeys(names, ESCAPES))
    photos = tmp_path / "6_\x1b[2Jcup"
    photos.mkdir()
    Image.new("RGB", (64, 64)).save(photos / "\x1b[31ma.png")
    (photos / "\x1b[31ma.txt").write_text(ESCAPES)
    for command in (
        ("lora", "info", str(tmp_path / "loras/a.safetensors")),
        ("lora", "list", "--lora-dir", str(tmp_path / "loras")),
        ("filter", str(photos), "--class", "mug", "--dry-run"),
        ("dataset", "check", str(tmp_path)),
        ("generate", "--class", f"mug{ESCAPES}"),
        ("run", ESCAPES, "--class", "mug"),
        (ESCAPES,),
    ):
        result = visuals(*command)
        shown = result.stdout + result.stderr
        assert "[31m" in shown or "[2J" in shown, (command, shown)
        assert not set(shown) & set("\x1b\x07\x9b\u202e"), command
    terminal = console(width=80, record=True)
    terminal.print(f"a{ESCAPES}", style="red")
    assert "a\\u001b[31mX" in terminal.export_text()


def test_all_commands_print_through_one_place() -> None:
    folder = Path(visuals_package.__file__).parent / "pipeline" / "cli"
    texts = {path.name: path.read_text() for path in folder.glob("*.py")}
    assert [name for name in texts if "click.echo(" in texts[name]] == ["output.py"]
    direct = {name for name in texts if " Console(" in texts[name]}
    assert direct <= {"bench.py"}, "output.console escapes what files hold"
