"""The tab Runs: run folders by their pictures, to look through, use again, resume and delete."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gradio as gr

from ...files import run_folders
from ...queue.job_queue import JobQueue
from ...widgets.components import LATEST, QUICK, Update, show_errors
from ..create.fill_in import CreateForm
from ..enhance.tab import EnhanceTab
from . import use_again
from .handlers import Handlers
from .layout import Layout

TO_TOP = "() => scrollTo(0, 0)"
TO_PICTURE = "() => document.querySelector('#runs-large').scrollIntoView({block: 'nearest'})"
"""On a phone the large picture is below the small ones; beside them it is in sight already."""


def tab(
    shown: gr.Tab, queue: JobQueue, tabs: gr.Tabs, at: gr.BrowserState, form: CreateForm,
    enhance: EnhanceTab,
) -> None:  # fmt: skip
    """Lay the tab out and wire it. `at` holds the run that is open."""
    layout = Layout(at)
    handlers = Handlers(queue, layout)
    _wire_list(shown, layout, handlers)
    _wire_run(layout, handlers)

    def send(id_: str, session: Any, only: Sequence[str] = ("classes", "edit")) -> Update:
        """Give the run's photos to Enhance, with the fields named, or all."""
        values, notes = use_again.values_for_enhance(run_folders.folder(queue.root, id_))
        if only:
            values, notes = {name: values[name] for name in only}, []
        taken = enhance.handlers.take_run(id_, values, notes, session)
        return {layout.message: "", tabs: gr.Tabs(selected="enhance"), **taken}

    def use(id_: str, session: Any) -> Update:
        """Fill Create in with the run; one of photos goes to Enhance."""
        folder = run_folders.folder(queue.root, id_)
        if use_again.of_photos(folder):
            return send(id_, session, ())
        filled = form.fill_in(f"the run {id_}", *use_again.values_of_run(folder))
        return {layout.message: "", tabs: gr.Tabs(selected="create"), **filled}

    sent = [layout.message, tabs, *enhance.of_run]
    which = [layout.at, enhance.layout.session]
    layout.send.click(show_errors(send, layout.message), which, sent, **QUICK)
    layout.use.click(show_errors(use, layout.message), which, [*sent, *form.outputs], **QUICK)


def _wire_list(shown: gr.Tab, layout: Layout, handlers: Handlers) -> None:
    asked, every = [layout.search, layout.many], layout.every
    gr.on(
        [shown.select, layout.refresh.click], handlers.refresh, [layout.at, *asked], every, **QUICK
    )
    layout.search.input(handlers.find, layout.search, layout.listed, **LATEST)
    layout.more_runs.click(handlers.more, asked, layout.listed, **QUICK)
    layout.runs.select(handlers.choose, asked, every, **QUICK).then(
        None, None, None, js=TO_TOP, **QUICK
    )
    layout.back.click(handlers.close, asked, every, **QUICK)


def _wire_run(layout: Layout, handlers: Handlers) -> None:
    at, message, large = layout.at, layout.message, [layout.details, layout.slider]
    gr.on(
        [layout.outcome.input, layout.label.input], handlers.pictures,
        [at, layout.outcome, layout.label], [layout.pictures, *large], **QUICK,
    )  # fmt: skip
    layout.pictures.select(handlers.pick, at, large, **QUICK).then(
        None, None, None, js=TO_PICTURE, **QUICK
    )
    begun = [layout.started, layout.timer, layout.progress, message]
    layout.again.click(show_errors(handlers.run_again, message), at, begun, **QUICK)
    layout.resume.click(show_errors(handlers.resume, message), at, begun, **QUICK)
    layout.timer.tick(handlers.watch, [layout.started, at], [layout.timer, *layout.every], **QUICK)
    asks = [layout.sure, layout.buttons]
    layout.delete.click(lambda: handlers.ask(True), None, asks, **QUICK)
    layout.keep.click(lambda: handlers.ask(False), None, asks, **QUICK)
    layout.really.click(
        show_errors(handlers.delete, message), [at, layout.search, layout.many], layout.every,
        **QUICK,
    )  # fmt: skip
