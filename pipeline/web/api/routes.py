"""Routes of the JSON API: run requests and photos in, jobs and run folders out."""

from __future__ import annotations

import json
import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, FastAPI, Form, HTTPException, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, HTMLResponse, JSONResponse, Response
from starlette.background import BackgroundTask
from starlette.concurrency import run_in_threadpool

from ....configs.errors import one_line
from ....configs.version import VERSION
from ...jobs.request import RunRequest
from ...runs.lock import RunLockedError
from ...runs.manifest import ManifestRecord
from ..error_text import public_text
from ..files import run_folders, run_overview, uploads
from ..files.disk_space import DiskFullError, full_disk_is_refused
from ..files.safe_response import POLICY
from ..queue import requests
from ..queue.job_queue import BusyError, JobQueue, QueuedJob
from . import docs_page
from .job_waits import JobWaits
from .payloads import ApiRunRequest, EnhanceForm, FilterForm, JobState, JobSummary

Seconds = Annotated[float, Query(ge=0, le=600, description="Wait so long for the job's end.")]
MULTIPART = Form(media_type="multipart/form-data")
ERRORS: dict[int | str, dict[str, Any]] = {
    400: {"description": "No body that can be read."},
    404: {"description": "No such run or file."},
    413: {"description": "Request too large."},
    507: {"description": "No room on the disk."},
    429: {"description": "Too many jobs wait, or too many requests of the client."},
}


def state(root: Path, id_: str, job: QueuedJob | None, refused: Sequence[str] = ()) -> JobState:
    """Return the state of a run; raises RunNotFoundError where there is neither run nor job."""
    try:
        run = run_folders.read(root, id_)
        text = json.dumps([_shot(record) for record in run.records], ensure_ascii=False)
        counts, shots = dict(run.counts), json.loads(text.encode(errors="replace"))
    except run_folders.RunNotFoundError:
        if job is None:
            raise
        counts, shots = {}, []
    progress: dict[str, Any] = {"status": "done"}
    if job is not None:
        progress = {
            "status": job.status,
            "command": str(job.request),
            "seed": requests.seed_of(job.request),
            "message": public_text(job.message),
            "stages": job.stages,
            "seconds_left": job.seconds_left,
            "refused": list(refused),
        }
    return JobState(id=id_, counts=counts, shots=shots, **progress)


def summary(job: QueuedJob) -> JobSummary:
    """Return a job in a line."""
    counts = [count for stage, count in job.stages.items() if stage != "download"]
    counts = counts or [*job.stages.values()]
    return JobSummary(
        id=job.id,
        title=requests.title(job.request),
        status=job.status,
        stopping=job.stopping,
        resumable=job.resumable,
        done=sum(done for done, _ in counts),
        total=sum(total for _, total in counts),
        seconds_left=job.seconds_left,
        activity=job.activity or (f"step {job.steps}" if job.steps else ""),
        message=public_text(job.message),
    )


def _shot(record: ManifestRecord) -> dict[str, Any]:
    """Return a record as the manifest has it, its messages as a visitor may read them."""
    shot = record.to_dict()
    for name in ("error", "reason"):
        if shot.get(name):
            shot[name] = {**shot[name], "message": public_text(shot[name]["message"])}
    return shot


def routes(queue: JobQueue) -> APIRouter:
    """Return the routes of the API over a job queue."""
    api = APIRouter(prefix="/api", responses=ERRORS)
    root, waits = queue.root, JobWaits(queue)

    def submit(request: RunRequest) -> QueuedJob:
        try:
            requests.check(request)
            return queue.submit(request)
        except BusyError as error:
            raise HTTPException(429, str(error)) from None
        except ValueError as error:
            raise HTTPException(422, one_line(error)) from None

    def submit_photos(command: str, form: FilterForm) -> tuple[QueuedJob, list[str]]:
        fields = dict(form)
        with (
            _errors(),
            full_disk_is_refused(),
            tempfile.TemporaryDirectory(dir=_cache(root)) as folder,
        ):
            named = []
            for number, photo in enumerate(fields.pop("photos")):
                path = Path(folder) / str(number)
                with path.open("wb") as out:
                    shutil.copyfileobj(photo.file, out, 1 << 20)
                named.append((photo.filename or "picture.png", path))
            upload = uploads.receive(root, named)
        if not upload.pictures:
            problems = "; ".join(upload.refused) or "no photos: expected pictures or a zip of them"
            raise HTTPException(422, problems)
        with _errors():
            request = RunRequest(command=command, inputs=[str(upload.folder)], **fields)
        return submit(request), upload.refused

    async def answer(
        job: QueuedJob, wait: float, http: Request, refused: Sequence[str] = ()
    ) -> JSONResponse:
        await waits.until_end(job, wait, http)
        found = await run_in_threadpool(state, root, job.id, job, refused)
        return JSONResponse(found.model_dump(mode="json"), 202 if job.open else 200)

    async def answer_photos(
        command: str, form: FilterForm, wait: float, http: Request
    ) -> JSONResponse:
        with waits.turn(http, wait):
            job, refused = await run_in_threadpool(submit_photos, command, form)
            return await answer(job, wait, http, refused)

    answers: dict[int | str, dict[str, Any]] = {202: {"model": JobState}, 200: {"model": JobState}}

    @api.post("/run", status_code=202, response_model=JobState, responses=answers)
    async def run(request: ApiRunRequest, http: Request, wait: Seconds = 0) -> Any:
        """Draw, check and re-render product pictures."""
        with waits.turn(http, wait):
            job = await run_in_threadpool(submit, RunRequest(**dict(request)))
            return await answer(job, wait, http)

    @api.post("/filter", status_code=202, response_model=JobState, responses=answers)
    async def filter_(
        form: Annotated[FilterForm, MULTIPART], http: Request, wait: Seconds = 0
    ) -> Any:
        """Find and mask the products in photos; those without are skipped with the reason."""
        return await answer_photos("filter", form, wait, http)

    @api.post("/enhance", status_code=202, response_model=JobState, responses=answers)
    async def enhance(
        form: Annotated[EnhanceForm, MULTIPART], http: Request, wait: Seconds = 0
    ) -> Any:
        """Re-render the products of photos; not one pixel changes outside their masks."""
        return await answer_photos("enhance", form, wait, http)

    @api.get("/jobs")
    def jobs() -> list[JobSummary]:
        """The jobs that are open, in their order, then those that ended of late."""
        return [summary(job) for job in queue.recent()]

    @api.get("/runs")
    def all_runs() -> dict[str, list[str]]:
        """The runs of the folder, newest first, and the jobs that are not done."""
        return {"runs": run_folders.ids(root), "jobs": [job.id for job in queue if job.open]}

    @api.get("/runs/{id}", response_model=JobState)
    async def one_run(id: str, http: Request, wait: Seconds = 0) -> JobState:
        """A run: its job's progress, and the manifest's line of each finished picture."""
        job = queue.get(id)
        with waits.turn(http, wait), _errors():
            if job is not None:
                await waits.until_end(job, wait, http)
            return await run_in_threadpool(state, root, id, job)

    @api.delete("/runs/{id}", responses={409: {"description": "A job works in it."}})
    def delete(id: str) -> dict[str, str]:
        """Delete a run, with all files in its folder."""
        with _errors():
            try:
                queue.delete_run(id)
            except (BusyError, RunLockedError) as error:
                raise HTTPException(409, public_text(str(error))) from None
        return {"deleted": id}

    @api.post("/runs/{id}/cancel", response_model=JobState)
    def cancel(id: str) -> JobState:
        """End a job at once; what it made stays."""
        queue.cancel(id)
        with _errors():
            return state(root, id, queue.get(id))

    @api.post("/runs/{id}/resume", status_code=202, response_model=JobState)
    def resume(id: str) -> JobState:
        """Go on with a run that was stopped: finished pictures are kept."""
        with _errors():
            try:
                return state(root, id, queue.resume(id))
            except BusyError as error:
                raise HTTPException(429, str(error)) from None

    @api.get("/runs/{id}/zip", response_class=FileResponse)
    def packed(id: str) -> FileResponse:
        """Pictures, masks, manifest, report and annotations of a run in one archive."""
        out = _cache(root) / f"{id}-{time.time_ns()}.zip"
        job = queue.get(id)
        with _errors():
            folder = run_folders.folder(root, id)
            run_folders.pack(folder, out, annotated=job is None or not job.open)
        done = BackgroundTask(lambda: out.unlink(missing_ok=True))
        return FileResponse(out, filename=f"{id}.zip", background=done)

    @api.get("/runs/{id}/thumbnails/{shot:path}", response_class=FileResponse)
    def thumbnail(id: str, shot: str) -> FileResponse:
        """The picture of a shot, small, as a JPEG."""
        with _errors():
            path = run_overview.thumbnail(root, id, shot)
        return FileResponse(path, headers={**POLICY, "cache-control": "private, max-age=3600"})

    @api.get("/runs/{id}/files/{name:path}", response_class=FileResponse)
    def one_file(id: str, name: str) -> FileResponse:
        """A file of a run, by the name that its manifest gives."""
        with _errors():
            path = run_folders.file(root, id, name)
        return FileResponse(path, headers=POLICY)

    return api


@contextmanager
def _errors() -> Iterator[None]:
    """Errors of the block are answered with 404, 507 (no room), or 422 for any other ValueError."""
    try:
        yield
    except DiskFullError as error:
        raise HTTPException(507, str(error)) from None
    except run_folders.RunNotFoundError as error:
        raise HTTPException(404, str(error)) from None
    except ValueError as error:
        raise HTTPException(422, one_line(error)) from None


def _cache(root: Path) -> Path:
    path = root / ".studio" / "cache"
    path.mkdir(parents=True, exist_ok=True)
    return path


def app_of(queue: JobQueue) -> FastAPI:
    """Return an app of the API, with its description at /openapi.json and, as a page, at /docs."""
    app = FastAPI(
        title="visuals",
        version=VERSION,
        description="Product photos: generated, checked, re-rendered, the scene kept bit for bit.",
        docs_url=None,
        redoc_url=None,
    )
    app.include_router(routes(queue))

    @app.exception_handler(RequestValidationError)
    def refused(request: Request, error: RequestValidationError) -> Response:
        """Say what is wrong without what was sent, which UTF-8 and JSON may be unable to hold."""
        problems = [
            {"type": each["type"], "loc": each["loc"], "msg": public_text(each["msg"])}
            for each in error.errors()
        ]
        return Response(json.dumps({"detail": problems}), 422, media_type="application/json")

    @app.exception_handler(HTTPException)
    def failed(request: Request, error: HTTPException) -> Response:
        return JSONResponse({"detail": public_text(error.detail)}, error.status_code)

    @app.get("/docs", include_in_schema=False)
    def docs(request: Request) -> HTMLResponse:
        return HTMLResponse(docs_page.page(app.openapi(), str(request.base_url).rstrip("/")))

    return app
