"""The JSON API: orders in, jobs and runs out. The routes of the pages' own server.

Knows jobs, runs and uploads; no pages, no models.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, FastAPI, File, Form, HTTPException, Query, Request, UploadFile
from fastapi.responses import FileResponse, HTMLResponse, JSONResponse
from starlette.background import BackgroundTask

from ....configs.errors import one_line
from ....configs.schema import presets
from ....configs.version import VERSION
from ..files import run_folders, uploads
from ..queue import commands
from ..queue.commands import Command
from ..queue.job_queue import BusyError, JobQueue, QueuedJob
from .schema import JobState, Name, RunRequest, Share, Text

Seconds = Annotated[float, Query(ge=0, le=600, description="Wait so long for the job's end.")]
Photos = Annotated[list[UploadFile], File(description="Pictures, or zip archives of them.")]
Classes = Annotated[list[Name], Form(min_length=1, max_length=20)]
ERRORS: dict[int | str, dict[str, Any]] = {
    400: {"description": "No body that can be read."},
    404: {"description": "No such run or file."},
    413: {"description": "Request too large."},
    429: {"description": "Too many jobs wait."},
}


def state(root: Path, id_: str, job: QueuedJob | None, refused: tuple[str, ...] = ()) -> JobState:
    """What there is to say of a run by its id; raises RunNotFoundError."""
    try:
        run = run_folders.read(root, id_)
        counts, lines = dict(run.counts), list(run.lines)
    except run_folders.RunNotFoundError:
        if job is None:
            raise
        counts, lines = {}, []
    if job is None:
        return JobState(id=id_, status="done", counts=counts, shots=lines)
    return JobState(
        id=id_,
        status=job.status,
        command=job.order.line(),
        message=job.said,
        stages=job.stages,
        seconds_left=job.seconds_left,
        counts=counts,
        shots=lines,
        refused=list(refused),
    )


def routes(desk: JobQueue) -> APIRouter:
    """The API over one desk."""
    api = APIRouter(prefix="/api", responses=ERRORS)
    root = desk.root

    def take(order: Command, wait: float, refused: tuple[str, ...] = ()) -> JSONResponse:
        if order.preset not in presets():
            raise HTTPException(422, f"unknown preset {order.preset!r} ({', '.join(presets())})")
        try:
            commands.check(order)
            job = desk.submit(order)
        except BusyError as error:
            raise HTTPException(429, str(error)) from None
        except ValueError as error:
            raise HTTPException(422, one_line(error)) from None
        if wait:
            desk.wait(job, wait)
        said = state(root, job.id, job, refused)
        return JSONResponse(said.model_dump(mode="json"), 202 if job.open else 200)

    def received(photos: list[UploadFile]) -> uploads.Upload:
        with tempfile.TemporaryDirectory(dir=_cache(root)) as place:
            named = []
            for number, photo in enumerate(photos):
                path = Path(place) / str(number)
                with path.open("wb") as out:
                    while chunk := photo.file.read(1 << 20):
                        out.write(chunk)
                named.append((photo.filename or "picture.png", path))
            upload = uploads.receive(root, named)
        if not upload.pictures:
            said = "; ".join(upload.refused) or "no photos: expected pictures or a zip of them"
            raise HTTPException(422, said)
        return upload

    answers: dict[int | str, dict[str, Any]] = {202: {"model": JobState}, 200: {"model": JobState}}

    @api.post("/run", status_code=202, response_model=JobState, responses=answers)
    def run(request: RunRequest, wait: Seconds = 0) -> Any:
        """Draw, check and re-render product pictures."""
        return take(request.order(), wait)

    @api.post("/filter", status_code=202, response_model=JobState, responses=answers)
    def filter_(
        photos: Photos,
        classes: Classes,
        confidence: Annotated[Share | None, Form()] = None,
        preset: Annotated[Name, Form()] = "mini",
        wait: Seconds = 0,
    ) -> Any:
        """Find and mask the products in photos; those without are skipped with the reason."""
        order = Command("filter", classes=tuple(classes), confidence=confidence, preset=preset)
        return _with(received(photos), order, take, wait)

    @api.post("/enhance", status_code=202, response_model=JobState, responses=answers)
    def enhance(
        photos: Photos,
        classes: Classes,
        edit: Annotated[Text, Form()] = "",
        prompt: Annotated[Text | None, Form()] = None,
        negative_prompt: Annotated[Text | None, Form()] = None,
        strength: Annotated[float | None, Form(gt=0, le=1)] = None,
        confidence: Annotated[Share | None, Form()] = None,
        steps: Annotated[int | None, Form(ge=1, le=1000)] = None,
        seed: Annotated[int | None, Form(ge=0, lt=2**32)] = None,
        preset: Annotated[Name, Form()] = "mini",
        wait: Seconds = 0,
    ) -> Any:
        """Re-render the products of photos; not one pixel changes outside their masks."""
        order = Command(
            "enhance",
            classes=tuple(classes),
            edit=edit,
            prompt=prompt or None,
            negative_prompt=negative_prompt,
            strength=strength,
            confidence=confidence,
            seed=seed,
            preset=preset,
            changes={"rerender.steps": steps} if steps else {},
        )
        return _with(received(photos), order, take, wait)

    @api.get("/runs")
    def all_runs() -> dict[str, list[str]]:
        """The runs of the folder, newest first, and the jobs that are not done."""
        return {"runs": run_folders.ids(root), "jobs": [job.id for job in desk if job.open]}

    @api.get("/runs/{id}", response_model=JobState)
    def one_run(id: str, wait: Seconds = 0) -> JobState:
        """A run: its job's progress, and the manifest's line of each finished picture."""
        job = desk.get(id)
        if job is not None and wait:
            desk.wait(job, wait)
        return _found(lambda: state(root, id, job))

    @api.post("/runs/{id}/cancel", response_model=JobState)
    def cancel(id: str) -> JobState:
        """End a job at once; what it made stays."""
        desk.cancel(id)
        return _found(lambda: state(root, id, desk.get(id)))

    @api.get("/runs/{id}/zip", response_class=FileResponse)
    def packed(id: str) -> FileResponse:
        """Pictures, masks, manifest, report and annotations of a run in one archive."""
        folder = _found(lambda: run_folders.folder(root, id))
        job = desk.get(id)
        out = _cache(root) / f"{id}-{time.time_ns()}.zip"
        _found(lambda: run_folders.pack(folder, out, annotated=job is None or not job.open))
        done = BackgroundTask(lambda: out.unlink(missing_ok=True))
        return FileResponse(out, filename=f"{id}.zip", background=done)

    @api.get("/runs/{id}/files/{name:path}", response_class=FileResponse)
    def one_file(id: str, name: str) -> FileResponse:
        """A file of a run, by the name that its manifest gives."""
        path = _found(lambda: run_folders.file(root, id, name))
        return FileResponse(
            path,
            headers={
                "x-content-type-options": "nosniff",
                "content-security-policy": "sandbox; default-src 'none'; "
                "img-src data: 'self'; style-src 'unsafe-inline'",
            },
        )

    return api


def _with(
    upload: uploads.Upload, order: Command, take: Callable[..., JSONResponse], wait: float
) -> JSONResponse:
    from dataclasses import replace

    return take(replace(order, inputs=(str(upload.folder),)), wait, tuple(upload.refused))


def _found(work: Callable[[], Any]) -> Any:
    """`work`'s value; RunNotFoundError is 404, any other error of ours 422."""
    try:
        return work()
    except run_folders.RunNotFoundError as error:
        raise HTTPException(404, str(error)) from None
    except ValueError as error:
        raise HTTPException(422, one_line(error)) from None


def _cache(root: Path) -> Path:
    path = root / ".studio" / "cache"
    path.mkdir(parents=True, exist_ok=True)
    return path


def add(app: FastAPI, desk: JobQueue) -> None:
    """The API and its page (/docs, without anything from elsewhere) on an app."""
    app.include_router(routes(desk))

    @app.get("/docs", include_in_schema=False)
    def docs(request: Request) -> HTMLResponse:
        from .docs_page import page

        return HTMLResponse(page(app.openapi(), str(request.base_url).rstrip("/")))


def app_of(desk: JobQueue) -> FastAPI:
    """An app with the API alone; its OpenAPI description is at /openapi.json."""
    app = FastAPI(
        title="visuals",
        version=VERSION,
        description="Product photos: generated, checked, re-rendered, the scene kept bit for bit.",
        docs_url=None,
        redoc_url=None,
    )
    add(app, desk)
    return app
