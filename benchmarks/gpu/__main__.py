"""Measures a graphics card, or computes what fits one; prints JSON or the table of docs/gpu.md.

python -m visuals.benchmarks.gpu             on a GPU: SD 1.5 and SDXL; on a CPU as --smoke
python -m visuals.benchmarks.gpu --smoke     the embedded models, a step each, on a CPU
python -m visuals.benchmarks.gpu --table     what fits, computed
python -m visuals.benchmarks.gpu --weights   what large transformers take, computed
python -m visuals.benchmarks.gpu --trace     the activations that the table stands on; minutes
"""

from __future__ import annotations

import json
import sys
from typing import Any

from . import card_table, measures, peak_memory, random_models, weights_table


def main(arguments: list[str]) -> None:
    import torch

    if "--table" in arguments:
        print(card_table.table())
        return
    if "--weights" in arguments:
        print(weights_table.table())
        return
    if "--trace" in arguments:
        print(json.dumps(peak_memory.trace(), indent=1))
        return
    if "--smoke" in arguments or not torch.cuda.is_available():
        report: dict[str, Any] = {
            "device": "cpu, smoke",
            "mini": measures.measure(random_models.embedded(), 1),
        }
    else:
        report = {"device": torch.cuda.get_device_name()}
        for family in ("sd15", "sdxl"):
            report[family] = measures.measure(random_models.random(family, "cuda"), 16)
            torch.cuda.empty_cache()
    print(json.dumps(report, indent=1))


if __name__ == "__main__":
    main(sys.argv[1:])
