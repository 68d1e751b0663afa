"""The tab Enhance: finds products in photos, lets masks be mended by hand, re-renders them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gradio as gr

from .....configs.schema import load_settings
from ...queue.job_queue import JobQueue
from ...widgets.browser_state import browser_state
from ...widgets.components import LATEST, QUICK, show_errors
from .handlers import Handlers
from .layout import Layout
from .search_session import EMPTY


def browser_states(root: Path) -> tuple[gr.BrowserState, gr.BrowserState]:
    """Return what the browser keeps: the session and the id of the job."""
    return browser_state(root, "search", dict(EMPTY)), browser_state(root, "enhance")


def tab(
    blocks: gr.Blocks, queue: JobQueue, session: gr.BrowserState, job_id: gr.BrowserState
) -> tuple[Any, Any, Any]:
    """Lay the tab out and wire it; return the components that take a run, classes, a message."""
    usual = load_settings("mini")
    layout = Layout(usual, session, job_id)
    handlers = Handlers(queue, layout, usual)
    words, found, watched = layout.words, layout.found, layout.watched
    layout.find.click(
        show_errors(handlers.find, layout.message),
        [layout.offered, layout.files, layout.classes, layout.preset,
         layout.sent_run, layout.threshold, session,
         *words],
        [layout.message, layout.offered, job_id, *watched],
        **QUICK,
    )  # fmt: skip
    watching = [job_id, layout.shown, session]
    layout.timer.tick(handlers.watch, watching, watched, **QUICK)
    layout.cancel.click(handlers.stop, watching, watched, **QUICK)
    layout.threshold.input(
        handlers.drag, [layout.threshold, session],
        [session, layout.facts, layout.photo, layout.ticks, layout.command], **LATEST,
    )  # fmt: skip
    layout.threshold.release(
        handlers.release, [layout.threshold, session], [session, *found], **QUICK
    )
    layout.ticks.input(handlers.tick, [layout.ticks, session], [session, *found], **LATEST)
    layout.thumbs.select(
        handlers.pick, [session, *words],
        [session, layout.photo, layout.ticks, layout.whose, *words], **QUICK,
    )  # fmt: skip
    layout.photo.input(handlers.paint, [layout.photo, session], found, **LATEST)
    layout.whose.input(
        handlers.choose_instance, [session, layout.whose, *words], [session, *words], **QUICK
    )
    layout.rerender.click(
        show_errors(handlers.rerender, layout.answer),
        [layout.offered, session, layout.photo, *words, layout.steps, layout.seed],
        [layout.answer, layout.offered, job_id, *watched],
        **QUICK,
    )
    layout.reuse.click(
        show_errors(handlers.reuse_seed, layout.answer), job_id, [layout.answer, layout.seed],
        **QUICK,
    )  # fmt: skip
    layout.keep.click(
        show_errors(handlers.keep, layout.answer), [session, layout.photo, *words],
        [layout.answer, layout.command], **QUICK,
    )  # fmt: skip
    layout.results.select(
        handlers.select_result, job_id, [layout.before_after, layout.control], **QUICK
    )
    layout.preset.input(
        handlers.choose_preset, layout.preset,
        [layout.classes, layout.threshold, layout.strength, layout.steps], **QUICK,
    )  # fmt: skip
    layout.files.upload(lambda: "", None, layout.sent_run, **QUICK)
    layout.folder.upload(
        lambda paths: [paths, ""], layout.folder, [layout.files, layout.sent_run], **QUICK
    )
    blocks.load(handlers.restore, [job_id, session], [layout.threshold, *watched], **QUICK)
    return layout.sent_run, layout.classes, layout.message
