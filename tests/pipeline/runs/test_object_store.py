"""URLs of folders in object stores; which messages of asyncio are hidden while one is used."""

from __future__ import annotations

import logging

import pytest

from visuals.configs.errors import RunFolderError
from visuals.pipeline.runs.object_store import ObjectStore, _is_news


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


@pytest.mark.parametrize(
    "rest", ["", "b", "b/", "/x", "b/..", "b/../x", "b/a/../../x", "b/a//x", "b/./x", "b/a\0x",
             "b/\x1b[2J", "b/" + "x" * 701, "b/x\udcff"],
)  # fmt: skip
def test_a_url_that_names_no_folder_is_refused(rest: str) -> None:
    for url in (f"s3://{rest}", f"memory://{rest or 'b/x'}", f"file://{rest or 'b/x'}"):
        with pytest.raises(RunFolderError, match="expected a folder, s3://bucket/folder or gs://"):
            ObjectStore(url)


@pytest.mark.parametrize("folder", ["x", "a/b", "ü ñ%2F#?", "..x", "x" * 700])
def test_a_url_that_names_a_folder(folder: str) -> None:
    assert ObjectStore(f"s3://b/{folder}/").url == f"s3://b/{folder}"
