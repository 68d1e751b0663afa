"""The process that does the studio's jobs: the command line, called again and again.

Reads one JSON list of words a line from stdin, runs it as `visuals WORDS` and writes what
happens as JSON lines to stdout: `say`, `stage`, `step`, `end`. The models that a command loaded
stay loaded for the next. A crash, or a kill, ends this process and not the server.

    python -m visuals.pipeline.web.queue.worker
"""

from __future__ import annotations

import contextlib
import functools
import gc
import io
import itertools
import json
import os
import queue
import signal
import sys
import threading
from collections.abc import Callable
from typing import Any

LOADERS = (
    "load_text_to_image", "load_refiner", "load_controlnet_inpaint", "load_detector",
    "load_segmenter", "load_depth", "load_semantic", "load_annotator", "load_verifier",
)  # fmt: skip
STOPPED = 130


def serve() -> None:
    """Jobs from stdin until it ends. Ending stdin ends the process at once, in mid-job."""
    events = os.fdopen(os.dup(1), "w", buffering=1, encoding="utf-8")
    os.dup2(2, 1)  # what a library prints is no event
    lock = threading.Lock()

    def tell(event: str, **more: Any) -> None:
        with lock, contextlib.suppress(BrokenPipeError):
            events.write(json.dumps({"event": event, **more}) + "\n")

    waiting: queue.Queue[list[str]] = queue.Queue()
    threading.Thread(target=_read, args=(waiting,), daemon=True).start()
    if hasattr(signal, "SIGUSR1"):
        signal.signal(signal.SIGUSR1, _interrupt)
    forget = keep_models(lambda: tell("step"))
    tell("ready")
    while True:
        try:
            words = waiting.get()
            if words[:1] == ["train"]:
                forget()  # room for the training
            try:
                code, said = run(words, tell)
            finally:
                if words[:1] == ["train"]:
                    forget()  # its model has the new LoRA in it
            tell("end", code=code, said=said)
        except KeyboardInterrupt:  # a cancel that came when all was done
            tell("end", code=STOPPED, said="stopped")


def run(words: list[str], tell: Callable[..., None]) -> tuple[int, str]:
    """(exit code, the last line on stderr) of `visuals WORDS`; `tell` hears of the progress."""
    from ...cli import main, output

    out, err = io.StringIO(), io.StringIO()
    output.LISTENERS[:] = [tell]
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            main(words, prog_name="visuals")
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1
    except KeyboardInterrupt:
        code = STOPPED
    except Exception as error:
        code = 1
        err.write(f"visuals: {type(error).__name__}: {' '.join(str(error).split())}\n")
    finally:
        output.LISTENERS.clear()
    lines = [line for line in err.getvalue().splitlines() if line.startswith("visuals: ")]
    if code == STOPPED:  # what a training says of where it stopped
        return code, (lines or [""])[-1].removeprefix("visuals: warning: ")
    wrong = [line for line in lines if not line.startswith(("visuals: warning", "visuals: note"))]
    return code, (wrong or [""])[-1].removeprefix("visuals: ") if code else "\n".join(lines)


def keep_models(step: Callable[[], None]) -> Callable[[], None]:
    """From here on in this process each loader keeps what it loaded last; the next call with the
    same arguments gets it back. `step` is called at each step of a U-Net that it loads. Returns a
    function that forgets them all."""
    from ....checkpoints import annotators, load

    kept: dict[str, tuple[Any, ...]] = {}
    for module, name in itertools.product((load, annotators), LOADERS):
        loader = vars(module).get(name)
        if loader is not None:
            setattr(module, name, _last(name, loader, kept, step))

    def forget() -> None:
        kept.clear()
        gc.collect()
        if "torch" in sys.modules and sys.modules["torch"].cuda.is_available():
            sys.modules["torch"].cuda.empty_cache()

    return forget


def _last(
    name: str,
    loader: Callable[..., Any],
    kept: dict[str, tuple[Any, ...]],
    step: Callable[[], None],
) -> Callable[..., Any]:
    @functools.wraps(loader)
    def load(*args: Any, **options: Any) -> Any:
        given = (args, tuple(sorted(options.items())))
        if name in kept and _same(kept[name][0], given):
            return kept[name][1]
        # Never two sets of weights at a time: the inpainting pipeline shares the other's.
        for old in (name, "load_controlnet_inpaint" if name == "load_text_to_image" else name):
            kept.pop(old, None)
        model = loader(*args, **options)
        unet = getattr(model, "unet", None)
        if unet is not None and not getattr(unet, "_visuals_told", False):
            unet._visuals_told = True
            unet.register_forward_hook(lambda *_: step())
        kept[name] = (given, model)
        return model

    return load


def _same(a: Any, b: Any) -> bool:
    """Equal arguments; a pipeline is the same only as itself."""
    if isinstance(a, (tuple, list)):
        return type(a) is type(b) and len(a) == len(b) and all(map(_same, a, b))
    return a is b or (not hasattr(a, "components") and bool(a == b))


def _read(waiting: queue.Queue[list[str]]) -> None:
    for line in sys.stdin:
        waiting.put(json.loads(line))
    os._exit(0)


def _interrupt(number: int, frame: Any) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    serve()
