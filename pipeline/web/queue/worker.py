"""The worker process of the studio: carries out requests, with models that stay loaded.

Reads pickled requests from stdin and writes events as JSON lines to stdout: `ready`, `status`,
`stage`, `step`, `preview`, `end`. A crash, or a kill, ends this process and not the server.

    python -m visuals.pipeline.web.queue.worker
"""

from __future__ import annotations

import contextlib
import json
import os
import pickle
import queue
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

from ....checkpoints.hub.first_use import Needed
from ....checkpoints.loaded_models import LoadedModels
from ....configs.errors import VisualsError, one_line
from ...jobs.draw_grid import GridRequest, draw_grid
from ...jobs.reporter import ProgramReporter, Reporter
from ...jobs.request import RunRequest
from . import preview_files
from .requests import CaptionRequest, Request, ResumeRequest, TrainRequest

if TYPE_CHECKING:
    from ....stages.shot import Shot
    from ...runs.folder import RunFolder

STOPPED = 130
"""Exit code of a job that was stopped, as of a command after Ctrl-C."""
Send = Callable[..., None]


class WorkerReporter(ProgramReporter):
    """Sends progress as events; keeps warnings and notes for the end of the job."""

    def __init__(self, send: Send) -> None:
        self.messages: list[str] = []
        self._send = send
        self._folder: Path | None = None

    def note(self, text: str) -> None:
        self.messages.append(text)

    warn = note

    def status(self, text: str) -> None:
        self._send("status", text=text)

    def progress(self, stage: str, done: int, total: int) -> None:
        self._send("stage", stage=stage, done=done, total=total)

    @contextlib.contextmanager
    def running(self, folder: RunFolder, *, may_abandon: bool) -> Iterator[None]:
        with super().running(folder, may_abandon=may_abandon):
            self._folder = folder.path
            yield

    def preview(self, stage: str, shots: Sequence[Shot]) -> None:
        for shot in shots:
            if self._folder is not None and shot.image is not None:
                self._send("preview", **preview_files.write(self._folder, stage, shot))


def serve() -> None:
    """Carry out requests from stdin until it ends. Its end ends the process at once, in mid-job."""
    events = os.fdopen(os.dup(1), "w", buffering=1, encoding="utf-8")
    os.dup2(2, 1)  # what a library prints is no event
    lock = threading.Lock()

    def send(event: str, **values: Any) -> None:
        with lock, contextlib.suppress(BrokenPipeError):
            events.write(json.dumps({"event": event, **values}) + "\n")

    waiting: queue.Queue[Request] = queue.Queue()
    threading.Thread(target=_read, args=(waiting,), daemon=True).start()
    if hasattr(signal, "SIGUSR1"):
        signal.signal(signal.SIGUSR1, signal.default_int_handler)
    with LoadedModels(on_load=partial(_hook_unet, WeakSet(), send)) as models:
        send("ready")
        while True:
            try:
                request = waiting.get()
                trains = isinstance(request, TrainRequest)
                if trains:
                    models.release()  # room for the training
                try:
                    code, message = run(request, send)
                finally:
                    if trains:
                        models.release()  # the memory that it used
                send("end", code=code, message=message)
            except KeyboardInterrupt:  # a cancel that came when all was done
                send("end", code=STOPPED, message="stopped")


def run(request: Request, send: Send) -> tuple[int, str]:
    """Carry out a request; return the exit code that its command would have, and a message."""
    reporter = WorkerReporter(send)
    try:
        code = _WORK[type(request)](request, reporter)
    except KeyboardInterrupt:
        return STOPPED, ""
    except VisualsError as error:
        return error.exit_code, one_line(error)
    except Exception as error:
        return 1, f"{type(error).__name__}: {one_line(error)}"
    if code == STOPPED:
        return code, reporter.messages[-1] if reporter.messages else ""
    return code, "" if code else "\n".join(reporter.messages)


def _run(request: RunRequest, reporter: Reporter) -> int:
    from ...jobs.execute import execute

    result = execute(request, reporter)
    return STOPPED if result.stopped else int(result.failed)


def _resume(request: ResumeRequest, reporter: Reporter) -> int:
    """Continue a run where it began."""
    from ...jobs.execute import execute
    from ...jobs.resolve import recorded_request
    from ...runs import run_yaml

    folder = Path(request.folder).absolute()
    record = run_yaml.read(folder)
    with run_yaml.where_begun(record):
        result = execute(recorded_request(record, folder), reporter)
    return STOPPED if result.stopped else int(result.failed)


def _grid(request: GridRequest, reporter: Reporter) -> int:
    return int(draw_grid(request, reporter).failed)


def _train(request: TrainRequest, reporter: Reporter) -> int:
    from ....configs.train import read_train_settings
    from ....training.errors import TrainingStopped
    from ....training.train_lora import train_lora
    from ...build.process import quiet

    overrides = {"resume_from_checkpoint": "latest"} if request.resume else {}
    settings = read_train_settings(request.config, overrides)
    quiet("transformers", "diffusers")
    reporter.download([Needed(settings.model)])
    try:
        train_lora(settings, say=reporter.status, warn=reporter.warn, progress=reporter.progress)
    except TrainingStopped as stopped:
        reporter.warn(f"stopped after step {stopped.step}, saved; Resume continues it")
        return STOPPED
    return 0


def _caption(request: CaptionRequest, reporter: Reporter) -> int:
    from ....configs.schema import load_settings
    from ....training.captioning.caption_folder import caption_dataset, to_describe
    from ....training.datasets.caption_edits import CaptionEdits
    from ....training.datasets.dataset_folder import read_dataset
    from ...build import captioner, process

    settings = load_settings(request.preset)
    dataset = read_dataset(request.folder)
    describe: Any = list  # nothing to describe
    if to_describe(dataset, request.overwrite):
        reporter.download([Needed(settings.caption.model)])
        reporter.status(f"loading {settings.caption.model}")
        process.prepare(settings, ())
        describe = captioner.captioner(settings)
    else:
        reporter.note("no picture lacks a caption")
    done = caption_dataset(
        dataset,
        describe,
        edits=CaptionEdits(tag=request.tag),
        overwrite=request.overwrite,
        batch_size=settings.caption.batch_size,
        progress=partial(reporter.progress, "caption"),
    )
    for problem in done.problems:
        reporter.warn(problem.message)
    return 0


_WORK: dict[type[Request], Callable[[Any, Reporter], int]] = {
    RunRequest: _run,
    ResumeRequest: _resume,
    GridRequest: _grid,
    TrainRequest: _train,
    CaptionRequest: _caption,
}


def _hook_unet(hooked: WeakSet[Any], send: Send, model: Any) -> None:
    """Send a `step` event at each call of a pipeline's U-Net, which pipelines may share."""
    unet = getattr(model, "unet", None)
    if unet is not None and unet not in hooked:
        hooked.add(unet)
        unet.register_forward_hook(lambda *_: send("step"))


def _read(waiting: queue.Queue[Request]) -> None:
    with contextlib.suppress(EOFError):
        while True:
            waiting.put(pickle.load(sys.stdin.buffer))
    os._exit(0)


if __name__ == "__main__":
    serve()
