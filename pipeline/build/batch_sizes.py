"""Sizes the batches of stage 2 by the memory that a CUDA device has left."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ...configs.errors import is_out_of_memory
from ...stages.accel import memory, offload

if TYPE_CHECKING:
    from ..runner.run import Stages


def fit(stages: Stages, device: str) -> None:
    """Lower the batch sizes of detector and segmenter to what fits: one picture is measured.

    SAM ViT-B takes 1.6 GiB a picture in float32, so that eight do not fit beside SDXL on most
    cards. On other devices batches are halved when memory runs out.
    """
    if not device.startswith("cuda"):
        return
    probed: tuple[Any, Any] = stages.detect, stages.segment
    for stage in probed:
        if stage is not None and stage.model is not None:
            _fit(stage, device)


def _fit(stage: Any, device: str) -> None:
    offload.wake(stage.model)  # so that its weights are not counted
    try:
        each = memory.cuda_peak(device, stage.probe)
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        each = memory.cuda_free(device)
    memory.give_back()
    stage.batch_size = memory.largest_batch(stage.batch_size, memory.cuda_free(device), each)
