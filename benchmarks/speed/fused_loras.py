"""What fusing LoRAs saves: `python -m visuals.benchmarks.speed.fused_loras`.

An evaluation of the UNet without the LoRA, with it attached and with it fused, and what fusing and
the way back cost, on the embedded models and their LoRA; the least of 15, in milliseconds. On a CPU
of the processor's own time, whatever else it does.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any


def measure(device: str = "cpu", repeats: int = 15) -> dict[str, float]:
    """Return milliseconds by what was measured."""
    import torch

    from ...checkpoints import load
    from ...checkpoints.catalog.names import resolve
    from ...checkpoints.lora.search import in_folders
    from ...stages.diffusion import lora_adapters
    from ...stages.prompts.lora_tags import LoraTag

    pipe = load.load_text_to_image("mini/sd", device=device)
    find, tags = in_folders([resolve("mini/loras")]), [LoraTag("ppzmini", 0.8, 0.8)]
    latents = torch.randn(8, 4, 32, 32, device=device)
    text = torch.randn(8, 77, pipe.unet.config.cross_attention_dim, device=device)

    def evaluate() -> None:
        with torch.inference_mode():
            pipe.unet(latents, torch.tensor(500, device=device), text)

    def attach(tags: list[LoraTag], fuse: bool) -> Callable[[], None]:
        return lambda: lora_adapters.attach(pipe, tags, find, fuse=fuse)

    out = {"without": _milliseconds(evaluate, repeats)}
    attach(tags, False)()
    out["attached"] = _milliseconds(evaluate, repeats)
    attach(tags, True)()
    out["fused"] = _milliseconds(evaluate, repeats)
    back = attach(tags, False)
    out["fusing"] = _milliseconds(attach(tags, True), repeats, before=back)
    out["the way back"] = _milliseconds(back, repeats, before=attach(tags, True))
    return out


def _milliseconds(
    work: Callable[[], Any], repeats: int, before: Callable[[], Any] = lambda: None
) -> float:
    import torch

    def clock() -> float:
        if not torch.cuda.is_available():
            return time.process_time()
        torch.cuda.synchronize()
        return time.perf_counter()

    times = []
    for _ in range(repeats + 1):
        before()
        start = clock()
        work()
        times.append(clock() - start)
    return 1000 * min(times[1:])


if __name__ == "__main__":
    for name, milliseconds in measure().items():
        print(f"{name:<13} {milliseconds:8.1f} ms")
