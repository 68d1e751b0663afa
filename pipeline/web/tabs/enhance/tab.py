"""The tab Enhance: finds products in photos, lets masks be mended by hand, re-renders them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import gradio as gr

from .....configs.schema import load_settings
from ...queue.job_queue import JobQueue
from ...widgets import preset_notes
from ...widgets.browser_state import browser_state
from ...widgets.components import LATEST, QUICK, show_errors, show_latest
from .handlers import Handlers
from .layout import EDIT, EDIT_OF_ONE, STRENGTH, Layout
from .rerender_handlers import RerenderHandlers
from .search_session import EMPTY

KEEP_DRAFT = (
    "(session, ...fields) => ({ of: [session.found, session.current, session.whose], fields })"
)

_SCRIPT = Path(__file__).with_name("session_changes.js").read_text(encoding="utf-8")


def _change(name: str) -> str:
    """Return the script that changes the session by a choice, named in session_changes.js."""
    return f"(...values) => (\n{_SCRIPT})({[EDIT, EDIT_OF_ONE]}).{name}(...values)"


def browser_states(root: Path) -> tuple[gr.BrowserState, ...]:
    """Return what the browser keeps: the session, the id of the job, the fields as typed, news."""
    names: dict[str, Any] = {"search": dict(EMPTY), "enhance": "", "enhance-fields": {}}
    names |= {"enhance-shown": "", "enhance-painted": "", "enhance-stops": 0, "enhance-kept": []}
    return tuple(browser_state(root, name, default) for name, default in names.items())


class EnhanceTab:
    """The tab, laid out and wired. `of_run` are the components that `handlers.take_run` updates.

    Events change only the session, the id of the job and what lies on the disk; `show_latest` shows
    these.
    """

    def __init__(
        self, blocks: gr.Blocks, queue: JobQueue, jobs: gr.HTML, *states: gr.BrowserState
    ) -> None:
        usual = load_settings("mini")
        self.layout = Layout(usual, *states)
        self.handlers = Handlers(queue, self.layout, usual)
        self._wire_search()
        self._wire_views(blocks, jobs)
        self._wire_choices()
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
            layout.message, layout.classes, layout.preset, layout.steps, layout.files,
            layout.sent_run, *layout.begun,
        ]  # fmt: skip

    def _wire_search(self) -> None:
        layout, handlers = self.layout, self.handlers
        layout.find.click(
            show_errors(handlers.find, layout.message),
            [layout.offered, layout.files, layout.classes, layout.preset, layout.sent_run,
             layout.threshold, layout.session, *layout.words],
            [layout.message, layout.offered, *layout.begun], **QUICK,
        )  # fmt: skip
        layout.samples.input(
            show_errors(handlers.pick_sample, layout.message), layout.samples,
            self._of_samples(), **QUICK,
        )  # fmt: skip
        of_preset = [layout.classes, layout.threshold, layout.strength, layout.steps]
        layout.preset.select(handlers.choose_preset, None, of_preset, **QUICK)
        layout.preset.change(handlers.preset_notes, layout.preset, layout.notes, **LATEST)
        preset_notes.keep_label(layout.preset, layout.strength, STRENGTH)
        layout.files.upload(lambda: "", None, layout.sent_run, **QUICK)
        layout.folder.upload(
            lambda paths: [paths, ""], layout.folder, [layout.files, layout.sent_run], **QUICK
        )
        layout.message.change(
            lambda text, run: gr.Accordion(open=True) if text and run else gr.skip(),
            [layout.message, layout.sent_run], layout.photos_box, **QUICK,
        )  # fmt: skip
        changed = [field.change for field in layout.fields]
        gr.on(
            changed, None, [layout.session, *layout.fields], layout.draft, js=KEEP_DRAFT, **LATEST
        )

    def _wire_views(self, blocks: gr.Blocks, jobs: gr.HTML) -> None:
        layout, handlers, session = self.layout, self.handlers, self.layout.session
        blocks.load(
            handlers.restore, [session, layout.draft],
            [session, layout.threshold, layout.photos_box, layout.whose, *layout.fields], **QUICK,
        )  # fmt: skip
        layout.cancel.click(handlers.stop, [layout.job_id, layout.stops], layout.stops, **QUICK)
        changed = [layout.job_id.change, layout.stops.change, layout.timer.tick]
        show_latest(
            [*changed, jobs.input, blocks.load], handlers.watch, layout.job_id, layout.watched
        )
        changed = [session.change, layout.shown.change, layout.painted.change]
        show_latest(
            [*changed, layout.job_id.change, layout.kept_as.change], handlers.page,
            [session, layout.job_id, layout.kept_as], layout.drawn,
        )  # fmt: skip
        show_latest(changed, handlers.strip, session, layout.strip)
        changed = [session.change, layout.strip.change, layout.edit.change, layout.prompt.change]
        show_latest(
            changed, handlers.buttons, [session, *layout.words],
            [layout.rerender, layout.rerender_all],
        )  # fmt: skip

    def _wire_choices(self) -> None:
        layout, session = self.layout, self.layout.session
        layout.threshold.input(
            None, [session, layout.threshold], session, js=_change("threshold"), **QUICK
        )
        layout.ticks.input(
            None, [session, layout.ticks, layout.photo], session, js=_change("ticks"),
            **QUICK,
        )  # fmt: skip
        layout.strip.input(
            None, [session, layout.strip, *layout.words], [session, layout.whose, *layout.words],
            js=_change("photo"), **QUICK,
        )  # fmt: skip
        layout.strip.change(None, [session, layout.strip], session, js=_change("first"), **QUICK)
        layout.whose.input(
            None, [session, layout.whose, *layout.words], [session, *layout.words],
            js=_change("instance"), **QUICK,
        )  # fmt: skip
        layout.photo.input(self.handlers.paint, [layout.photo, session], layout.painted, **LATEST)
        chosen = [layout.threshold.input, layout.ticks.input, layout.strip.input]
        gr.on(  # an error about what was selected before is out of date
            [*chosen, layout.photo.input], None, None, layout.answer, js="() => ''", **QUICK
        )

    def _wire_rerender(self, handlers: RerenderHandlers) -> None:
        layout = self.layout
        inputs = [
            layout.offered, layout.session, layout.photo, *layout.words, layout.steps, layout.seed,
            *layout.cutouts,
        ]  # fmt: skip
        outputs = [layout.answer, layout.offered, layout.job_id]
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
            [layout.session, layout.job_id, layout.photo, *layout.cutouts, *layout.words],
            [layout.kept, layout.kept_as], **QUICK,
        )  # fmt: skip
