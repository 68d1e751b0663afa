"""Runs whose folder is in an object store, against a server that speaks S3 on this machine."""

from __future__ import annotations

import json
import os
import pickle
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache, partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import psutil
import pytest
from helpers.command_line import EVERYTHING, checked
from helpers.reference_run import COUNT, ReferenceRun

from visuals.benchmarks import crash_recovery
from visuals.pipeline.inputs import shots
from visuals.pipeline.runner.run import Stages, run_shots
from visuals.pipeline.runs import remote_folder
from visuals.pipeline.runs.folder import NAME, WriteError
from visuals.pipeline.runs.lock import HOLDER, RunLockedError
from visuals.pipeline.runs.object_store import ObjectStore, ObjectStoreError
from visuals.pipeline.runs.object_store_lock import ObjectStoreLock
from visuals.pipeline.runs.run_yaml import RunFolderError

pytestmark = pytest.mark.usefixtures("loaded_models")

moto = pytest.importorskip("moto.server", reason="moto is not installed: the dev extra has it")
pytest.importorskip("s3fs", reason="s3fs is not installed: pip install 'product-visuals[s3]'")

FILTER = ("--class", "mug", *EVERYTHING, "--batch-size", "1")
OFTEN = """
import sys
from visuals.pipeline.runs import storage
from visuals.pipeline.cli import main
storage.UPLOAD_INTERVAL = 0.2
main(sys.argv[1:])
"""
"""`visuals` that puts its manifest five times a second, so that a test is short."""


@pytest.fixture(scope="module")
def server() -> Iterator[Any]:
    """In a thread of this process: what it holds outlives its being stopped and started."""
    running = moto.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    running.start()
    running._port = running.get_host_and_port()[1]
    yield running
    running.stop()


@pytest.fixture(autouse=True)
def shop(server: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> str:
    """The name of a bucket of the test's own, and an environment that leads to it."""
    host, port = server.get_host_and_port()
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    bucket = f"b{abs(hash(tmp_path))}"
    s3_client().create_bucket(Bucket=bucket)
    return bucket


@pytest.fixture
def photos(tmp_path: Path, mini: Path) -> Path:
    crash_recovery.photos(tmp_path / "photos", 6, 64)
    return tmp_path / "photos"


def started(*arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", OFTEN, *arguments],
        stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True,
    )  # fmt: skip


def wait_until(true: Callable[[], Any], process: subprocess.Popen[str] | None = None) -> None:
    end = time.monotonic() + 120
    while not true():
        assert process is None or process.poll() is None, process.communicate()[1]
        assert time.monotonic() < end, "waited for two minutes"
        time.sleep(0.05)


def lines(store: ObjectStore) -> list[str]:
    return [line["id"] for line in store.lines(NAME)]


@cache
def s3_client() -> Any:
    import boto3

    return boto3.client("s3")


def holds(store: ObjectStore, least: int) -> bool:
    """Whether the manifest has so many lines; one request, as the server is in this process."""
    bucket, _, folder = store.url.removeprefix("s3://").partition("/")
    client = s3_client()
    try:
        manifest = client.get_object(Bucket=bucket, Key=f"{folder}/{NAME}")["Body"].read()
    except client.exceptions.NoSuchKey:
        return False
    return manifest.count(b"\n") >= least


def same(store: ObjectStore, whole: Path, count: int) -> None:
    """The run in the store is the one on disk: lines, files, pixels; nothing is left over."""
    with remote_folder.fetched(store.url) as folder:
        found = crash_recovery.compare(folder, whole)
        there = {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()}
    assert (found["lines"], found["twice"], found["missing"]) == (count, 0, 0), found
    assert found["lines_that_differ"] == found["files_broken"] == 0, found
    here = {p.relative_to(whole).as_posix() for p in whole.rglob("*") if p.is_file()}
    assert there == {name for name in here if not name.startswith(".")}
    assert not [name for name in store.names() if name.startswith(".")]


# --- runs


@pytest.mark.parametrize("name", ["images/x.png", "notes.txt", "run.yaml", NAME])
def test_a_folder_of_other_objects_is_refused(shop: str, name: str) -> None:
    store = ObjectStore(f"s3://{shop}/mine")
    store.put(name, b"mine")
    refused = pytest.raises(RunFolderError, match=r"is no run folder|expected request")
    with refused, remote_folder.opened(store, {"request": {}, "settings": {}}):
        pass
    assert store.names() == [name] and store.get(name) == b"mine"


def test_objects_that_no_file_can_be_are_left_out_by_name(shop: str) -> None:
    store = ObjectStore(f"s3://{shop}/one")
    odd = ["../up.txt", "a//b", "./c", "images/", "n" * 300, "notes/x", "z\x1b"]
    good = ["images/x.png", "notes", "run.yaml", "ü %2F#.txt"]
    for name in (*good, *odd):
        store.put(name, b"request: {}\nsettings: {}\n")
    notes: list[str] = []
    with remote_folder.fetched(store.url, notes.append) as folder:
        there = {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()}
        assert not (folder.parent / "up.txt").exists()
    assert there == {*good, "z\x1b"}
    for name in ("../up.txt", "a//b", "./c", "n" * 300, "notes/x"):
        assert [note for note in notes if f"'{name}' is no name of a file of a run" in note]
    assert len(notes) == 5


def test_errors_name_the_url_and_not_the_copy(shop: str) -> None:
    store = ObjectStore(f"s3://{shop}/one")
    store.put("run.yaml", b"request: {}\nsettings: {}\n")
    store.put(NAME, b"no line")
    refused = pytest.raises(RunFolderError, match=f"^{store.url}/{NAME} ends in")
    with refused, remote_folder.opened(store, {"request": {}, "settings": {}}):
        pass
    refused = pytest.raises(RunFolderError, match=f"^{store.url}/x is gone")
    with refused, remote_folder.fetched(store.url) as folder:
        raise RunFolderError(f"{folder}/x is gone")


def test_a_run_in_a_store_is_the_run_on_disk(photos: Path, shop: str, tmp_path: Path) -> None:
    url, whole = f"s3://{shop}/runs/one", tmp_path / "whole"
    checked("filter", str(photos), *FILTER, "--out", str(whole))
    said = json.loads(checked("filter", str(photos), *FILTER, "--out", url, "--json").stdout)
    assert said["folder"] == url and said["report"] == f"{url}/report.html"
    assert said["kept"] == 6 and all(p.startswith(f"{url}/images/") for p in said["pictures"])
    store = ObjectStore(url)
    same(store, whole, 6)
    page = store.get("report.html")
    assert page and page.count(b"<article") == 6 and page.count(b'alt="00000, source"') == 1
    assert json.loads(checked("resume", url, "--json").stdout)["resumed"] == 6
    refused = checked("filter", str(photos), *FILTER, "--seed", "5", "--out", url, code=2).stderr
    assert f"{url} holds a run with other settings (settings.run.seed: 0 → 5)" in refused
    forked = checked("filter", str(photos), *FILTER, "--seed", "5", "--out", url, "--fork")
    assert f"{url}-2/images" in forked.output and len(lines(ObjectStore(f"{url}-2"))) == 6
    done = checked("filter", str(photos), *FILTER, "--out", url, "--dry-run").output
    assert "0 to do" in done


def test_a_finished_run_is_read_from_the_store(photos: Path, shop: str, tmp_path: Path) -> None:
    url = f"s3://{shop}/one"
    checked("filter", str(photos), *FILTER, "--out", url)
    checked("export", url, "--out", str(tmp_path / "export"))
    assert len(list((tmp_path / "export").rglob("*.txt"))) == 6
    checked("annotate", url, "--out", str(tmp_path / "notes"))
    assert json.loads((tmp_path / "notes" / "coco.json").read_text())["images"]
    said = checked("replay", url, "00003", "--out", str(tmp_path / "again")).output
    assert "00003\tequal" in said
    for command in (["export", url], ["annotate", url]):
        assert "without --out: expected a folder on a disk" in checked(*command, code=2).stderr
    said = checked("replay", url, "--out", f"s3://{shop}/again", code=2).stderr
    assert "expected a local path" in said
    said = checked("enhance", url, "--class", "mug", code=2).stderr
    assert "expected photos on a disk; copy them here first" in said


def test_a_drawn_picture_says_the_same_of_itself(mini: Path, shop: str, tmp_path: Path) -> None:
    command = ["generate", "--class", "mug", "--count", "1", "--set", "generate.steps=1", "--out"]
    checked(*command, str(tmp_path / "whole"))
    checked(*command, f"s3://{shop}/drawn")
    name = "images/mug-0001.png"
    there = ObjectStore(f"s3://{shop}/drawn").get(name)
    assert there and there == (tmp_path / "whole" / name).read_bytes()


@pytest.mark.slow
def test_killed_in_mid_run_it_goes_on(shop: str, reference_run: ReferenceRun) -> None:
    url = f"s3://{shop}/killed"
    store = ObjectStore(url)
    stood = 0
    for run in (["--out", url], None):
        process = started(*reference_run.command, *run) if run else started("resume", url)
        wait_until(partial(holds, store, stood + 3), process)
        process.kill()
        process.wait()
        stood = len(lines(store))
        assert 3 <= stood < COUNT and store.get(HOLDER)
    said = json.loads(checked("resume", url, "--json").stdout)
    assert said["resumed"] == stood and said["total"] == COUNT - stood
    same(store, reference_run.folder, COUNT)


@pytest.mark.slow
def test_ctrl_c_twice_leaves_no_lock_in_the_store(shop: str, reference_run: ReferenceRun) -> None:
    store = ObjectStore(f"s3://{shop}/stopped")
    process = started(*reference_run.command, "--out", store.url)
    wait_until(partial(holds, store, 3), process)
    for _ in range(2):
        process.send_signal(signal.SIGINT)
        time.sleep(0.05)
    _, said = process.communicate(timeout=60)
    stood = len(lines(store))
    assert process.returncode == 130 and "Traceback" not in said, said
    assert f"visuals resume {store} goes on: {stood} pictures are done and kept" in said
    assert 3 <= stood < COUNT and store.get(HOLDER) is None


@pytest.mark.slow
def test_a_store_that_is_gone_for_a_while(
    server: Any, shop: str, reference_run: ReferenceRun
) -> None:
    url = f"s3://{shop}/gone"
    store = ObjectStore(url)
    process = started(*reference_run.command, "--out", url)
    wait_until(partial(holds, store, 3), process)
    server.stop()
    try:
        _, said = process.communicate(timeout=120)
    finally:
        server.start()
    assert process.returncode == 1 and "Traceback" not in said, said
    last = said.strip().splitlines()[-1]
    assert f"cannot use {url} (" in last and "check the network and the store's address" in last
    stood = len(lines(store))
    assert 3 <= stood < COUNT
    kept = re.search(rf"visuals resume {url} goes on: (\d+) pictures are done and kept", last)
    assert kept and 3 <= int(kept[1]) <= stood, last  # an answer to a put may have been lost
    assert json.loads(checked("resume", url, "--json").stdout)["resumed"] == stood
    assert sorted(lines(store)) == [f"{k:05d}" for k in range(COUNT)]


@pytest.mark.slow
@pytest.mark.skipif(
    find_spec("ray") is None, reason="Ray is not installed: pip install 'product-visuals[ray]'"
)
def test_ray_writes_to_the_store(shop: str, reference_run: ReferenceRun) -> None:
    """And a worker that is killed costs nothing."""
    url = f"s3://{shop}/ray"
    store = ObjectStore(url)
    process = started(
        *reference_run.command, "--out", url, "--engine", "ray", "--workers", "1",
        "--cpus-per-worker", "1", "--address", "local",
    )  # fmt: skip
    wait_until(partial(holds, store, 5), process)
    for child in psutil.Process(process.pid).children(recursive=True):
        if child.cmdline()[:1] in (["ray::RayWorker"], ["ray::RayWorker.work"]):
            child.kill()
    _, said = process.communicate(timeout=300)
    assert process.returncode == 0 and said.count("a worker died on") == 1, said
    same(store, reference_run.folder, COUNT)


# --- what a store may refuse


def test_stores_that_refuse_are_said_in_a_sentence(
    photos: Path, shop: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = checked("filter", str(photos), *FILTER, "--out", "s3://nowhere/x", code=1).stderr
    assert "The specified bucket does not exist); make the bucket nowhere first" in said
    assert "is no run folder" in checked("resume", f"s3://{shop}/none", code=2).stderr
    for url in ("s3://bucket", "s3://", "ftp://bucket/x"):
        said = checked("filter", str(photos), *FILTER, "--out", url, code=2).stderr
        assert f"{url}: expected a folder, s3://bucket/folder or gs://bucket/folder" in said
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    done = subprocess.run(
        [sys.executable, "-m", "visuals", "filter", str(photos), *FILTER, "--out", f"s3://{shop}/x"],
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 1 and done.stderr.count("\n") == 1
    assert "Unable to locate credentials); expected the right to read" in done.stderr


def test_wrong_credentials_are_said(shop: str, monkeypatch: pytest.MonkeyPatch) -> None:
    import moto.core.responses as responses  # its own switch for checking them
    from moto import settings

    monkeypatch.setattr(settings, "INITIAL_NO_AUTH_ACTION_COUNT", 0)
    monkeypatch.setattr(responses.ActionAuthenticatorMixin, "request_count", 0)
    with pytest.raises(
        ObjectStoreError, match=r"expected the right to read, write and delete .*AWS_"
    ):
        ObjectStore(f"s3://{shop}/x").put("name", b"")


def test_a_store_without_its_library(tmp_path: Path, photos: Path) -> None:
    without = "import sys; sys.modules['{0}'] = None; from visuals.pipeline.cli import main; main()"
    for url, module, extra in (("s3://b/x", "s3fs", "s3"), ("gs://b/x", "gcsfs", "gcs")):
        done = subprocess.run(
            [sys.executable, "-c", without.format(module), "filter", str(photos), *FILTER,
             "--out", url], capture_output=True, text=True,
        )  # fmt: skip
        assert done.returncode == 1
        assert (
            done.stderr
            == f"visuals: {module} is not installed; pip install 'product-visuals[{extra}]'\n"
        )


# --- one writer


def test_a_second_writer_is_kept_out(photos: Path, shop: str) -> None:
    url = f"s3://{shop}/one"
    with ObjectStoreLock(ObjectStore(url)):
        said = checked("filter", str(photos), *FILTER, "--out", url, code=2).stderr
    assert f"is being written to by process {os.getpid()} on" in said and said.count("\n") == 1
    assert ObjectStore(url).names() == []


def test_a_dead_writer_is_followed_when_its_lock_is_stale(shop: str) -> None:
    store = ObjectStore(f"s3://{shop}/one")
    store.put(HOLDER, json.dumps({"pid": 1, "host": "other", "machine": "other"}).encode())
    with pytest.raises(
        RunLockedError, match=r"process 1 on other since \?, which gave a sign of life"
    ):
        ObjectStoreLock(store, stale=60).__enter__()
    time.sleep(2.1)  # the store's clock counts seconds
    with ObjectStoreLock(store, stale=1) as lock:
        assert store.get(HOLDER) == lock.holder.encode() and store.names() == [HOLDER]
    assert store.names() == []


def test_a_writer_lives_while_it_gives_signs(shop: str) -> None:
    store = ObjectStore(f"s3://{shop}/one")
    with ObjectStoreLock(store, beat=0.2) as lock:
        time.sleep(3.1)  # the store's clock counts seconds
        assert store.get(HOLDER) == lock.holder.encode() and not lock.lost
        with pytest.raises(RunLockedError, match=r"a sign of life [01] s ago"):
            ObjectStoreLock(store, stale=2).__enter__()
    assert store.names() == []


def test_of_two_that_take_a_lock_at_once_one_gets_it(shop: str) -> None:
    store = ObjectStore(f"s3://{shop}/one")
    assert store.create(HOLDER, b"one") is True
    assert store.create(HOLDER, b"two") is False
    assert store.get(HOLDER) == b"one"


@pytest.mark.parametrize("change", [lambda s: s.remove(HOLDER), lambda s: s.put(HOLDER, b"{}")])
def test_a_folder_that_was_taken_over_is_left_alone(
    change: Callable[[ObjectStore], None], shop: str
) -> None:
    store = ObjectStore(f"s3://{shop}/one")
    one, two = run_shots(shots.prompted(["mug"], 2, prompt="x"), Stages())
    with (
        pytest.raises(WriteError, match="removed, or taken over by another process, in mid-run"),
        remote_folder.opened(store, {"request": {}, "settings": {}}, beat=0.05) as folder,
    ):
        folder.record(one)
        folder.save()
        change(store)
        wait_until(lambda: folder.storage.lock.lost)  # type: ignore[attr-defined]
        folder.record(two)
    assert lines(store) == [one.id]
    assert (store.get(HOLDER) or b"{}") == b"{}"  # another's lock is not taken away


# --- names


def test_a_name_that_no_store_takes_fails_alone(shop: str) -> None:
    store = ObjectStore(f"s3://{shop}/one")
    import numpy as np

    (shot,) = run_shots(shots.prompted(["mug"], 1, prompt="x"), Stages())
    shot = replace(shot, id="/".join(["x" * 200] * 6), image=np.zeros((4, 4, 3), np.uint8))
    with remote_folder.opened(store, {"request": {}, "settings": {}}) as folder:
        record = folder.record(shot)
    assert record.error and record.status == "failed" and "over 1024 bytes" in record.error.message


@pytest.mark.parametrize("name", ["ein Käse/50 % (2).png", "a#b?c*[d].png", "ü&+;=@.png"])
def test_odd_names_come_back(name: str, shop: str, tmp_path: Path) -> None:
    store = ObjectStore(f"s3://{shop}/o d/d")
    store.put(name, b"1")
    assert store.names() == [name] and store.get(name) == b"1"
    store.fetch([name, "not there"], tmp_path)
    assert (tmp_path / name).read_bytes() == b"1" and not (tmp_path / "not there").exists()
    store.remove(name)
    store.remove(name)
    assert store.names() == [] and store.get(name) is None


def test_a_store_travels_to_other_processes_as_its_name(shop: str) -> None:
    store = ObjectStore(f"s3://{shop}/one/")
    store.put("x", b"1")
    again = pickle.loads(pickle.dumps(store))
    assert again.url == store.url == f"s3://{shop}/one" and again.get("x") == b"1"


@pytest.mark.parametrize("name", ["../x", "/x", "a/../../x", "a//x"])
def test_names_that_lead_out_are_no_stores(name: str) -> None:
    with pytest.raises(RunFolderError):
        ObjectStore(name)
