"""Prompt files with settings of their own: CSV and JSONL read, refused, drawn, gone on with."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.command_line import lines_of, visuals
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from visuals.pipeline.inputs.prompt_rows import PromptFileError, PromptRow, shots
from visuals.pipeline.inputs.prompt_table import ALIASES, COLUMNS, read_table

pytestmark = pytest.mark.usefixtures("loaded_models")

FEW = ["--set", "generate.steps=2", "--set", "rerender.steps=2"]


def rows(path: Path, text: str | bytes) -> tuple[PromptRow, ...]:
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    table = read_table(path)
    table.raise_problems()
    return table.rows


def test_a_csv_as_a_spreadsheet_writes_it(tmp_path: Path) -> None:
    made = rows(
        tmp_path / "p.csv",
        b"\xef\xbb\xbfPrompt,Negative prompt,Class,Seed,CFG scale,Steps,Sampler,"
        b"Denoising strength\r\n"
        b"\r\n"
        b"# a note, with a comma\r\n"
        b'"a red {class}, on a shelf",blurry,Mug,7,5,12,Euler a,0.5\r\n'
        b",,,,,,,\r\n"
        b'"two\r\nlines, one ""prompt""",,car,-1,,,,\r\n',
    )
    assert made == (
        PromptRow(
            line=4,
            prompt="a red {class}, on a shelf",
            negative_prompt="blurry",
            class_="mug",
            seed=7,
            settings={
                "generate.steps": 12,
                "generate.cfg_scale": 5.0,
                "generate.sampler": "Euler a",
                "rerender.strength": 0.5,
            },
        ),
        PromptRow(line=6, prompt='two lines, one "prompt"', class_="car"),
    )


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("p.csv", "prompt;steps\na, b;3\n"),
        ("p.tsv", "prompt\tsteps\na, b\t3\n"),
        ("p.csv", 'prompt,num_inference_steps\n"a, b",3\n'),
        ("P.CSV", 'steps,prompt\n3,"a, b"\n'),
        ("p.jsonl", '{"prompt": "a, b", "steps": 3}\n'),
        ("p.jsonl", '\n# note\n// note\n{"Prompt": "a, b", "generate.steps": "3", "seed": null}'),
        ("p.txt", '# note\n--prompt "a, b" --steps 3\n'),
        ("p.ndjson", '{"prompt": " a,  b", "steps": 3, "seed": -1}'),
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_the_same_row_in_every_way(
    tmp_path: Path, name: str, text: str, encoding: str, end: str
) -> None:
    (row,) = rows(tmp_path / name, text.replace("\n", end).encode(encoding))
    assert (row.prompt, row.settings, row.seed) == ("a, b", {"generate.steps": 3}, None)


@pytest.mark.parametrize(
    ("given", "tags"),
    [
        ("film", "<lora:film:1>"),
        ("film:0.8", "<lora:film:0.8>"),
        ("film:0.8; my shoes:-1:0.5", "<lora:film:0.8> <lora:my shoes:-1:0.5>"),
        ("<lora:film:te=0:unet=1>", "<lora:film:te=0:unet=1>"),
        (["film", "a:0.5"], "<lora:film:1> <lora:a:0.5>"),
        ({"film": 0.5}, "<lora:film:0.5>"),
    ],
)
def test_loras_become_tags(tmp_path: Path, given: Any, tags: str) -> None:
    (row,) = rows(tmp_path / "p.jsonl", json.dumps({"prompt": "a", "lora": given}))
    assert row.loras == tags and row.text("") == f"a {tags}"


def test_every_setting_has_a_name_of_a1111_or_diffusers() -> None:
    assert {"steps", "cfg_scale", "guidance_scale", "sampler", "width", "height"} <= set(ALIASES)
    assert set(ALIASES.values()) <= set(COLUMNS)


@pytest.mark.parametrize(
    ("name", "text", "parts"),
    [
        (
            "p.csv",
            "prompt,steps,sampler,seed\na,0,Eular a,-7\nb,2\nc,2,Euler,1,surplus\n",
            [
                "line 2: generate.steps 0: should be greater",
                "line 2: unknown sampler 'Eular a'; did you mean 'Euler a'?",
                "line 2: seed '-7': should be greater than or equal to 0",
                "line 4: 5 cells where the header has 4",
            ],
        ),
        ("p.csv", "promt,class\na,mug\n", ["line 1: unknown column 'promt'; did you mean 'prompt"]),
        ("p.csv", "a red mug\na blue mug\n", ["line 1: expected the names of the columns"]),
        ("p.csv", "prompt,steps,num_inference_steps\n", ["num_inference_steps say the same"]),
        ("p.csv", 'prompt\n"a\nb\n', ["not CSV"]),
        ("p.csv", "prompt,run.seed\na,1\n", ["run.seed is no setting", "--set run.seed=…"]),
        (
            "p.jsonl",
            '{"prompt": 3, "width": 10}\n[1]\n{"promt": "a"}\n{\n{"prompt": "a", "name": "../a"}',
            [
                "line 1: prompt 3: should be a valid string",
                "line 1: generate.width 10: should be greater than or equal to 64",
                "line 2: '[1]': expected an object",
                "line 3: unknown column 'promt'; did you mean 'prompt'?",
                "line 4: not JSON",
                "line 5: name '../a': expected a file's name",
            ],
        ),
        ("p.jsonl", '{"prompt": "a", "lora": "a:b:c:d"}', ["line 1: lora 'a:b:c:d': expected"]),
        ("p.jsonl", "# nothing\n", ["no row in it"]),
        (
            "p.txt",
            '--prompt "a\n--prompt a mug --steps 3\n--prompt a --tiling true\n--prompt a --steps x',
            [
                "line 1: no closing quotation",
                "line 2: expected pairs",
                "line 3: unknown column 'tiling'",
                "line 4: generate.steps 'x': should be a valid integer",
            ],
        ),
        ("p.jsonl", b"\xe9\xe9", ["not UTF-8"]),
    ],
)  # fmt: skip
def test_everything_wrong_is_said_at_once(
    tmp_path: Path, name: str, text: str | bytes, parts: list[str]
) -> None:
    with pytest.raises(PromptFileError) as raised:
        rows(tmp_path / name, text)
    said = str(raised.value)
    assert said.startswith(str(tmp_path / name)) and "\n" not in said
    for part in parts:
        assert part in said


VALUES = ["1", "-1", "0.5", "1e999", "NaN", "true", "[]", "[[]]", "{}", '{"x": 1}', '"{a|b}"', '""']


@pytest.mark.parametrize("column", COLUMNS)
def test_any_value_in_any_column_is_read_or_said(tmp_path: Path, column: str) -> None:
    """A sampler that is no text ended in a traceback."""
    for value in VALUES:
        line = f'{{"class": "mug", "{column}": {value}}}'  # of two classes the last counts
        (tmp_path / "p.jsonl").write_text(line)
        found = read_table(tmp_path / "p.jsonl")
        assert len(found.rows) + bool(found.problems) == 1, value


def test_a1111s_lines_of_arguments_and_plain_prompts_between(tmp_path: Path) -> None:
    made = rows(
        tmp_path / "p.txt",
        '--prompt "a mug" --negative_prompt "old" --seed 7 --sampler_name "Euler a" --n_iter 2\n'
        "a plain prompt\n",
    )
    assert made == (
        PromptRow(
            line=1,
            prompt="a mug",
            negative_prompt="old",
            seed=7,
            count=2,
            settings={"generate.sampler": "Euler a"},
        ),
        PromptRow(line=2, prompt="a plain prompt"),
    )


def test_names_and_seeds_of_the_shots() -> None:
    table = [
        PromptRow(line=2, prompt="a {class}", class_="mug", seed=4294967295, count=2, name="hero"),
        PromptRow(line=3, prompt="b", class_="desk lamp"),
        PromptRow(line=4),
    ]
    made = list(shots(table, ["mug", "car"], prompt="usual {class}", run_seed=1))
    assert [s.id for s in made] == ["hero-01", "hero-02", "desk-lamp-0002", "mug-0003", "car-0003"]
    assert [s.seed for s in made[:2]] == [4294967295, 0]
    counted = shots(table, ["mug", "car"], prompt="usual {class}", first_seed=7)
    assert [s.seed for s in counted] == [4294967295, 0, 7, 7, 7]
    assert made[3].source.prompt == "usual mug"  # type: ignore[union-attr]
    with pytest.raises(PromptFileError, match=r"line 3: the name 'A' is taken by line 2"):
        shots([PromptRow(line=2, name="a"), PromptRow(line=3, name="A")], ["mug"], prompt="x")


def pixels(path: Path) -> np.ndarray:
    return np.asarray(Image.open(path).convert("RGB")).astype(int)


def test_rows_are_drawn_each_in_its_own_way_and_gone_on_with(mini: Path, tmp_path: Path) -> None:
    table = tmp_path / "p.csv"
    table.write_text(
        "prompt,negative_prompt,class,seed,steps,cfg_scale,sampler,width,height,name,count,lora\n"
        '"ppzmini, red {class}",dark,mug,7,1,5,Euler a,,,first,,\n'
        "plain,,,,,,,96,64,second,2,ppzmini:0.5\n"
        "plain,,,7,,,,,,third,,\n"
    )
    out = tmp_path / "out"
    command = ["generate", "--prompts", str(table), "--out", str(out), *FEW]
    result = visuals(*command)
    assert result.exit_code == 0, f"{result.output}\n{result.exception!r}"
    made = lines_of(out)
    assert sorted(made) == ["first", "second-01", "second-02", "third"]
    assert made["first"]["prompt"] == "ppzmini, red mug" and made["first"]["seed"] == 7
    assert made["first"]["negative_prompt"] == "dark"
    said = Image.open(out / "images" / "first.png").info["parameters"]
    assert "Steps: 1, Sampler: Euler a, CFG scale: 5.0, Seed: 7" in said
    assert Image.open(out / "images" / "second-02.png").size == (96, 64)
    assert made["second-01"]["seed"] != made["second-02"]["seed"]
    assert "<lora:ppzmini:0.5>" in made["second-01"]["prompt"]

    kept = {path.name: pixels(path) for path in (out / "images").iterdir()}
    manifest = out / "manifest.jsonl"
    manifest.write_text(manifest.read_text().splitlines(keepends=True)[0])
    result = visuals("resume", str(out), "--batch-size", "1")
    assert result.exit_code == 0, f"{result.output}\n{result.exception!r}"
    again = lines_of(out)
    for key in ("prompt", "negative_prompt", "seed", "settings", "classes"):
        assert {k: v[key] for k, v in again.items()} == {k: v[key] for k, v in made.items()}
    for name, most in {"first.png": 0, "second-01.png": 2}.items():
        assert np.abs(pixels(out / "images" / name) - kept[name]).max() <= most

    table.write_text(table.read_text().replace(",7,1,5,", ",7,1,6,"))
    result = visuals(*command)
    assert result.exit_code == 2 and "cfg_scale: 5.0 → 6.0" in result.stderr


def test_a_row_alone_is_the_picture_that_its_settings_make_of_a_run(
    mini: Path, tmp_path: Path
) -> None:
    """The row's values act as --set does: the picture equals that of a run with them."""
    (tmp_path / "p.jsonl").write_text(
        json.dumps(
            {"prompt": "red mug", "class": "mug", "steps": 3, "sampler": "DDIM", "name": "a"}
        )
    )
    one = visuals("generate", "--prompts", str(tmp_path / "p.jsonl"), "--out", str(tmp_path / "x"))
    assert one.exit_code == 0, one.output
    seed = lines_of(tmp_path / "x")["a"]["seed"]
    (tmp_path / "q.jsonl").write_text(
        json.dumps({"prompt": "red mug", "class": "mug", "seed": seed, "name": "a"})
    )
    two = visuals(
        "generate", "--prompts", str(tmp_path / "q.jsonl"), "--out", str(tmp_path / "y"),
        "--set", "generate.steps=3", "--set", "generate.sampler=DDIM",
    )  # fmt: skip
    assert two.exit_code == 0, two.output
    first, second = (Image.open(tmp_path / o / "images" / "a.png").tobytes() for o in "xy")
    assert first == second


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ('{"prompt": "a {class}"}', ["line 1: no class"]),
        ('{"class": "sneakr"}', ["line 1:", "did you mean 'sneaker'?"]),
        (
            '{"prompt": "a <lora:zz:1>", "class": "mug"}\n{"prompt": "__none__", "class": "mug"}',
            ["line 1: no LoRA 'zz'", "line 2: no wildcard 'none'"],
        ),
        ('{"class": "mug", "edit": "{red|<lora:zz:1>}"}', ["line 1: no LoRA 'zz'"]),
        ('{"class": "mug", "steps": "many"}\n{"class": "mgu"}', ["line 1: gen", "line 2: preset"]),
        (
            '{"class": "mug", "width": 100}',
            ["line 1: generate.width 100: expected a multiple of 8"],
        ),
        ('{"class": "mug", "name": "a"}\n{"class": "car", "name": "a"}', ["line 2: the name 'a'"]),
    ],
)
def test_a_bad_row_stops_before_anything_is_made(
    mini: Path, tmp_path: Path, text: str, parts: list[str]
) -> None:
    (tmp_path / "p.jsonl").write_text(text)
    for command in ("generate", "run"):
        result = visuals(
            command, "--prompts", str(tmp_path / "p.jsonl"), "--out", str(tmp_path / "out")
        )
        assert result.exit_code == 2 and len(result.stderr.splitlines()) == 1, result.output
        for part in parts:
            assert part in result.stderr
        assert not (tmp_path / "out").exists()


def test_a_row_has_its_own_hires_fix_and_its_parameters_say_so(mini: Path, tmp_path: Path) -> None:
    (tmp_path / "p.csv").write_text(
        'class,seed,n_iter,width,height,hires\nmug,3,1,64,64,"{scale: 1.5, steps: 1}"\n'
        "mug,3,1,64,64,\n"
    )
    out = tmp_path / "o"
    words = ["--prompts", str(tmp_path / "p.csv"), "--seed", "1", *FEW[:2]]
    result = visuals("generate", *words, "--out", str(out))
    assert result.exit_code == 0, result.output
    one, two = (Image.open(out / "images" / f"mug-000{n}.png") for n in (1, 2))
    assert (one.size, two.size) == ((96, 96), (64, 64))
    said = one.info["parameters"]
    assert "Size: 64x64" in said and "Hires upscale: 1.5, Hires steps: 1, Hires" in said
    assert "Denoising strength: 0.7" in said and "Hires" not in two.info["parameters"]
    info = PngInfo()
    info.add_text("parameters", said)
    one.save(tmp_path / "bare.png", pnginfo=info)
    again = visuals("replay", str(tmp_path / "bare.png"), "--out", str(tmp_path / "a"))
    assert again.exit_code == 0 and "1 of 1 are equal" in again.stderr, again.output
    (tmp_path / "p.csv").write_text("class,hires\nmug,{scale: 9}\n")
    wrong = visuals("generate", *words, "--out", str(tmp_path / "b"))
    assert wrong.exit_code == 2 and "line 2: generate.hires.scale 9" in wrong.stderr
