"""Wildcard folders, the prompts of shots drawn from them, and how a prompt is read."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
import yaml
from helpers.command_line import EVERYTHING, visuals
from PIL import Image

from visuals.checkpoints.lora.search import LoraNotFoundError
from visuals.configs.schema import load_settings
from visuals.pipeline.build.stages import check_words
from visuals.pipeline.inputs import shots as inputs
from visuals.pipeline.prompts import explain, wildcards
from visuals.pipeline.prompts.model_vocabulary import unknown_words
from visuals.stages.prompts.dynamic_prompts import WildcardError

pytestmark = pytest.mark.usefixtures("loaded_models")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    place = tmp_path / "words"
    (place / "wood").mkdir(parents=True)
    (place / "colours.txt").write_text(
        "\ufeff# primary\nred\n\nblue # the deep one\n#f00\n  green  \n", encoding="utf-8"
    )
    (place / "wood" / "dark.txt").write_text("ebony {class}\n", encoding="utf-8")
    return place


def test_files_are_wildcards(folder: Path, tmp_path: Path) -> None:
    found = wildcards.Folders([folder])
    assert sorted(found) == ["colours", "wood/dark"] and len(found) == 2
    assert found["colours"] == ("red", "blue", "green")
    other = tmp_path / "other"
    (other / ".cache").mkdir(parents=True)
    (other / "._colours.txt").write_bytes(b"\0\5\x16\7")  # macOS lays such files beside others
    (other / ".cache" / "old.txt").write_text("old\n")
    (other / "colours.txt").write_text("pink\n")
    (other / "more.txt").write_text("more\n")
    (other / "folder.txt").mkdir()
    os.mkfifo(other / "pipe.txt")
    both = wildcards.Folders([folder, other])
    assert sorted(both) == ["colours", "more", "wood/dark"]
    assert both["colours"] == ("red", "blue", "green") and both["more"] == ("more",)


@pytest.mark.parametrize(
    ("data", "said"), [(b"# only words\n\n", "no entry"), (b"\xff\xfe\x00", "not UTF-8")]
)
def test_a_file_that_is_no_wildcard_is_named(folder: Path, data: bytes, said: str) -> None:
    (folder / "bad.txt").write_bytes(data)
    found = wildcards.Folders([folder])
    assert found["colours"]
    with pytest.raises(wildcards.WildcardFileError, match=rf"bad\.txt.*{said}"):
        found["bad"]


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(wildcards.WildcardFileError, match=r"nowhere.*generate\.wildcard_dirs"):
        wildcards.Folders([tmp_path / "nowhere"])


def test_each_shot_draws_by_its_own_seed(folder: Path) -> None:
    def prompts(count: int, run_seed: int = 0) -> list[Any]:
        shots = inputs.prompted(
            ["mug"],
            count,
            prompt="{old|new} __colours__ __wood/dark__",
            negative_prompt="{blurry|dark}",
            edit="__colours__ leather",
            run_seed=run_seed,
        )
        return wildcards.choose_variants(shots, wildcards.Folders([folder]))

    some, more = prompts(3), prompts(40)
    assert some == more[:3]
    assert len({s.source.prompt for s in more}) == 6, "every one of 2 × 3"
    assert {s.source.prompt.split(" ", 2)[2] for s in more} == {"ebony mug"}
    assert {s.source.negative_prompt for s in more} == {"blurry", "dark"}
    assert {s.edit for s in more} == {"red leather", "blue leather", "green leather"}
    assert [s.source.prompt for s in prompts(40, 1)] != [s.source.prompt for s in more]
    assert [s.seed for s in more] == [s.seed for s in inputs.prompted(["mug"], 40, prompt="x")]


def test_a_photo_s_edit_is_drawn_too(folder: Path, tmp_path: Path) -> None:
    for k in range(12):
        (tmp_path / f"{k}.png").write_bytes(b"x")
    shots = inputs.photos([str(tmp_path)], ["mug"], edit="__colours__ glass")
    edits = {s.edit for s in wildcards.choose_variants(shots, wildcards.Folders([folder]))}
    assert edits == {"red glass", "blue glass", "green glass"}


def test_settings_are_checked_for_every_seed(folder: Path) -> None:
    for key in ("generate.prompt", "rerender.prompt", "generate.negative_prompt"):
        changes = {key: "{9999::a|__colors__}", "generate.wildcard_dirs": [str(folder)]}
        with pytest.raises(WildcardError, match="did you mean 'colours'"):
            wildcards.check_wildcards(load_settings("mini", changes))
        wildcards.check_wildcards(load_settings("mini", {**changes, key: "__colours__"}))


def test_a_run_says_what_a1111_would_have_read_otherwise() -> None:
    changes = {"rerender.prompt": "[cat:dog", "generate.negative_prompt": "a AND b"}
    said = explain.prompt_notes(
        load_settings("mini", changes), ["{class} (x", "{class} (x", "fine", "{red|blue mug"]
    )
    parts = ("'(' is never closed", "'{red|blue mug': the brace", "'[' is never closed", "AND")
    assert len(said) == 4 and all(part in said[k] for k, part in enumerate(parts))


def test_tags_in_a_negative_prompt_are_named() -> None:
    settings = load_settings("mini", {"rerender.negative_prompt": "<hypernet:x:1> old"})
    said = explain.prompt_notes(settings, [], ["<lora:x:1> blurry", "blurry"])
    assert said == [
        f"'{text}': tags in a negative prompt are read as text"
        for text in ("<lora:x:1> blurry", "<hypernet:x:1> old")
    ]


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        ("<lora:nope:1> red", "no LoRA 'nope'"),
        ("<lora:ppzmini:nan> red", "the weight is no number"),
        ("__nope__", "no wildcard 'nope'"),
        ("{1000::red|__nope__}", "no wildcard 'nope'"),
        ("{1000::red|blue {pink|<lora:nope:1>}}", "no LoRA 'nope'"),
        ("{1000::red|(blue:9999999)}", "'blue' weighs 1e+07"),
        ("(red:9999999)", "'red' weighs 1e+07"),
        ("(" * 101, "more than 100 '('"),
    ],
)
def test_an_edit_is_checked_before_models_are_loaded(mini: Path, edit: str, said: str) -> None:
    Image.new("RGB", (64, 64)).save("a.png")
    result = visuals("enhance", "a.png", "--class", "mug", "--edit", edit, "--out", "out")
    assert result.exit_code == 2 and said in result.stderr
    assert not Path("out").exists()


@pytest.mark.parametrize("key", ["generate.prompt", "rerender.prompt", "mug.prompt", "mug.edit"])
def test_every_text_of_the_settings_is_checked(mini: Path, key: str) -> None:
    key = key.replace("mug", "classes.mug")
    with pytest.raises(LoraNotFoundError, match="no LoRA 'nix'"):
        check_words(load_settings("mini", {key: "<lora:nix:1> red"}))
    settings = load_settings("mini", {key: "<hypernet:nix:1> red"})
    assert (
        "<hypernet:nix:1>: not supported"
        in explain.prompt_notes(settings, [settings.generate.prompt])[0]
    )


def test_every_entry_of_a_wildcard_is_checked(mini: Path, folder: Path) -> None:
    (folder / "looks.txt").write_text("red\nblue\n<lora:nix:1>\n__colours__\n")
    settings = load_settings("mini", {"generate.wildcard_dirs": [str(folder)]})
    check_words(settings, ["__colours__"])
    for text in ("__looks__", "{2$$oak|__looks__|ash}", "<lora:ppzmini:1> __loo*__"):
        with pytest.raises(LoraNotFoundError, match="no LoRA 'nix'"):
            check_words(settings, [text])


def test_wildcards_are_no_unknown_words() -> None:
    known = {"classes": ["mug"], "synonyms": {}}
    assert unknown_words("__colours__ mug __wood/dark__ {2$$jungle|mug}", known) == ["jungle"]


def test_prompt_shows_chunks_tokens_and_weights(mini: Path, folder: Path) -> None:
    text = "a ((__colours__)) {class}, [shelf] BREAK (street:1.3) <lora:ppzmini:0.5>"
    options = ["--class", "mug", "--set", f"generate.wildcard_dirs=[{folder}]"]
    result = visuals("prompt", text, *options, "--json")
    assert result.exit_code == 0, result.output
    record = json.loads(result.stdout)
    (shown,) = record["prompts"]
    colour = shown["drawn"][0]["text"]
    assert colour in ("red", "blue", "green")
    assert shown["prompt"].startswith(f"a (({colour})) mug, [shelf] BREAK")
    assert shown["loras"] == [{"name": "ppzmini", "unet": 0.5, "text_encoder": 0.5}]
    first, second = shown["chunks"]
    assert sum(first["weights"]) > 0 and len(first["tokens"]) == first["count"]
    if shown["chunks"][0]["tokens"][:3] == ["a", colour, "mug"]:  # the words of the trained one
        assert first["weights"] == pytest.approx([1, 1.21, 1, 1, 1 / 1.1])
        assert (second["tokens"], second["weights"]) == (["street"], [1.3])
    assert [p["weight"] for p in shown["pieces"]].count(None) == 1
    plain = visuals("prompt", text, *options)
    assert plain.exit_code == 0 and "chunk 2" in plain.stdout and "   1.21" in plain.stdout


def test_prompt_shows_the_prompts_of_the_run_with_the_same_seed(folder: Path) -> None:
    settings = load_settings("mini", {"generate.wildcard_dirs": [str(folder)]})
    shots = wildcards.choose_variants(
        inputs.prompted(["mug", "car"], 3, prompt="__colours__ {class}", run_seed=9),
        wildcards.load_wildcards(settings),
    )
    result = visuals(
        "prompt", "__colours__ {class}", "--class", "mug", "--class", "car", "--count", "3",
        "--seed", "9", "--set", f"generate.wildcard_dirs=[{folder}]", "--json",
    )  # fmt: skip
    shown = json.loads(result.stdout)["prompts"]
    assert [(s["id"], s["prompt"], s["seed"]) for s in shown] == [
        (s.id, s.source.prompt, s.seed)  # type: ignore[union-attr]
        for s in shots
    ]


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("mug <lora:zz:1>", "no LoRA 'zz'"),
        ("mug [a:b:0.5]", "prompt editing"),
        ("(mug:3)", "'mug' weighs 3"),
        ("{class}", "--class"),
        ("mug BREAK BREAK car", "chunk 2 is empty"),
        (", ".join(["red mug"] * 60), "3 chunks of 75"),
        ("crocodile", "not trained on: crocodile"),
    ],
)
def test_prompt_warns(mini: Path, text: str, part: str) -> None:
    result = visuals("prompt", text)
    assert result.exit_code == 0, result.output
    assert part in result.stderr and "Traceback" not in result.output


def test_prompt_without_a_tokenizer_shows_the_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    result = visuals("prompt", "a (b:1.3)", "--preset", "sd15")
    assert result.exit_code == 0, result.output
    assert "tokens are not counted" in result.stderr and "1.3" in result.stdout


def test_prompt_refuses_in_one_line(folder: Path) -> None:
    result = visuals("prompt", "__colors__", "--set", f"generate.wildcard_dirs=[{folder}]")
    assert result.exit_code == 2 and result.stdout == ""
    assert len(result.stderr.splitlines()) == 1 and "did you mean 'colours'" in result.stderr


def test_a_run_with_choices_repeats_and_its_manifest_holds_what_was_drawn(
    mini: Path, folder: Path, tmp_path: Path
) -> None:
    def run(out: str) -> list[dict[str, Any]]:
        result = visuals(
            "run", "--class", "mug", "--count", "2", "--out", str(tmp_path / out), "--json",
            "--set", "generate.clip_skip=1", "--prompt", "{old|new} {class}, (__colours__:1.2)",
            "--negative-prompt", "{blurry|dark}", "--edit", "{tiny|huge}",
            "--set", f"generate.wildcard_dirs=[{folder}]", "--set", "generate.steps=2",
            "--set", "rerender.steps=2", *EVERYTHING, "--set", "run.retries=0",
        )  # fmt: skip
        assert result.exit_code == 0, f"{result.output}\n{result.exception!r}"
        lines = (tmp_path / out / "manifest.jsonl").read_text(encoding="utf-8").splitlines()
        return [json.loads(line) for line in lines]

    first, again = run("a"), run("b")
    for one, two in zip(first, again, strict=True):
        assert one["error"] is None
        for key in ("prompt", "prompts", "edit", "seed"):
            assert one[key] == two[key]
        assert not set("{|_}") & set(one["prompt"]) and one["prompt"].endswith(":1.2)")
        assert one["edit"] in ("tiny", "huge")
        assert one["status"] == "enhanced" and all(one["edit"] in p for p in one["prompts"])
        said = Image.open(tmp_path / "a" / one["files"]["result"]).info["parameters"]
        assert said.split("\n")[0] in one["prompts"] and "Clip skip: 2" in said
        assert said.split("\n")[1] in ("Negative prompt: blurry", "Negative prompt: dark")
        for name in (n for n in one["files"].values() if n):
            assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_a_wildcard_that_is_not_there_stops_before_any_model(folder: Path, tmp_path: Path) -> None:
    for option in ("--prompt", "--edit"):
        result = visuals(
            "run", "--class", "mug", option, "__colors__ {class}", "--out", str(tmp_path / "o"),
            "--set", f"generate.wildcard_dirs=[{folder}]",
        )  # fmt: skip
        assert result.exit_code == 2 and "did you mean 'colours'" in result.stderr
        assert not (tmp_path / "o").exists()


def test_a_wildcard_file_that_changed_is_named(mini: Path, folder: Path, tmp_path: Path) -> None:
    (folder / "unused.txt").write_text("one\n")
    (folder / "thing.txt").write_text("__colours__ mug\n")
    out = str(tmp_path / "out")
    command = [
        "generate", "--class", "mug", "--prompt", "__thing__", "--set", "generate.steps=1",
        "--set", f"generate.wildcard_dirs=[{folder}]", "--out", out, "--count",
    ]  # fmt: skip
    assert visuals(*command, "1").exit_code == 0
    record = yaml.safe_load((tmp_path / "out" / "run.yaml").read_text())["checkpoints"]
    assert {"wildcard:thing", "wildcard:colours"} == {k for k in record if "wildcard" in k}
    with (folder / "colours.txt").open("a") as file:
        file.write("# said of it\n")
    (folder / "unused.txt").write_text("two\n")
    assert visuals(*command, "2").exit_code == 0
    with (folder / "colours.txt").open("a") as file:
        file.write("pink\n")
    for again in (visuals(*command, "3"), visuals("resume", out)):
        assert again.exit_code == 2, again.output
        assert "checkpoints.wildcard:colours: sha256:" in again.stderr
        assert "wildcard:thing" not in again.stderr


def test_a_grid_draws_choices_by_its_seeds(mini: Path, folder: Path, tmp_path: Path) -> None:
    def grid(prompt: str, name: str) -> bytes:
        result = visuals(
            "grid", "--prompt", prompt, "--seeds", "1,2,3", "--out", str(tmp_path / name),
            "--columns", "seed", "--set", f"generate.wildcard_dirs=[{folder}]",
            "--set", "generate.steps=1",
        )  # fmt: skip
        assert result.exit_code == 0, result.output
        with Image.open(tmp_path / name) as sheet:
            return sheet.crop((0, sheet.height - 100, *sheet.size)).tobytes()

    chosen = grid("(__colours__:1.5) mug", "a.png")
    assert chosen == grid("(__colours__:1.5) mug", "b.png")
    assert chosen not in [grid(f"({c}:1.5) mug", f"{c}.png") for c in ("red", "blue", "green")]
