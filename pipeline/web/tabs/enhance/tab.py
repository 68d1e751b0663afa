"""The tab Enhance: finds products in photos, lets masks be mended by hand, re-renders them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import gradio as gr

from .....configs.schema import load_settings
from ...queue.job_queue import JobQueue
from ...widgets.browser_state import browser_state
from ...widgets.components import LATEST, QUICK, show_errors
from .handlers import Handlers
from .layout import EDIT, EDIT_OF_ONE, Layout
from .rerender_handlers import RerenderHandlers
from .search_session import EMPTY

KEEP_DRAFT = (
    "(session, ...fields) => ({ of: [session.found, session.current, session.whose], fields })"
)

_SCRIPT = Path(__file__).with_name("choose_instance.js").read_text(encoding="utf-8")
CHOOSE_INSTANCE = f"(...values) => (\n{_SCRIPT})({[EDIT, EDIT_OF_ONE]}, ...values)"


def browser_states(root: Path) -> tuple[gr.BrowserState, ...]:
    """Return what the browser keeps: the session, the id of the job, the fields as typed."""
    names = {"search": dict(EMPTY), "enhance": "", "enhance-fields": {}}
    return tuple(browser_state(root, name, default) for name, default in names.items())


class EnhanceTab:
    """The tab, laid out and wired. `of_run` are the components that `handlers.take_run` updates."""

    def __init__(
        self, blocks: gr.Blocks, queue: JobQueue, jobs: gr.HTML, *states: gr.BrowserState
    ) -> None:
        usual = load_settings("mini")
        self.layout = Layout(usual, *states)
        self.handlers = Handlers(queue, self.layout, usual)
        self._wire_search(blocks, jobs)
        self._wire_photo()
        self._wire_rerender(RerenderHandlers(self.handlers))
        layout, session = self.layout, self.layout.session
        self.of_run: list[Any] = [
            layout.sent_run, layout.files, layout.message, session, layout.whose,
            layout.threshold, *layout.fields,
        ]  # fmt: skip

    def on_example(self, trigger: Callable[..., Any], name: str, edit: str, tabs: gr.Tabs) -> None:
        """Let an event open this tab, search in the sample photo of a class, fill in an edit."""
        layout = self.layout

        def show() -> Any:
            return {**self.handlers.find_sample(name, edit), tabs: gr.Tabs(selected="enhance")}

        trigger(show_errors(show, layout.message), None, [tabs, *self._of_samples()], **QUICK)

    def _of_samples(self) -> list[Any]:
        layout = self.layout
        return [
            layout.message, layout.answer, layout.job_id, layout.classes, layout.preset,
            layout.threshold, layout.steps, layout.files, layout.sent_run, *layout.watched,
        ]  # fmt: skip

    def _wire_search(self, blocks: gr.Blocks, jobs: gr.HTML) -> None:
        layout, handlers = self.layout, self.handlers
        session, job_id, draft, words = layout.session, layout.job_id, layout.draft, layout.words
        layout.find.click(
            show_errors(handlers.find, layout.message),
            [layout.offered, layout.files, layout.classes, layout.preset, layout.sent_run,
             layout.threshold, session, *words],
            [layout.message, layout.answer, layout.offered, job_id, *layout.watched], **QUICK,
        )  # fmt: skip
        layout.samples.input(
            show_errors(handlers.pick_sample, layout.message), layout.samples,
            self._of_samples(), **QUICK,
        )  # fmt: skip
        of_preset = [layout.classes, layout.threshold, layout.strength, layout.steps]
        layout.preset.select(handlers.choose_preset, None, of_preset, **QUICK)
        layout.files.upload(lambda: "", None, layout.sent_run, **QUICK)
        layout.folder.upload(
            lambda paths: [paths, ""], layout.folder, [layout.files, layout.sent_run], **QUICK
        )
        layout.message.change(
            lambda text, run: gr.Accordion(open=True) if text and run else gr.skip(),
            [layout.message, layout.sent_run], layout.photos_box, **QUICK,
        )  # fmt: skip
        watching = [job_id, layout.shown, session]
        gr.on(
            [layout.timer.tick, jobs.input], handlers.watch_again, watching, layout.watched, **QUICK
        )
        layout.cancel.click(handlers.stop, watching, layout.watched, **QUICK)
        changed = [field.change for field in layout.fields]
        gr.on(changed, None, [session, *layout.fields], draft, js=KEEP_DRAFT, **LATEST)
        blocks.load(
            handlers.restore, [job_id, session, draft],
            [layout.threshold, *layout.fields, *layout.watched], **QUICK,
        )  # fmt: skip

    def _wire_photo(self) -> None:
        layout, handlers, session = self.layout, self.handlers, self.layout.session
        layout.threshold.input(
            handlers.drag, [layout.threshold, session],
            [session, layout.facts, *layout.current, layout.command], **LATEST,
        )  # fmt: skip
        found = [session, layout.answer, *layout.found]
        layout.threshold.release(handlers.release, [layout.threshold, session], found, **QUICK)
        layout.ticks.input(handlers.tick, [layout.ticks, session], found, **LATEST)
        layout.photo.input(handlers.paint, [layout.photo, session], found[1:], **LATEST)
        layout.strip.input(
            handlers.pick, [layout.strip, session, *layout.words],
            [*found, layout.whose, *layout.words], **QUICK,
        )  # fmt: skip
        layout.whose.input(
            None, [session, layout.whose, *layout.words], [session, *layout.words],
            js=CHOOSE_INSTANCE, **QUICK,
        )  # fmt: skip
        changed = [session.change, layout.strip.change, layout.edit.change, layout.prompt.change]
        gr.on(
            changed, handlers.buttons, [session, *layout.words],
            [layout.rerender, layout.rerender_all], **LATEST,
        )  # fmt: skip

    def _wire_rerender(self, handlers: RerenderHandlers) -> None:
        layout = self.layout
        inputs = [
            layout.offered, layout.session, layout.photo, *layout.words, layout.steps, layout.seed,
            *layout.cutouts,
        ]  # fmt: skip
        outputs = [layout.answer, layout.offered, layout.job_id, *layout.watched]
        for button, every in ((layout.rerender, False), (layout.rerender_all, True)):
            button.click(
                show_errors(partial(handlers.rerender, every), layout.answer), inputs, outputs,
                **QUICK,
            )  # fmt: skip
        layout.reuse.click(
            show_errors(self.handlers.reuse_seed, layout.answer), [layout.job_id, layout.session],
            [layout.answer, layout.seed], **QUICK,
        )  # fmt: skip
        layout.keep.click(
            show_errors(handlers.keep, layout.kept),
            [layout.session, layout.photo, *layout.cutouts, *layout.words],
            [layout.kept, layout.command], **QUICK,
        )  # fmt: skip
