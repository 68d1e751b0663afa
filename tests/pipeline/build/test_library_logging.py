"""What is hushed, and what is not."""

from __future__ import annotations

import logging

import pytest

from visuals.pipeline.build.library_logging import hush_lost_tasks


def test_only_lost_tasks_of_aiohttp_are_hushed(caplog: pytest.LogCaptureFixture) -> None:
    aiohttp = pytest.importorskip("aiohttp")
    hush_lost_tasks()
    hush_lost_tasks()
    logger, lost = logging.getLogger("asyncio"), "Task exception was never retrieved"
    assert len(logger.filters) == 1
    for error in (aiohttp.ClientConnectionResetError("gone"), ValueError("ours")):
        for said in (lost, "something else"):
            logger.error(said, exc_info=(type(error), error, None))
    assert [(r.getMessage(), r.exc_info[0].__name__) for r in caplog.records if r.exc_info] == [
        ("something else", "ClientConnectionResetError"),
        (lost, "ValueError"),
        ("something else", "ValueError"),
    ]
