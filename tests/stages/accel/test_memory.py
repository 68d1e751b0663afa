"""Out of memory: the batch is halved until it fits, and what fitted is kept."""

from __future__ import annotations

import gc
import platform
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest

from visuals.configs.errors import is_out_of_memory
from visuals.stages import adaptive_batching
from visuals.stages.accel import memory
from visuals.stages.shot import Detection, Prompted, Shot

CPU = "[enforce fail at alloc_cpu.cpp:117] err == 0. DefaultCPUAllocator: can't allocate memory: you tried to allocate 4000000000000 bytes. Error code 12 (Cannot allocate memory)"  # noqa: E501

GPU = (
    "CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`",
    "CUDA error: CUBLAS_STATUS_NOT_INITIALIZED when calling `cublasCreate(handle)`",
    "cuDNN error: CUDNN_STATUS_ALLOC_FAILED",
    "GET was unable to find an engine to execute this computation",
    "HIP out of memory. Tried to allocate 2.00 GiB",
)


def shots(count: int, found: int = 0) -> list[Shot]:
    boxes = tuple(Detection((0, 0, 1 + k, 2), 0.5, "mug") for k in range(found))
    return [Shot(str(k), Prompted("", "", k), ("mug",), detections=boxes) for k in range(count)]


class Model:
    """A stage whose memory holds `fits` things; a shot has as many as it has detections."""

    def __init__(self, fits: int, batch_size: int = 8, error: Exception | None = None) -> None:
        self.fits, self.batch_size = fits, batch_size
        self.error = error or MemoryError()
        self.sizes: list[int] = []

    def __call__(self, some: Sequence[Shot]) -> list[Shot]:
        return adaptive_batching.apply(some, self.work, where="detect", stage=self)

    def work(self, some: list[Shot]) -> list[Shot]:
        things = sum(max(1, len(s.detections)) for s in some)
        at_once = min(things, self.batch_size)
        self.sizes.append(at_once)
        if at_once > self.fits:
            raise self.error
        return [replace(s, image=np.zeros((1, 1, 3), np.uint8)) for s in some]


@pytest.mark.parametrize("error", [MemoryError(), RuntimeError(CPU)])
def test_the_batch_is_halved_and_the_size_that_works_is_kept(error: Exception) -> None:
    model = Model(fits=3, error=error)
    out = model(shots(8))
    assert [s.id for s in out] == [str(k) for k in range(8)]
    assert all(s.image is not None and s.open for s in out)
    assert model.sizes == [8, 4, 2, 2, 2, 2] and model.batch_size == 2
    model(shots(4))
    assert model.sizes[6:] == [2, 2]


def test_one_shot_with_many_things_is_halved_too() -> None:
    model = Model(fits=2, batch_size=4)
    (shot,) = model(shots(1, found=6))
    assert shot.image is not None and model.batch_size == 2


def test_a_picture_that_is_too_large_alone_fails_alone_and_spoils_no_size() -> None:
    model = Model(fits=0, batch_size=8)
    (shot,) = model(shots(1))
    assert shot.status == "failed" and shot.failure is not None
    assert (shot.failure.kind, shot.failure.where) == ("MemoryError", "detect")
    assert model.batch_size == 8


def test_another_error_halves_nothing() -> None:
    model = Model(fits=0, error=RuntimeError("shape mismatch"))
    out = model(shots(4))
    assert {s.status for s in out} == {"failed"} and model.batch_size == 8


def test_one_shot_too_large_beside_others_is_tried_alone() -> None:
    here, most = threading.Semaphore(1), [0]
    begun = threading.Barrier(2)
    waited: set[str] = set()

    def work(part: list[Shot]) -> list[Shot]:
        if part[0].id not in waited:  # the first time all begin together
            waited.add(part[0].id)
            begun.wait(10)
        if not here.acquire(blocking=False):
            raise RuntimeError(CPU)
        try:
            most[0] += 1
            time.sleep(0.2)
            return [shot.with_metrics(done=1) for shot in part]
        finally:
            here.release()

    with ThreadPoolExecutor(2) as pool:
        parts = [[shot] for shot in shots(2)]
        out = list(
            pool.map(lambda part: adaptive_batching.apply(part, work, where="detect"), parts)
        )
    assert [part[0].metrics.get("done") for part in out] == [1, 1] and most[0] == 2
    assert not [part[0].failure for part in out if part[0].failure]


def test_torch_on_the_cpu_says_it_in_these_words() -> None:
    import torch

    with pytest.raises(RuntimeError) as caught:
        torch.empty(1 << 50, dtype=torch.uint8)
    assert is_out_of_memory(caught.value)
    assert is_out_of_memory(torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"))
    for words in GPU:
        assert is_out_of_memory(RuntimeError(words)), words
    assert not is_out_of_memory(RuntimeError("expected scalar type Half"))


FREED = """
import resource, sys, torch
from visuals.stages.accel import memory
if sys.argv[1] == "keep":
    memory.keep_freed()
def work():
    held = [torch.ones(10 << 20) for _ in range(3)]  # 40 MiB each
def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(8):
    work()
before = faults()
for _ in range(5):
    work()
print(faults() - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="glibc's malloc alone is told")
def test_memory_that_was_freed_is_not_asked_for_again() -> None:
    def faults(how: str) -> int:
        done = subprocess.run(
            [sys.executable, "-c", FREED, how], capture_output=True, text=True, check=True
        )
        return int(done.stdout)

    assert faults("plain") > 10 * faults("keep")


def test_while_models_are_loaded_nothing_is_looked_for_and_then_only_what_came_since() -> None:
    class Cycle:
        def __init__(self) -> None:
            self.itself = self

    before = gc.isenabled(), gc.get_freeze_count()
    try:
        gc.enable()
        with memory.loading():
            assert not gc.isenabled()
            gone = weakref.ref(Cycle())
            with memory.loaded():
                assert gc.isenabled() and gc.get_freeze_count() > before[1]
                later = weakref.ref(Cycle())
                gc.collect()
                assert gone() is not None and later() is None
            assert not gc.isenabled()
        assert gc.isenabled() and gc.get_freeze_count() == 0
    finally:
        (gc.enable if before[0] else gc.disable)()
