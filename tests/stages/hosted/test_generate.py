"""Stage 1 on a host, against a stand-in that speaks Replicate's HTTP API over real sockets."""

from __future__ import annotations

import base64
import io
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.replicate_stand_in import CUT, DROP, MODEL, OFFICIAL, TOKEN, VERSION, Ending, Replicate
from PIL import Image

from visuals.configs.replicate import InputNames
from visuals.stages.hosted import http, replicate
from visuals.stages.hosted.generate import HostedGenerator, picture
from visuals.stages.hosted.http import HostError
from visuals.stages.hosted.replicate import RefusedError, ReplicateClient
from visuals.stages.shot import FileInput, Prompted, Shot

PHOTO = Path(__file__).parents[3] / "samples" / "photos" / "04-teal-mug.jpg"
PIXELS = np.array(Image.open(PHOTO).convert("RGB"))


def plan(inputs: dict[str, Any]) -> Ending:
    words = inputs["prompt"]
    if "naked" in words:
        return Ending("failed", error="NSFW content detected. Try running it again, or …")
    if "broken" in words:
        return Ending("failed", error="CUDA out of memory")
    if "withdrawn" in words:
        return Ending("canceled")
    if "forever" in words:
        return Ending("")
    return Ending(data=[PHOTO.read_bytes()])


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch) -> Iterator[Replicate]:
    monkeypatch.setattr(http, "FIRST_PAUSE", 0.01)
    monkeypatch.setattr(replicate, "FIRST_LOOK", 0.01)
    with Replicate(plan) as running:
        yield running


def generator(host: Replicate, **more: Any) -> HostedGenerator:
    given = {"names": InputNames().model_dump(), "values": {"width": 512, "num_outputs": 1}}
    client = ReplicateClient(
        more.pop("token", TOKEN), base_url=host.url, timeout=more.pop("timeout", 60)
    )
    return HostedGenerator(client, more.pop("version", MODEL), **{**given, **more})


def prompted(*prompts: str) -> list[Shot]:
    return [
        Shot(id=f"s{k}", source=Prompted(text, "blur", 40 + k), classes=("mug",))
        for k, text in enumerate(prompts)
    ]


def test_a_prompt_becomes_the_hosts_picture(host: Replicate) -> None:
    photo = Shot(id="photo", source=FileInput("x.png", 1), classes=("mug",))
    first, passed, second = generator(host)([*prompted("a mug"), photo, *prompted("a cup")])
    assert passed is photo
    for shot in (first, second):
        assert shot.open and shot.image is not None and np.array_equal(shot.image, PIXELS)
        assert isinstance(shot.source, Prompted) and shot.source.prediction is not None
        record = host.predictions[shot.source.prediction["id"]]
        assert shot.source.prediction["version"] == VERSION == record["version"]
        assert record["input"] == {
            "prompt": shot.source.prompt, "negative_prompt": "blur", "seed": shot.seed,
            "width": 512, "num_outputs": 1,
        }  # fmt: skip
    assert {h.get("Authorization") for _, p, h in host.requests if p.startswith("/v1/")} == {
        f"Bearer {TOKEN}"
    }
    assert not [h for _, p, h in host.requests if p.startswith("/p") and "Authorization" in h]
    (begun, *_) = (h for m, _, h in host.requests if m == "POST")
    assert begun["Cancel-After"] == "60s"


def test_inputs_are_named_as_the_settings_say(host: Replicate) -> None:
    names = InputNames(guidance_scale="cfg", seed=None, width=None).model_dump()
    made = generator(
        host,
        names=names,
        values={"width": 512, "guidance_scale": 4.0, "lora_scale": None, "num_outputs": 1},
        inputs={"num_outputs": 2, "apply_watermark": False},
    )
    (source,) = (
        s.source for s in prompted("a (red:1.3) mug, [plain] \\(x\\) BREAK cup <lora:a:1>")
    )
    assert isinstance(source, Prompted)
    assert made.sent(source) == {
        "prompt": "a red mug, plain (x)cup",
        "negative_prompt": "blur",
        "cfg": 4.0,
        "num_outputs": 2,
        "apply_watermark": False,
    }
    raw = generator(host, plain_prompts=False)
    assert raw.sent(source)["prompt"] == "a (red:1.3) mug, [plain] \\(x\\) BREAK cup"


def test_one_that_fails_leaves_the_others(host: Replicate) -> None:
    names = ("a mug", "naked mug", "broken mug", "withdrawn mug", "a cup")
    good, flagged, broken, withdrawn, last = generator(host, batch_size=2)(prompted(*names))
    assert good.image is not None and last.image is not None
    assert flagged.status == "skipped" and flagged.reason and flagged.reason.code == "flagged"
    assert "NSFW content detected" in flagged.reason.message
    for shot, said in ((broken, "failed: CUDA out of memory"), (withdrawn, "canceled: no reason")):
        assert shot.status == "failed" and shot.failure and said in shot.failure.message
        assert shot.failure.where == "generate"
        assert isinstance(shot.source, Prompted) and shot.source.prediction
        assert shot.source.prediction["id"] in shot.failure.message
    assert host.most_running == 2 and not host.canceled


@pytest.mark.parametrize("what", [429, 500, 502, 503, 504, DROP])
@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", "/v1/predictions"), ("GET", "/v1/predictions/"), ("GET", "/p")],
    ids=["begin", "look", "download"],
)
def test_what_passes_is_tried_again(host: Replicate, method: str, path: str, what: Any) -> None:
    host.faults = [(method, path, what, {})] * 3
    (shot,) = generator(host)(prompted("a mug"))
    assert shot.image is not None and np.array_equal(shot.image, PIXELS)
    assert not host.faults and len(host.predictions) == 1


def test_half_a_picture_is_fetched_again(host: Replicate) -> None:
    host.faults = [("GET", "/p", CUT, {})]
    (shot,) = generator(host)(prompted("a mug"))
    assert shot.image is not None and host.times("GET", "/p") == 2


@pytest.mark.parametrize("as_date", [False, True])
def test_it_waits_as_long_as_it_is_told(host: Replicate, as_date: bool) -> None:
    from email.utils import formatdate

    after = formatdate(time.time() + 2.5, usegmt=True) if as_date else "1.2"
    host.faults = [("POST", "/v1/predictions", 429, {"Retry-After": after})]
    started = time.monotonic()
    (shot,) = generator(host)(prompted("a mug"))
    assert shot.image is not None and time.monotonic() - started > 1


def test_a_host_that_stays_away_is_given_up(host: Replicate) -> None:
    host.faults = [("POST", "/v1/predictions", 503, {})] * 100
    (shot,) = generator(host)(prompted("a mug"))
    assert shot.failure and "answered 503, 6 times in a row" in shot.failure.message
    assert host.times("POST", "/v1/predictions") == http.ATTEMPTS
    host.faults = []
    host.__exit__(None, None, None)
    (shot,) = generator(host)(prompted("a mug"))
    assert shot.failure and "the connection was refused or dropped" in shot.failure.message


def test_a_prediction_that_is_lost_sight_of_is_canceled(host: Replicate) -> None:
    host.faults = [("GET", "/v1/predictions/", DROP, {})] * 6
    (shot,) = generator(host)(prompted("forever"))
    assert shot.status == "failed" and host.canceled == ["p00000001"]


def test_one_that_takes_too_long_is_canceled(host: Replicate) -> None:
    (shot,) = generator(host, timeout=0.3)(prompted("forever"))
    assert shot.failure and "after 0.3 seconds: canceled" in shot.failure.message
    assert host.canceled == ["p00000001"] and host.running == 0


def test_ctrl_c_cancels_what_runs(host: Replicate) -> None:
    """The main thread's KeyboardInterrupt, as Python raises it for a signal."""
    import signal

    def press() -> None:
        host.wait_for(lambda: host.running == 2 and host.times("GET", "/v1/pred") > 2)
        signal.raise_signal(signal.SIGINT)

    threading.Thread(target=press, daemon=True).start()
    with pytest.raises(KeyboardInterrupt):
        generator(host, batch_size=2)(prompted("forever", "forever more", "a mug"))
    assert sorted(host.canceled) == ["p00000001", "p00000002"] and len(host.predictions) == 2


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"token": "r8_wrong"}, "does not know the token (Invalid token): set REPLICATE_API_TOKEN"),
        ({"version": "a/b:" + "0" * 64}, "(Invalid version): check generate.version"),
        ({"version": "a/b"}, "has no models/a/b/predictions"),
        ({"inputs": {"sed": 1}}, "Additional property sed is not allowed): check generate.version"),
    ],
)
def test_what_is_refused_says_what_to_set(host: Replicate, change: Any, said: str) -> None:
    (shot,) = generator(host, **change)(prompted("a mug"))
    assert shot.failure and said in shot.failure.message and shot.failure.kind == "RefusedError"
    assert host.times("POST", "/v1/") == 1


def test_out_of_money(host: Replicate) -> None:
    host.faults = [("POST", "/v1/predictions", 402, {})]
    (shot,) = generator(host)(prompted("a mug"))
    assert shot.failure and "wants to be paid first" in shot.failure.message


def test_versions_in_each_form(host: Replicate) -> None:
    for version in (MODEL, VERSION, OFFICIAL):
        (shot,) = generator(host, version=version)(prompted("a mug"))
        assert shot.image is not None, shot.failure
    paths = [p for m, p, _ in host.requests if m == "POST"]
    assert paths == ["/v1/predictions"] * 2 + [f"/v1/models/{OFFICIAL}/predictions"]


@pytest.mark.parametrize(
    ("output", "said"),
    [
        (None, "succeeded without a picture"),
        ([], "succeeded without a picture"),
        ({"seed": 1}, "succeeded without a picture"),
        ("nowhere", "Invalid URL"),
        ("file:///etc/passwd", "No connection adapters"),
        ("data:image/png;base64,AAAA", "no whole picture (3 bytes"),
        ("data:image/png;base64,§", "no base64"),
    ],
)
def test_odd_outputs_fail_in_a_sentence(host: Replicate, output: Any, said: str) -> None:
    host.plan = lambda inputs: Ending(output=output)
    (shot,) = generator(host)(prompted("a mug"))
    assert shot.failure and said in shot.failure.message


def test_a_single_address_and_a_data_address_are_outputs_too(host: Replicate) -> None:
    data = base64.b64encode(PHOTO.read_bytes()).decode()
    host.plan = lambda inputs: Ending(output=f"data:image/jpeg;base64,{data}")
    (shot,) = generator(host)(prompted("a mug"))
    assert shot.image is not None and np.array_equal(shot.image, PIXELS)
    host.plan = lambda inputs: Ending(output=f"{host.delivery}/gone.png")
    (shot,) = generator(host)(prompted("a mug"))
    assert shot.failure and "answered 404 for an output" in shot.failure.message


def test_an_answer_without_end_is_cut_off(host: Replicate, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "MOST_BYTES", 4096)
    (shot,) = generator(host)(prompted("a mug"))
    assert shot.failure and "an answer of over" in shot.failure.message


def test_pictures_come_as_rgb(monkeypatch: pytest.MonkeyPatch) -> None:
    file = io.BytesIO()
    Image.new("RGBA", (6, 4), (10, 20, 30, 128)).save(file, "WEBP", lossless=True)
    assert picture(file.getvalue()).tolist() == [[[10, 20, 30]] * 6] * 4
    with pytest.raises(HostError, match="no whole picture"):
        picture(PHOTO.read_bytes()[:3000])
    monkeypatch.setattr("visuals.stages.hosted.generate.MOST_PIXELS", 20)
    with pytest.raises(HostError, match="6 × 4 pixels: too large"):
        picture(file.getvalue())


def test_the_account_is_asked(host: Replicate) -> None:
    assert ReplicateClient(TOKEN, base_url=host.url).account() == "tester"
    with pytest.raises(RefusedError, match="does not know the token"):
        ReplicateClient("r8_wrong", base_url=host.url).account()
