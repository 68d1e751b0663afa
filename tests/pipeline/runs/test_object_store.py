"""Which messages of asyncio are hidden while an object store is used."""

from __future__ import annotations

import logging

import pytest

from visuals.pipeline.runs.object_store import _is_news


def test_only_lost_tasks_of_aiohttp_are_hidden(caplog: pytest.LogCaptureFixture) -> None:
    aiohttp = pytest.importorskip("aiohttp")
    logger, lost = logging.getLogger("asyncio"), "Task exception was never retrieved"
    logger.addFilter(_is_news)
    logger.addFilter(_is_news)
    assert len(logger.filters) == 1
    for error in (aiohttp.ClientConnectionResetError("gone"), ValueError("ours")):
        for message in (lost, "something else"):
            logger.error(message, exc_info=(type(error), error, None))
    assert [(r.getMessage(), r.exc_info[0].__name__) for r in caplog.records if r.exc_info] == [
        ("something else", "ClientConnectionResetError"),
        (lost, "ValueError"),
        ("something else", "ValueError"),
    ]
