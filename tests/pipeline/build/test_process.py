"""Building and calling stages leaves the process as it was; programs set it up themselves."""

from __future__ import annotations

import ctypes
import subprocess
import sys
from pathlib import Path

import pytest

GLIBC = hasattr(ctypes.CDLL(None), "mallinfo2")
STATE = """
import ctypes, gc, os, sys, warnings
import cv2, torch, transformers, diffusers  # cv2 sets LD_LIBRARY_PATH when it is imported
from transformers.utils import logging as of_transformers
from diffusers.utils import logging as of_diffusers
from visuals.configs.schema import load_settings
from visuals.pipeline.build import process
from visuals.pipeline.build.stages import build_stages
from visuals.stages.shot import Prompted, Shot

libc = ctypes.CDLL(None)
libc.malloc.restype, libc.malloc.argtypes, libc.free.argtypes = (
    ctypes.c_void_p, [ctypes.c_size_t], [ctypes.c_void_p]
)

class Mallinfo(ctypes.Structure):
    _fields_ = [(name, ctypes.c_size_t) for name in (
        "arena", "ordblks", "smblks", "hblks", "hblkhd", "usmblks", "fsmblks", "uordblks",
        "fordblks", "keepcost")]

def maps_large_blocks():
    "Whether malloc maps a block of 64 MiB by itself, as it does until its thresholds are set."
    if not hasattr(libc, "mallinfo2"):
        return None
    libc.mallinfo2.restype = Mallinfo
    before = libc.mallinfo2().hblks
    block = libc.malloc(64 << 20)
    mapped = libc.mallinfo2().hblks - before
    libc.free(block)
    return mapped

def state():
    return {
        "gc": (gc.isenabled(), gc.get_freeze_count(), gc.get_threshold()),
        # Libraries add filters of their own, for single messages, when they are imported.
        "warnings": [f for f in warnings.filters if f[0] == "ignore" and not f[1] and not f[3]],
        "verbosity": (of_transformers.get_verbosity(), of_diffusers.get_verbosity()),
        "bars": (of_transformers.is_progress_bar_enabled(), of_diffusers._tqdm_active),
        "cwd": os.getcwd(),
        "environment": dict(os.environ),
        "threads": torch.get_num_threads(),
        "malloc": maps_large_blocks(),
    }

quick = {"generate.steps": 1, "detect.box_threshold": 0.0, "verify.threshold": 0.0}
settings = load_settings("mini", quick)
before = state()
stages = build_stages(settings, ("generate", "detect", "segment", "rerender"))
(shot,) = stages.generate([Shot("a", Prompted("a mug", "", 1), ("mug",))])
stages.detect([shot])
after = state()
print([name for name in before if before[name] != after[name]])
process.prepare(settings, ("generate",))
print([name for name in after if after[name] != state()[name]])
"""


def test_a_library_call_changes_nothing_of_the_process_and_prepare_does(mini: Path) -> None:
    done = subprocess.run([sys.executable, "-c", STATE], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    library, prepared = done.stdout.splitlines()
    assert library == "[]"
    changed = ["warnings", "verbosity", "bars", *(["malloc"] if GLIBC else [])]
    assert prepared == str(changed)


def test_bitsandbytes_says_nothing_where_it_finds_no_kernels_for_this_processor() -> None:
    """peft imports it wherever a LoRA is loaded, also where nothing is stored in 4 bits."""
    pytest.importorskip("bitsandbytes")
    code = "from visuals.pipeline.build import process; process.quiet(); import bitsandbytes"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
