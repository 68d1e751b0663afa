"""The API against its own description: whatever is asked, no 5xx (schemathesis)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("gradio", reason="gradio is not installed")
schemathesis = pytest.importorskip("schemathesis", reason="schemathesis is not installed")

import hypothesis  # noqa: E402
from helpers.scripted_worker import EndingWorker  # noqa: E402

from visuals.pipeline.web.api import routes  # noqa: E402
from visuals.pipeline.web.queue.job_queue import JobQueue  # noqa: E402


@pytest.fixture
def schema(mini: Path, own_home: Path) -> Iterator[Any]:
    queue = JobQueue("runs", most_waiting=1_000_000, worker=EndingWorker)
    run = queue.root / "a-run"
    run.mkdir()
    (run / "run.yaml").write_text("{}")
    (run / "manifest.jsonl").write_text("")
    yield schemathesis.openapi.from_asgi("/openapi.json", routes.app_of(queue))
    queue.close()


@pytest.mark.slow
def test_no_request_breaks_the_server(schema: Any) -> None:
    asked = []
    for operation in schema.get_all_operations():

        @hypothesis.settings(
            max_examples=25,
            deadline=None,
            database=None,
            derandomize=True,
            suppress_health_check=list(hypothesis.HealthCheck),
        )
        @hypothesis.given(case=operation.ok().as_strategy())
        def holds(case: Any) -> None:
            query = case.query
            if isinstance(query, dict) and query.get("wait"):
                query["wait"] = 0
            assert case.call().status_code < 500

        holds()
        asked.append(operation.ok().label)
    assert {"POST /api/run", "POST /api/enhance", "GET /api/runs/{id}"} <= set(asked)
