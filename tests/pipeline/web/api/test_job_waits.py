"""Requests that wait for a job hold no thread, and a client has only a few of them."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

pytest.importorskip("gradio", reason="gradio is not installed")
httpx = pytest.importorskip("httpx", reason="httpx is not installed")

from helpers.scripted_worker import END, ScriptedWorker  # noqa: E402

from visuals.pipeline.jobs.request import RunRequest  # noqa: E402
from visuals.pipeline.web.api import job_waits, routes  # noqa: E402
from visuals.pipeline.web.queue.job_queue import JobQueue  # noqa: E402


@pytest.fixture
def worker() -> ScriptedWorker:
    return ScriptedWorker()


@pytest.fixture
def queue(worker: ScriptedWorker, own_home: str) -> Iterator[JobQueue]:
    queue = JobQueue("runs", worker=lambda: worker)
    yield queue
    queue.close()


def test_many_waits_leave_the_server_free(queue: JobQueue, worker: ScriptedWorker) -> None:
    app, job = routes.app_of(queue), queue.submit(RunRequest(classes=["mug"]))
    address, many = f"/api/runs/{job.id}?wait=30", 6 * job_waits.MOST

    def client(number: int) -> httpx.AsyncClient:
        transport = httpx.ASGITransport(app, client=(f"10.0.0.{number}", 1))
        return httpx.AsyncClient(transport=transport, base_url="http://localhost", timeout=60)

    async def visit() -> None:
        clients = [client(k) for k in range(7)]
        threads = threading.active_count()
        waits = [asyncio.create_task(clients[k % 6].get(address)) for k in range(many)]
        await asyncio.sleep(0.3)
        assert not any(task.done() for task in waits)
        assert (await clients[6].get("/api/runs")).json()["jobs"] == [job.id]
        assert threading.active_count() - threads < 5
        refused = await clients[0].get(address)
        assert refused.status_code == 429 and "wait already" in refused.json()["detail"]
        refused = await clients[0].post("/api/run?wait=1", json={"classes": ["mug"]})
        assert refused.status_code == 429 and len(list(queue)) == 1  # it is not queued either
        assert (await clients[0].get(f"/api/runs/{job.id}")).status_code == 200
        worker.events.put(END)
        answers = await asyncio.gather(*waits)
        assert {answer.json()["status"] for answer in answers} == {"done"}
        again = await clients[0].get(address)
        assert again.status_code == 200

    with ThreadPoolExecutor(1) as own_loop:  # Playwright's runs in this thread after browser tests
        own_loop.submit(asyncio.run, visit()).result()
