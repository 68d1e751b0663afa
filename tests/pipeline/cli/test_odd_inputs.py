"""Odd inputs of every kind: one sentence, the right exit code, and nothing is written."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from helpers.command_line import refused
from PIL import Image

from visuals.checkpoints.hub import first_use
from visuals.pipeline.images.write import encode_png

pytestmark = pytest.mark.usefixtures("words")

RUN = ("run", "--class", "mug")
DRAW = ("generate", "--class", "mug")
NOISE = np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)
LATIN = os.fsdecode(b"caf\xe9")
LONG = "n" * 5000
BOMB = "a0: &a0 [x]\n" + "".join(
    f"a{k}: &a{k} [{', '.join([f'*a{k - 1}'] * 9)}]\n" for k in range(1, 12)
)
FILES: dict[str, str | bytes] = {
    "photos/mug.png": encode_png(NOISE),
    "photos/notes.txt": "not a picture",
    "empty/notes.txt": "not a picture",
    "zero.png": b"",
    "words.png": b"words",
    "cut.png": encode_png(NOISE)[:4000],
    "a.yaml": "base: b.yaml",
    "b.yaml": "base: a.yaml",
    "double.yaml": "base: mini\nrun: {seed: 1}\nrun: {seed: 2}",
    "yes.yaml": "base: mini\nrun: {seed: yes}",
    "list.yaml": "- a",
    "bomb.yaml": BOMB,
    "tab.yaml": "run:\n\tseed: 1",
    "nan.yaml": "base: mini\ngenerate: {cfg_scale: .nan}",
    "latin.yaml": b"a: caf\xe9",
    "none.txt": "# nothing\n\n",
    "lora.txt": "a {class} <lora:zz:1>\n",
    "good.txt": "a {class}\n",
    "column.csv": "prompt,nope\na mug,1\n",
    "broken/run.yaml": "a: [",
    "lines/run.yaml": "request: {}\nsettings: {}\n",
    "lines/manifest.jsonl": "words\n",
}
"""Files of a user, by their names."""

USAGE: list[tuple[tuple[str, ...], str]] = [
    # names
    (("rum",), "unknown command 'rum'; did you mean 'run'"),
    ((*RUN, "--cuont", "3"), "--cuont.*--count.*visuals run --help"),
    (("grid", "--steps", "3"), "expected --set generate.steps=VALUE; see visuals grid"),
    (("grid", "--width", "3"), "expected --set generate.width=VALUE"),
    (("replay", "x", "--strength", "1"), "expected --set rerender.strength=VALUE"),
    (("filter", "x", "--steps", "3"), "no option --steps here: run, generate, enhance have it"),
    (("filter", "x", "--strength", ".5"), "no option --strength here: run, enhance have it"),
    (("enhance", "x", "--width", "64"), "no option --width here: run, generate have it"),
    (("resume", "x", "--steps", "3"), "no option --steps here: run, generate, enhance have it"),
    (("train", "x", "--strength", "1"), "no option --strength here: run, enhance have it"),
    (("run",), "no --class.*sneaker"),
    (("run", "--class", "sneakr"), "'sneakr'; did you mean 'sneaker'.*handbag.*--preset sd15"),
    ((*RUN, "--preset", "minni"), "'minni'; did you mean 'mini'.*sd15"),
    ((*RUN, "--set", "run.sed=1"), "'run.sed'; did you mean 'seed'"),
    ((*RUN, "--set", "run.seed"), "KEY=VALUE"),
    ((*RUN, "--set", "generate.steps=[1"), "no YAML; quote it"),
    ((*RUN, "--set", "generate.sampler=Eulr"), "'Eulr'; did you mean 'E"),
    ((*RUN, "--prompt", "{class} <lora:zz:1>"), "no LoRA 'zz'.*ppzmini"),
    ((*RUN, "--prompt", "__nope__"), "no wildcard 'nope'.*add nope.txt"),
    ((*RUN, "--annotate", "coc"), "'coc'; did you mean 'coco'.*voc"),
    (("filter", "x", "--annotate", "yolo,vok"), "'vok'; did you mean 'voc'"),
    (("filter", "x", "--sweep", "--annotate", "coco"), "--annotate with --sweep"),
    (("annotate", "nowhere", "--format", "json"), "unknown format 'json'.*metadata"),
    ((*RUN, "--device", "tpu"), "device 'tpu': expected auto, cpu"),
    # numbers
    ((*RUN, "--count", "0"), "--count.*0"),
    ((*RUN, "--count", "99999999999"), "count 99999999999: should be less than or equal"),
    ((*RUN, "--steps", "1e3"), "--steps.*'1e3'"),
    ((*RUN, "--steps", "-5"), "steps -5: should be greater"),
    ((*RUN, "--strength", "nan"), "strength nan: should be"),
    ((*RUN, "--strength", "1.4"), "strength 1.4: should be less than or equal to 1"),
    ((*RUN, "--cfg-scale", "inf"), "cfg_scale inf: should be"),
    ((*RUN, "--set", "generate.steps=.inf"), "generate.steps inf: should be a finite number"),
    ((*RUN, "--width", "100"), "generate.width 100: expected a multiple of 8, as .*, as in 96"),
    ((*RUN, "--seed", "-2"), "-2: expected 0.*-1 for a random one"),
    ((*RUN, "--set", "run.seed=yes"), "seed: true; expected a number"),
    # empty names
    (("filter", "", "--class", "mug"), "PHOTOS '': expected a name"),
    (("dataset", "check", ""), "FOLDER '': expected a name"),
    (("dataset", "caption", "", "--tag", "x"), "FOLDER '': expected a name"),
    (("resume", ""), "RUN '': expected a name"),
    (("checkpoints", "info", ""), "NAME '': expected a name"),
    ((*RUN, "--prompt-file", ""), "--prompt-file '': expected the name"),
    ((*RUN, "--log-file", ""), "--log-file '': expected the name"),
    ((*RUN, "--edit", ""), "'': expected what the product should become"),
    ((*RUN, "--edit", "red", "--edit", " "), "'': expected what the product should become"),
    ((*RUN, "--preset", ""), "preset ''"),
    ((*RUN, "--device", ""), "device '': expected auto, cpu"),
    # what is not there, or of another kind
    (("run", "nowhere", "--class", "mug"), "no file or folder 'nowhere'.*check the path"),
    (("enhance", "runs/nope", "--class", "mug"), "no file or folder 'runs/nope'.*check the path"),
    (("resume", "runs/nope"), "runs/nope is no run folder: expected run.yaml"),
    (("annotate", "runs/nope", "--polygons"), "runs/nope is no run folder: expected manifest"),
    (("resume", "good.txt"), "good.txt is no run folder: expected run.yaml"),
    (("config", "init", "nope/x.yaml"), "nope/x.yaml: no folder 'nope'"),
    (("filter", "photos", "-c", "mug", "--log-file", "photos/NEW.JPG"), "no picture's"),
    (("replay", "lines", "--out", "lines"), "--out lines is the run itself: name a new folder"),
    (("train", "photos"), "photos: a folder, pipe or device; expected the YAML"),
    (("dataset", "check", "good.txt"), "no folder 'good.txt'"),
    ((*DRAW, "--init-image", "photos"), "photos: a folder; expected a picture file"),
    ((*DRAW, "--init-image", "pipe"), "pipe: a pipe, socket or device; expected a picture"),
    ((*DRAW, "--preset", "gone.yaml"), "no file 'gone.yaml'"),
    (("filter", "loop", "--class", "mug"), "loop: cannot be read .Too many levels"),
    (("filter", "empty", "--class", "mug"), "empty holds no picture"),
    (("filter", "@none.txt", "--class", "mug"), "list|no file"),
    (("replay", LONG), "too long"),
    (("lora", "info", LONG), "too long"),
    (("checkpoints", "info", LONG), "too long"),
    # files of the user
    (("filter", "zero.png", "--class", "mug"), "zero.png.*0 bytes"),
    (("run", "words.png", "--class", "mug"), "words.png.*not a picture"),
    (("enhance", "cut.png", "--class", "mug"), "cut.png.*truncated"),
    ((*DRAW, "--preset", "a.yaml"), "a.yaml: a base of itself"),
    ((*DRAW, "--preset", "double.yaml"), "double.yaml.*'run' is there twice, in lines 2 and 3"),
    ((*DRAW, "--preset", "yes.yaml"), "seed: true; expected a number"),
    ((*DRAW, "--preset", "list.yaml"), "list.yaml: expected sections"),
    ((*DRAW, "--preset", "bomb.yaml"), "bomb.yaml.*aliases stand for 8e.10 values"),
    ((*DRAW, "--preset", "tab.yaml"), "tab.yaml.*token, line 2, column 1"),
    ((*DRAW, "--preset", "nan.yaml"), "generate.cfg_scale nan: should be a finite number"),
    ((*DRAW, "--preset", "latin.yaml"), "latin.yaml: not UTF-8 text.*save it as UTF-8"),
    ((*DRAW, "--prompt-file", "none.txt"), "none.txt: no prompt in it; expected one a line"),
    ((*DRAW, "--prompt-file", "column.csv"), "column.csv: line 1: unknown column 'nope'"),
    ((*DRAW, "--prompt-file", "latin.yaml"), "latin.yaml: not UTF-8 text"),
    ((*DRAW, "--prompt-file", "lora.txt"), "no LoRA 'zz'"),
    ((*DRAW, "--prompt-file", "gone.txt"), "no file 'gone.txt': expected a text file"),
    ((*DRAW, "--prompt-file", "."), "[.]: a folder, pipe or device; expected a text file"),
    ((*RUN, "--prompt-file", "good.txt", "words.png"), "--prompt-file with PHOTOS"),
    ((*DRAW, "--prompt-file", "good.txt", "--prompt", "x"), "--prompt-file with --prompt"),
    (("resume", "broken"), "broken/run.yaml: not YAML.*mend the file"),
    (("annotate", "lines", "--polygons"), "lines/manifest.jsonl line 1: not JSON"),
    # encodings
    (("prompt", LATIN), r"'caf\\udce9': expected text in UTF-8"),
    (
        ("dataset", "caption", "x", "--no-model", "--tag", LATIN),
        r"'caf\\udce9': expected text in UTF-8",
    ),
]
"""Words of a command, and what its sentence says, as a regular expression."""
UNREADABLE = [
    (("filter", "locked.png", "--class", "mug"), "locked.png: permission denied; allow reading"),
    (("filter", "locked", "--class", "mug"), "locked cannot be read.*allow reading it"),
    ((*DRAW, "--preset", "locked.yaml"), "locked.yaml: permission denied.*allow reading"),
]
"""What everyone but root is refused."""


@pytest.fixture
def home(own_home: Path) -> Path:
    """A folder with FILES, a link to itself, a pipe, and what must not be read."""
    for name, data in FILES.items():
        path = own_home / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(data.encode() if isinstance(data, str) else data)
    os.symlink("loop", own_home / "loop")
    os.mkfifo(own_home / "pipe")
    (own_home / "locked").mkdir(mode=0)
    Image.new("RGB", (8, 8)).save(own_home / "locked.png")
    (own_home / "locked.yaml").write_text("base: mini")
    for name in ("locked.png", "locked.yaml"):
        (own_home / name).chmod(0)
    return own_home


def names(folder: Path) -> set[Path]:
    """What is in a folder, but for the program's cache."""
    return {path for path in folder.rglob("*") if folder / "cache" not in (path, *path.parents)}


@pytest.mark.parametrize(("words", "said"), USAGE + (UNREADABLE if os.geteuid() else []))
def test_it_is_refused_in_one_sentence(words: tuple[str, ...], said: str, home: Path) -> None:
    before = names(home)
    sentence = refused(*words)
    assert re.search(said, sentence), sentence
    assert not re.search(r"Errno|Error|unicode string|Traceback", sentence), sentence
    assert names(home) == before


@pytest.mark.parametrize(
    "words",
    [(*RUN, "--preset", "sd15"), ("checkpoints", "pull", "--preset", "sd15"),
     (*DRAW, "--set", "generate.model=owner/nothing")],
)  # fmt: skip
def test_what_is_not_here_is_not_fetched_offline(words: tuple[str, ...], home: Path) -> None:
    first_use.forget_listings()  # of tests before, in this process
    before = names(home)
    assert "and HF_HUB_OFFLINE is set; unset it" in refused(*words, code=1)
    assert names(home) == before


def test_outputs_that_take_nothing(home: Path) -> None:
    """A full device, no output at all, and a terminal without Unicode; in one process."""
    code = (
        "import os, sys\n"
        "from visuals.pipeline.cli import main\n"
        "def call(*words):\n"
        "    try: main(list(words))\n"
        "    except SystemExit as end: return end.code\n"
        "sys.stdout = open('/dev/full', 'w')\n"
        "codes = [call('classes')]\n"
        "sys.stdout = None\n"
        "codes += [call('classes')]\n"
        "sys.stdout = open('ascii.txt', 'w', encoding='ascii')\n"
        "codes += [call('config', 'show')]\n"
        "sys.stdout = sys.__stdout__\n"
        "words = ['filter', 'zero.png', 'words.png', '-c', 'mug', '--log-file', '/dev/full']\n"
        "codes += [call(*words)]\n"
        "sys.stderr.write(repr(codes))\n"
        "os._exit(0)"
    )
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert "Traceback" not in done.stderr and "Errno" not in done.stderr, done.stderr
    assert done.stderr.startswith("visuals: the output: no space left on the device; make room")
    assert "[1, 0, 0, " in done.stderr
