"""The Cog predictor under the real cog: called as a class, and served by cog's own server."""

from __future__ import annotations

import ast
import base64
import configparser
import importlib.util
import inspect
import io
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from PIL import Image

from visuals.pipeline.images.read import read_image

ROOT = Path(__file__).resolve().parents[2]
HOSTING = ROOT / "hosting"
MUG = ROOT / "samples" / "photos" / "04-teal-mug.jpg"
EMPTY = ROOT / "samples" / "photos" / "19-empty.jpg"


def test_the_requirements_are_those_of_the_package() -> None:
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    listed = (HOSTING / "requirements.txt").read_text().splitlines()
    wanted = setup["options"]["install_requires"].split()
    assert [line for line in listed if not line.startswith("#")] == wanted


def test_cog_yaml_names_what_is_there() -> None:
    """Paths are read from the root of the repository: cog build -f hosting/cog.yaml."""
    config = yaml.safe_load((HOSTING / "cog.yaml").read_text())
    file, name = config["predict"].split(":")
    tree = ast.parse((ROOT / file).read_text())
    assert name in {node.name for node in tree.body if isinstance(node, ast.ClassDef)}
    assert (ROOT / config["build"]["python_requirements"]).is_file()
    names = [variable.split("=")[0] for variable in config["environment"]]
    assert not [n for n in names if n.startswith(("REPLICATE_", "CUDA_", "NVIDIA_", "PYTHON"))]


def test_inputs_are_literals() -> None:
    """`cog build` reads them from the source, without running it."""
    tree = ast.parse((HOSTING / "predict.py").read_text())
    calls = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Input"
    ]
    assert len(calls) > 10
    for call in calls:
        given = {word.arg: ast.literal_eval(word.value) for word in call.keywords}
        assert given["description"]


@pytest.fixture(scope="module")
def predictor(mini: Path) -> Any:
    pytest.importorskip("cog", reason="cog is not installed: pip install 'product-visuals[dev]'")
    spec = importlib.util.spec_from_file_location("predict", HOSTING / "predict.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VISUALS_PRESET", "mini")
        made = module.Predictor()
        made.setup()
    return made


@pytest.fixture
def predict(predictor: Any) -> Any:
    """Call it as cog does: every input has its default."""
    usual = {
        name: parameter.default.default
        for name, parameter in inspect.signature(predictor.predict).parameters.items()
    }

    def call(**given: Any) -> list[Path]:
        return [Path(str(path)) for path in predictor.predict(**{**usual, "steps": 2, **given})]

    return call


def pixels(path: Path) -> np.ndarray:
    return read_image(path).rgb


def test_pictures_are_drawn_found_and_redrawn(predict: Any, capsys: Any) -> None:
    first = [pixels(path) for path in predict(class_name="mug", seed=3, confidence=0.0)]
    assert len(first) == 1 and first[0].shape == (224, 224, 3)
    assert "seed 3\n" in capsys.readouterr().out
    again = [pixels(path) for path in predict(class_name="mug", seed=3, confidence=0.0)]
    other = [pixels(path) for path in predict(class_name="mug", seed=4, confidence=0.0)]
    assert np.array_equal(first[0], again[0]) and not np.array_equal(first[0], other[0])


def test_a_photo_keeps_its_scene(predict: Any, predictor: Any, mini_is_trained: bool) -> None:
    if not mini_is_trained:
        pytest.skip("the embedded models are not trained yet")
    (path,) = predict(class_name="mug", image=str(MUG), edit="red", strength=0.5, seed=1)
    photo, result = pixels(MUG), pixels(path)
    blend = pixels(Path(predictor.folder) / "masks" / f"{MUG.stem}.blend.png")[..., 0]
    assert np.array_equal(photo[blend == 0], result[blend == 0]) and (photo != result).any()
    before = Path(predictor.folder)
    (jpeg,) = predict(class_name="mug", image=str(MUG), output_format="jpeg")
    assert jpeg.suffix == ".jpg" and not before.exists()


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"class_name": "mug", "image": str(EMPTY)}, "no picture was kept: 19-empty skipped: no '"),
        ({"class_name": "mug", "image": str(ROOT / "setup.cfg")}, "not a picture"),
        ({"class_name": " , "}, "no --class: expected the product"),
        ({"class_name": "unicorn"}, "does not know 'unicorn'"),
        ({"class_name": "mug", "width": 100}, "width 100: expected a multiple of 8"),
        ({"class_name": "mug", "prompt": "mug <lora:none:1>"}, "none"),
    ],
)
def test_a_prediction_fails_in_a_sentence(
    predict: Any, mini_is_trained: bool, given: Any, said: str
) -> None:
    if not mini_is_trained:
        pytest.skip("the embedded models are not trained yet")
    with pytest.raises(ValueError) as caught:
        predict(**given)
    assert said in str(caught.value)


def test_the_repository_is_imported_by_name_where_it_is_not_installed(tmp_path: Path) -> None:
    """As in Cog's image, where the working tree is /src."""
    code = f"""
import importlib.util, sys
cog = sys.modules["cog"] = type(sys)("cog")
for name in ("BasePredictor", "Input", "Path"):
    setattr(cog, name, type(name, (), {{"__init__": lambda *a, **k: None}}))
found = importlib.util.find_spec
importlib.util.find_spec = lambda name, *a: None if name == "visuals" else found(name, *a)
spec = importlib.util.spec_from_file_location("predict", {str(HOSTING / "predict.py")!r})
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
module._importable()
import visuals.configs.schema as schema
print(schema.__file__)
"""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert Path(done.stdout.strip()) == ROOT / "configs" / "schema.py"


@pytest.fixture
def server(mini: Path) -> Iterator[str]:
    pytest.importorskip("cog", reason="cog is not installed: pip install 'product-visuals[dev]'")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    stub = {"COG_PREDICT_TYPE_STUB": "hosting/predict.py:Predictor", "VISUALS_PRESET": "mini"}
    process = subprocess.Popen(
        [sys.executable, "-m", "cog.server.http", "--host", "127.0.0.1"],
        cwd=ROOT,
        env={**os.environ, **stub, "PATH": path, "PORT": str(port)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    url, last = f"http://127.0.0.1:{port}", time.monotonic() + 300
    try:
        while True:
            try:
                with urllib.request.urlopen(f"{url}/health-check") as answer:
                    status = json.load(answer)["status"]
            except urllib.error.URLError:
                status = "NOT YET"
            if status == "READY":
                break
            assert status in ("NOT YET", "STARTING") and time.monotonic() < last, status
            time.sleep(0.5)
        yield url
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(60)


@pytest.mark.slow
def test_cogs_server_answers_with_the_picture(server: str) -> None:
    body = {"input": {"class_name": "mug", "seed": 3, "steps": 2, "confidence": 0.0}}
    request = urllib.request.Request(
        f"{server}/predictions",
        json.dumps(body).encode(),
        {"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=300) as answer:
        record = json.load(answer)
    assert record["status"] == "succeeded", record.get("error")
    (address,) = record["output"]
    data = base64.b64decode(address.partition(",")[2])
    assert Image.open(io.BytesIO(data)).size == (224, 224)
    assert "seed 3" in record["logs"] and "mug-0001: enhanced" in record["logs"]
