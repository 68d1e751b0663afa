"""The tab Enhance: photos in, products found and chosen, masks mended by hand, re-rendered.

Lays the tab out and wires it; what it shows is made by finding.py and remaking.py.
"""

from __future__ import annotations

from typing import Any

import gradio as gr

from .....configs.schema import load_settings, presets
from ...queue.job_queue import JobQueue
from ...widgets import before_after as slider
from ...widgets import components, prompt_preview
from ...widgets.messages import told
from ..create import EVERY, QUICK
from . import mask_canvas, selection
from . import session as search
from .results_view import ResultsView, seen
from .search_view import ALL, SearchView


def kept_by_browser() -> tuple[Any, Any]:
    """(session, id of the job). Outside of all tabs: what is in a tab that was not opened yet is
    not there when the page loads."""
    return (
        gr.BrowserState(dict(search.EMPTY), storage_key="visuals.search"),
        gr.BrowserState("", storage_key="visuals.enhance"),
    )


def tab(blocks: gr.Blocks, desk: JobQueue, session: Any, job_id: Any) -> list[Any]:
    """Lay the tab out and wire it; returns the components that take a run: its id, its classes,
    what is said of it."""
    usual = load_settings("mini")
    shown = gr.State(("", -1))
    sent = gr.State("")
    timer = gr.Timer(EVERY, active=False)
    with gr.Row(equal_height=False):
        with gr.Column(scale=4, min_width=320):
            files = gr.File(
                file_count="multiple", label="Photos, or a zip of them", elem_id="enhance-files",
                height=150,
            )  # fmt: skip
            folder = gr.UploadButton(
                "Or choose a folder", file_count="directory", size="sm", elem_id="enhance-folder"
            )
            said = gr.HTML(padding=False, elem_id="enhance-said")
            with gr.Row():
                classes = gr.Dropdown(
                    prompt_preview.classes("mini"), value=["mug"], multiselect=True, min_width=180,
                    allow_custom_value=True, label="What to look for", elem_id="enhance-classes",
                )  # fmt: skip
                preset = gr.Dropdown(presets(), value="mini", label="Preset", min_width=120)
            find = gr.Button("Find", variant="primary", elem_id="enhance-find")
            threshold = gr.Slider(
                selection.FLOOR, 0.99, usual.detect.box_threshold, step=0.01, label="Threshold",
                info="Least score of a box; moves the result without asking the detector again",
                elem_id="enhance-threshold",
            )  # fmt: skip
            facts = gr.HTML(padding=False, elem_id="enhance-facts")
            thumbs = gr.Gallery(
                label="Photos", columns=4, height="auto", object_fit="contain", buttons=[],
                interactive=False, allow_preview=False, format="jpeg", elem_id="enhance-thumbs",
                visible=False,
            )  # fmt: skip
        with gr.Column(scale=6, min_width=320):
            photo = mask_canvas.canvas("enhance-photo")
            ticks = gr.CheckboxGroup([], label="Instances", elem_id="enhance-ticks")
            with gr.Row():
                whose = gr.Dropdown(
                    [(ALL, -1)], value=-1, label="What becomes of", min_width=140,
                    elem_id="enhance-whose",
                )  # fmt: skip
                edit = gr.Textbox(
                    label="Edit", placeholder="red", max_length=500, min_width=180,
                    elem_id="enhance-edit",
                )  # fmt: skip
                strength = gr.Slider(
                    0.05, 1, usual.rerender.strength, step=0.05, label="Strength", min_width=160,
                    elem_id="enhance-strength",
                )  # fmt: skip
            with gr.Accordion("Prompt, steps, seed", open=False):
                prompt = gr.Textbox(
                    label="Prompt", lines=2, max_length=2000, elem_id="enhance-prompt",
                    info="In place of the preset's; {class} and {edit} are filled in, [SKIP] "
                    "leaves an instance as it is",
                )  # fmt: skip
                with gr.Row():
                    steps = gr.Slider(
                        1, 100, usual.rerender.steps, step=1, label="Steps", min_width=160,
                        elem_id="enhance-steps",
                    )  # fmt: skip
                    seed = gr.Number(0, label="Seed", precision=0, minimum=0, min_width=120)
            with gr.Row():
                go = gr.Button("Re-render", variant="primary", elem_id="enhance-go")
                keep = gr.Button("Keep as a run", elem_id="enhance-keep")
                cancel = gr.Button("Cancel", interactive=False, elem_id="enhance-cancel")
            answer = gr.HTML(padding=False, elem_id="enhance-answer")
            progress = gr.HTML(padding=False, elem_id="enhance-progress")
            before_after = slider.component("enhance-slider")
            with gr.Row():
                results = gr.Gallery(
                    label="Results", columns=4, height="auto", object_fit="contain", scale=4,
                    interactive=False, allow_preview=False, visible=False, buttons=[],
                    elem_id="enhance-results", min_width=200,
                )  # fmt: skip
                control = gr.Image(
                    label="Control map", interactive=False, visible=False, scale=1, min_width=140,
                    format="png", alt_text="The map that leads the re-render", buttons=[],
                    elem_id="enhance-control",
                )  # fmt: skip
            command = gr.Textbox(
                label="The same on the command line", interactive=False, lines=2, max_lines=6,
                buttons=["copy"], elem_classes="command", elem_id="enhance-command",
            )  # fmt: skip

    finder = SearchView(desk)
    maker = ResultsView(desk, finder)
    found = [facts, thumbs, photo, ticks]
    words: list[Any] = [whose, edit, strength, prompt]
    watched = [
        progress, *found, *words, before_after, results, control, command, cancel, timer, shown,
        session,
    ]  # fmt: skip

    def start(
        paths: Any, names: list[str], preset: str, run: str, t: float, state: Any, *w: Any
    ) -> list[Any]:
        """A search in what was dropped, or in a run that was sent here."""
        paths = paths or []
        order, name, refused = finder.order(paths, names, preset, run)
        if order is None:
            return [components.refused(refused), *[gr.skip()] * (len(watched) + 1)]
        job = desk.submit(order, out=desk.root / ".studio" / "found" / name)
        said = search.said(_worded(seen(state, usual), *w))
        fresh = {**search.EMPTY, "found": name, "threshold": t, "all": said}
        out = maker.watch(job.id, ("", -1), fresh)
        return [components.refused(refused), job.id, *out[:-1], fresh]

    def settled(state: dict[str, Any], value: Any, *w: Any) -> dict[str, Any]:
        """The session with what is on the page and may not have come in yet."""
        finder.paint(value, state)
        return _worded(state, *w)

    def rerender(
        state: dict[str, Any], value: Any, e: str, s: float, p: str, n: float, k: float
    ) -> list[Any]:
        state = settled(state, value, e, s, p)
        id_ = maker.rerender(state, n, k)
        return ["", id_, *maker.watch(id_, (id_, 0), state)[:-1], state]

    def kept(state: dict[str, Any], value: Any, *w: Any) -> list[Any]:
        out, counts = finder.select(settled(state, value, *w))
        numbers = ", ".join(f"{n} {status}" for status, n in counts.items() if n)
        order = finder.at_threshold(state)
        line = order.to(out).line() if order else gr.skip()
        return [f'<p class="said">Run {out.name}: {numbers}. See Runs.</p>', line]

    def stop(id_: str, before: tuple[str, int], state: dict[str, Any]) -> list[Any]:
        desk.cancel(id_)
        return maker.watch(id_, before, state)

    def painted(value: Any, state: dict[str, Any]) -> list[Any]:
        return finder.photos(state) if finder.paint(value, state) else [gr.skip()] * 4

    def settle(value: float, state: dict[str, Any]) -> list[Any]:
        state = {**state, "threshold": round(float(value), 2)}
        return [state, *finder.photos(state)]

    def restored(id_: str, state: Any) -> list[Any]:
        """After a reload: the search, the job, and the threshold as they were."""
        state = seen(state, usual)
        out = maker.watch(id_, ("", -1), state)
        return [state["threshold"], *out[:-1], state]

    def changed_preset(name: str) -> list[Any]:
        s = load_settings(name)
        return [gr.Dropdown(choices=prompt_preview.classes(name)), s.detect.box_threshold,
                s.rerender.strength, s.rerender.steps]  # fmt: skip

    def picked(state: dict[str, Any], e: str, s: float, p: str, event: gr.SelectData) -> list[Any]:
        return finder.pick(event.index, _worded(state, e, s, p))

    def turned(state: dict[str, Any], whose: int, *w: Any) -> list[Any]:
        """Another instance's wording on the page."""
        state = {**_worded(state, *w), "whose": int(whose)}
        return [state, *finder.words(state)[1:]]

    def show_result(id_: str, event: gr.SelectData) -> list[Any]:
        return maker.result(id_, event.index)

    begun = [said, job_id, *watched]
    find.click(
        told(start, begun), [files, classes, preset, sent, threshold, session, *words[1:]], begun,
        **QUICK,
    )  # fmt: skip
    timer.tick(maker.watch, [job_id, shown, session], watched, **QUICK)
    threshold.input(
        finder.slide, [threshold, session], [session, facts, photo, ticks, command],
        trigger_mode="always_last", **QUICK,
    )  # fmt: skip
    threshold.release(settle, [threshold, session], [session, *found], **QUICK)
    ticks.input(
        finder.tick, [ticks, session], [session, *found], trigger_mode="always_last", **QUICK
    )
    thumbs.select(picked, [session, *words[1:]], [session, photo, ticks, *words], **QUICK)
    photo.input(painted, [photo, session], found, trigger_mode="always_last", **QUICK)
    whose.input(turned, [session, *words], [session, *words[1:]], **QUICK)
    begun = [answer, job_id, *watched]
    go.click(told(rerender, begun), [session, photo, *words[1:], steps, seed], begun, **QUICK)
    written = [answer, command]
    keep.click(told(kept, written), [session, photo, *words[1:]], written, **QUICK)
    cancel.click(stop, [job_id, shown, session], watched, **QUICK)
    results.select(show_result, job_id, [before_after, control], **QUICK)
    preset.input(changed_preset, preset, [classes, threshold, strength, steps], **QUICK)
    files.upload(lambda: "", None, sent, **QUICK)
    folder.upload(lambda paths: [paths, ""], folder, [files, sent], **QUICK)
    blocks.load(restored, [job_id, session], [threshold, *watched], **QUICK)
    return [sent, classes, said]


def _worded(state: dict[str, Any], edit: str, strength: float, prompt: str) -> dict[str, Any]:
    """The session with the wording that the page shows."""
    said = {"edit": edit or "", "prompt": prompt or "", "strength": float(strength)}
    return search.say(state, said)
