"""The command line: what bad input says, and that help comes at once. No model is loaded here."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from helpers.command_line import visuals

import visuals as visuals_package
from visuals.configs.schema import load_settings
from visuals.pipeline.images.write import encode_png

pytestmark = pytest.mark.usefixtures("loaded_models")


@pytest.fixture(autouse=True)
def words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of embedded models that holds their words and no weights but a LoRA's."""
    import numpy as np
    from safetensors.numpy import save_file

    from visuals.samples.vocabulary import words

    folder = tmp_path / "mini"
    for name in ("sd", "grounding-dino", "sam", "classifier", "controlnet-canny", "loras"):
        (folder / name).mkdir(parents=True)
    layer = "lora_unet_mid_block_attentions_0_proj_in"
    halves = {f"{layer}.lora_{half}.weight": np.ones((2, 2)) for half in ("down", "up")}
    save_file(halves, folder / "loras" / "ppzmini.safetensors")
    (folder / "words.json").write_text(json.dumps(words()))
    monkeypatch.setenv("VISUALS_MINI", str(folder))
    return folder


def refused(*arguments: str, code: int = 2) -> str:
    """The one line that a refusal says."""
    result = visuals(*arguments)
    assert result.exit_code == code, result.output
    assert result.exception is None or isinstance(result.exception, SystemExit)
    assert result.stdout == ""
    lines = [line for line in result.stderr.splitlines() if "warning" not in line]
    assert len(lines) == 1 and lines[0].startswith("visuals: "), result.stderr
    return lines[0]


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


def test_an_unknown_class_names_nearest_known_and_the_other_preset() -> None:
    said = refused("run", "--class", "sneakr")
    assert "'sneakr'; did you mean 'sneaker'?" in said
    assert "handbag" in said and "--preset sd15" in said


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (["run"], ["no --class", "sneaker"]),
        (["rum"], ["unknown command 'rum'", "did you mean 'run'"]),
        (["run", "--class", "mug", "--cuont", "3"], ["--cuont", "--count", "visuals run --help"]),
        (["run", "--class", "mug", "--count", "0"], ["--count", "0"]),
        (["run", "--class", "mug", "--preset", "minni"], ["'minni'; did you mean 'mini'", "sd15"]),
        (["run", "--class", "mug", "--set", "run.sed=1"], ["'run.sed'; did you mean 'seed'"]),
        (["run", "--class", "mug", "--set", "run.seed"], ["KEY=VALUE"]),
        (
            ["run", "--class", "mug", "--strength", "1.4"],
            ["strength 1.4", "less than or equal to 1"],
        ),
        (["run", "--class", "mug", "--seed", "-2"], ["-2: expected 0", "-1 for a random one"]),
        (["run", "nowhere", "--class", "mug"], ["no file or folder 'nowhere'", "check the path"]),
        (["run", "--class", "mug", "--prompt", "{class} <lora:zz:1>"], ["no LoRA 'zz'", "ppzmini"]),
        (["run", "--class", "mug", "--set", "generate.sampler=Eulr"], ["'Eulr'; did you mean 'E"]),
        (["config", "show", "--preset", "none.yaml"], ["no file 'none.yaml'"]),
        (
            ["dataset", "caption", "x", "--no-model", "--tag", os.fsdecode(b"caf\xe9")],
            [r"'caf\udce9': expected text in UTF-8"],
        ),
        (["prompt", os.fsdecode(b"caf\xe9")], [r"'caf\udce9': expected text in UTF-8"]),
    ],
)
def test_bad_arguments_are_said_in_one_line(arguments: list[str], parts: list[str]) -> None:
    said = refused(*arguments)
    for part in parts:
        assert part in said
    assert not Path("runs").exists()


@pytest.mark.parametrize(
    ("data", "part"), [(b"", "0 bytes"), (b"words", "not a picture"), ("cut", "truncated")]
)
@pytest.mark.parametrize("command", ["run", "filter", "enhance"])
def test_one_bad_file_by_name(tmp_path: Path, command: str, data: bytes | str, part: str) -> None:
    import numpy as np

    if data == "cut":
        whole = encode_png(np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8))
        data = whole[: len(whole) // 2]
    assert isinstance(data, bytes)
    path = tmp_path / "a.png"
    path.write_bytes(data)
    said = refused(command, str(path), "--class", "mug")
    assert part in said and "a.png" in said


def test_an_empty_folder(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("no picture")
    assert "holds no picture" in refused("run", str(tmp_path), "--class", "mug")


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
