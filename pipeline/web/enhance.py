"""The tab Enhance: photos in, products found and chosen, masks mended by hand, re-rendered."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Any

import gradio as gr

from ...configs.schema import load_settings, presets
from . import editor, orders, panels, picking, runs, search, uploads, wording
from .create import EVERY, QUICK, gallery_of
from .jobs import BusyError, Desk
from .orders import Order


def tab(blocks: gr.Blocks, desk: Desk) -> list[Any]:
    """Lay the tab out and wire it; returns the components that take a run: its id, its class."""
    root = desk.root
    usual = load_settings("mini")
    session = gr.BrowserState(dict(search.EMPTY), storage_key="visuals.search")
    job_id = gr.BrowserState("", storage_key="visuals.enhance")
    shown = gr.State(("", -1))
    sent = gr.State("")
    timer = gr.Timer(EVERY, active=False)
    with gr.Row(equal_height=False):
        with gr.Column(scale=4, min_width=320):
            files = gr.File(
                file_count="multiple", label="Photos, or a zip of them", elem_id="enhance-files",
                height=160,
            )  # fmt: skip
            said = gr.HTML(padding=False, elem_id="enhance-said")
            with gr.Row():
                classes = gr.Dropdown(
                    wording.classes("mini"), value=["mug"], multiselect=True, min_width=180,
                    allow_custom_value=True, label="What to look for", elem_id="enhance-classes",
                )  # fmt: skip
                preset = gr.Dropdown(presets(), value="mini", label="Preset", min_width=120)
            find = gr.Button("Find", variant="primary", elem_id="enhance-find")
            threshold = gr.Slider(
                picking.FLOOR, 0.99, usual.detect.box_threshold, step=0.01, label="Threshold",
                info="Least score of a box; moves the result without asking the detector again",
                elem_id="enhance-threshold",
            )  # fmt: skip
            facts = gr.HTML(padding=False, elem_id="enhance-facts")
            thumbs = gr.Gallery(
                label="Photos", columns=4, height="auto", object_fit="contain", buttons=[],
                interactive=False, allow_preview=False, format="jpeg", elem_id="enhance-thumbs",
            )  # fmt: skip
        with gr.Column(scale=6, min_width=320):
            overlay = gr.Image(
                label="Found", interactive=False, format="png", buttons=["fullscreen"],
                elem_id="enhance-overlay", alt_text="The photo with boxes, masks and scores",
            )  # fmt: skip
            ticks = gr.CheckboxGroup([], label="Instances", elem_id="enhance-ticks")
            with gr.Accordion("Mask by hand", open=False, elem_id="enhance-hand") as hand:
                canvas = gr.ImageEditor(
                    label="Paint or erase", type="numpy", format="png", sources=(), transforms=(),
                    brush=gr.Brush(default_size=24, colors=["#ff4081"], color_mode="fixed"),
                    eraser=gr.Eraser(default_size=32), layers=False, interactive=True,
                    canvas_size=(editor.SIDE, editor.SIDE), elem_id="enhance-editor",
                )  # fmt: skip
                with gr.Row():
                    use = gr.Button("Use this mask", min_width=120, elem_id="enhance-use")
                    undo = gr.Button("Undo all painting", min_width=120, elem_id="enhance-undo")
            with gr.Row():
                edit = gr.Textbox(
                    label="Edit", placeholder="red", max_length=500, min_width=200,
                    info="What the product becomes", elem_id="enhance-edit",
                )  # fmt: skip
                strength = gr.Slider(
                    0.05, 1, usual.rerender.strength, step=0.05, label="Strength", min_width=160
                )
            with gr.Accordion("Prompt, steps, seed", open=False):
                prompt = gr.Textbox(
                    label="Prompt", lines=2, max_length=2000,
                    info="[SEP] parts it by instance, [SKIP] leaves one as it is; empty: the "
                    "preset's",
                )  # fmt: skip
                with gr.Row():
                    steps = gr.Slider(
                        1, 100, usual.rerender.steps, step=1, label="Steps", min_width=160
                    )
                    seed = gr.Number(0, label="Seed", precision=0, minimum=0, min_width=120)
            with gr.Row():
                go = gr.Button("Re-render", variant="primary", elem_id="enhance-go")
                keep = gr.Button("Keep as a run", elem_id="enhance-keep")
                cancel = gr.Button("Cancel", interactive=False, elem_id="enhance-cancel")
            progress = gr.HTML(padding=False, elem_id="enhance-progress")
            slider = gr.ImageSlider(
                label="Before and after", type="numpy", format="png", interactive=False,
                visible=False, buttons=["download", "fullscreen"], elem_id="enhance-slider",
            )  # fmt: skip
            with gr.Row():
                results = gr.Gallery(
                    label="Results", columns=4, height="auto", object_fit="contain", scale=4,
                    interactive=False, allow_preview=False, visible=False, buttons=[],
                    elem_id="enhance-results", min_width=200,
                )  # fmt: skip
                control = gr.Image(
                    label="Control map", interactive=False, visible=False, scale=1, min_width=140,
                    format="png", alt_text="The map that leads the re-render", buttons=[],
                )  # fmt: skip
            command = gr.Textbox(
                label="The same on the command line", interactive=False, lines=2, max_lines=6,
                buttons=["copy"], elem_classes="command", elem_id="enhance-command",
            )  # fmt: skip

    detail = [overlay, ticks, canvas]
    watched = [progress, facts, thumbs, *detail, slider, results, control, command, cancel, timer,
               shown, session]  # fmt: skip

    def start(paths: list[str] | None, names: list[str], preset: str, run: str, t: float) -> Any:
        """A search in what was dropped, or in a run that was sent here."""
        if not names:
            raise gr.Error("nothing to look for: choose or type a class", duration=None)
        refused: list[str] = []
        try:
            if paths:
                upload = uploads.receive(root, [(Path(p).name, Path(p)) for p in paths])
                refused = upload.refused
                if not upload.pictures:
                    return [panels.refused(refused), *[gr.skip()] * (len(watched) + 1)]
                inputs, name = str(upload.folder), upload.folder.name
            elif run:
                inputs, name = str(runs.folder(root, run)), f"{run}-{uuid.uuid4().hex[:6]}"
            else:
                raise gr.Error("no photos: drop some first", duration=None)
            order = Order("filter", (inputs,), tuple(names), preset=preset)
            order = _with(order, picking.search_settings())
            orders.check(order)
            job = desk.submit(order, out=root / ".studio" / "found" / name)
        except (ValueError, BusyError) as error:
            raise gr.Error(" ".join(str(error).split()), duration=None) from None
        fresh = {**search.EMPTY, "found": name, "threshold": t}
        return [panels.refused(refused), job.id, *watch(job.id, ("", -1), fresh)]

    def watch(id_: str, before: tuple[str, int], state: dict[str, Any]) -> list[Any]:
        """What the page shows of the job that runs, be it a search or a re-render."""
        job = desk.get(id_)
        if job is None:
            off = [gr.Button(interactive=False), gr.Timer(active=False)]
            return ["", *photos(state), *[gr.skip()] * 4, *off, before, state]
        lines = job.lines()
        now = job.id, len(lines) + (0 if job.open else 1)
        searching = job.order.command == "filter"
        found, after = [gr.skip()] * 5, [gr.skip()] * 3
        if now != before and searching and lines:
            state = {**state, "current": state["current"] or lines[0]["id"]}
            found = photos(state)
        elif now != before and not searching:
            after = outcome(runs.Run(job.folder, tuple(lines)), 0)
            found = photos(state) if before[0] == "" else found
        line = job.order.line()
        if searching and state.get("found") == job.id:
            line = at_threshold(job.order, state).line()
        return [
            panels.progress(job, desk) + ("" if searching else panels.facts(lines)),
            *found, *after, line, gr.Button(interactive=job.open), gr.Timer(active=job.open),
            now, state,
        ]  # fmt: skip

    def photos(state: dict[str, Any]) -> list[Any]:
        """Facts, thumbnails and the current photo of a search."""
        folder = search.place(root, state)
        if folder is None:
            return ["", [], *blank()]
        lines, made = search.lines(folder), search.choice(folder, state)
        thumbs = [
            (picture, search.told(line, made))
            for line in lines.values()
            if (picture := search.view(folder, line, made, search.THUMBNAIL)) is not None
        ]
        chosen = [search.as_chosen(line, made) for line in lines.values()]
        return [panels.facts(chosen), thumbs, *current(state)]

    def current(state: dict[str, Any]) -> list[Any]:
        """The photo looked at: marked, its instances to tick, its mask to paint."""
        folder = search.place(root, state)
        line = search.lines(folder).get(state["current"]) if folder else None
        if folder is None or line is None:
            return blank()
        made = search.choice(folder, state)
        image = search.source(folder, line)
        if image is None:
            return blank()
        options = [
            (f"{k + 1} {d['label']} {d['score']:.2f}", k)
            for k, d in enumerate(line["detections"])
            if d["score"] > made.threshold
        ]
        mask = search.union(folder, line, made)
        return [
            search.view(folder, line, made, 768),
            gr.CheckboxGroup(choices=options, value=picking.chosen(line, made)),
            editor.layered(image, mask),  # type: ignore[arg-type]
        ]

    def blank() -> list[Any]:
        return [None, gr.CheckboxGroup(choices=[], value=[]), None]

    def slide(value: float, state: dict[str, Any]) -> list[Any]:
        """While the threshold is dragged: facts and the current photo."""
        state = {**state, "threshold": round(float(value), 2)}
        folder = search.place(root, state)
        if folder is None:
            return [state, gr.skip(), gr.skip(), gr.skip(), gr.skip()]
        made = search.choice(folder, state)
        chosen = [search.as_chosen(line, made) for line in search.lines(folder).values()]
        job = desk.get(state["found"])
        line = at_threshold(job.order, state).line() if job else gr.skip()
        return [state, panels.facts(chosen), *current(state)[:2], line]

    def settle(value: float, state: dict[str, Any]) -> list[Any]:
        """Once the slider is let go: all photos."""
        state = {**state, "threshold": round(float(value), 2)}
        return [state, *photos(state)]

    def tick(numbers: list[int], state: dict[str, Any]) -> list[Any]:
        folder = search.place(root, state)
        line = search.lines(folder).get(state["current"]) if folder else None
        if line is None:
            return [state, *[gr.skip()] * 5]
        off = [k for k in picking.above(line, state["threshold"]) if k not in numbers]
        state = {**state, "off": {**state["off"], state["current"]: off}}
        return [state, *photos(state)]

    def pick(state: dict[str, Any], event: gr.SelectData) -> list[Any]:
        folder = search.place(root, state)
        if folder is None:
            return [state, *blank()]
        shown = [
            id_ for id_, line in search.lines(folder).items()
            if search.source(folder, line) is not None
        ]  # fmt: skip
        state = {**state, "current": shown[event.index]}
        return [state, *current(state)]

    def paint(value: dict[str, Any] | None, state: dict[str, Any]) -> list[Any]:
        folder = search.place(root, state)
        line = search.lines(folder).get(state["current"]) if folder else None
        if folder is None or line is None or not value:
            raise gr.Error("no photo is chosen: find some first", duration=None)
        mask = search.union(folder, line, search.choice(folder, state))
        assert mask is not None
        search.paint(folder, line["id"], editor.painted(value, mask))
        return photos(state)

    def unpaint(state: dict[str, Any]) -> list[Any]:
        folder = search.place(root, state)
        if folder is not None and state["current"]:
            search.paint(folder, state["current"], None)
        return photos(state)

    def selected(state: dict[str, Any]) -> tuple[Path, dict[str, int]]:
        """The choice written as a run folder of its own."""
        folder = search.place(root, state)
        if folder is None:
            raise gr.Error("nothing was looked for yet: drop photos and press Find", duration=None)
        out = root / f"{state['found'][:15]}-chosen-{uuid.uuid4().hex[:4]}"
        return out, picking.select(folder, out, search.choice(folder, state))

    def rerender(
        state: dict[str, Any], edit: str, strength: float, prompt: str, steps: float, seed: float
    ) -> list[Any]:
        out, counts = selected(state)
        if not counts["kept"]:
            raise gr.Error("nothing is left to re-render: lower the threshold", duration=None)
        preset = orders.of_run(out).preset
        r = load_settings(preset).rerender
        order = Order(
            "enhance", (str(out),), edit=(edit or "").strip(),
                prompt=(prompt or "").strip() or None,
            strength=float(strength) if strength != r.strength else None,
            seed=int(seed or 0) or None, preset=preset,
            changes={"rerender.steps": int(steps)} if steps != r.steps else {},
        )  # fmt: skip
        try:
            orders.check(order)
            job = desk.submit(order)
        except (ValueError, BusyError) as error:
            raise gr.Error(" ".join(str(error).split()), duration=None) from None
        return [job.id, *watch(job.id, (job.id, 0), state)]

    def kept(state: dict[str, Any]) -> list[Any]:
        out, counts = selected(state)
        numbers = ", ".join(f"{n} {status}" for status, n in counts.items() if n)
        job = desk.get(state["found"])
        line = at_threshold(job.order, state).to(out).line() if job else gr.skip()
        return [f'<p class="said">Run {out.name}: {numbers}. See Runs.</p>', line]

    def outcome(run: runs.Run, index: int) -> list[Any]:
        """Slider, results and control map of a re-render."""
        pictures = gallery_of(run)
        lines = [line for line in run.lines if line["files"]["result"]]
        if not lines:
            return [gr.ImageSlider(visible=False), gr.Gallery(pictures, visible=bool(pictures)),
                    gr.Image(visible=False)]  # fmt: skip
        files = lines[min(index, len(lines) - 1)]["files"]
        pair: Any = [panels.read(run.folder / files[k], 1024) for k in ("source", "result")]
        control = panels.read(run.folder / files["control"]) if files["control"] else None
        return [
            gr.ImageSlider(value=tuple(pair), visible=True),
            gr.Gallery(pictures, visible=len(pictures) > 1),
            gr.Image(control, visible=control is not None),
        ]

    def show_result(id_: str, event: gr.SelectData) -> list[Any]:
        job = desk.get(id_)
        if job is None:
            return [gr.skip()] * 3
        run = runs.Run(job.folder, tuple(job.lines()))
        kept = outcome(run, event.index)
        return [kept[0], gr.skip(), kept[2]]

    def stop(id_: str, before: tuple[str, int], state: dict[str, Any]) -> list[Any]:
        desk.cancel(id_)
        return watch(id_, before, state)

    def restored(id_: str, state: dict[str, Any]) -> list[Any]:
        """After a reload: the search, the job, and the threshold as they were."""
        state = {**search.EMPTY, **(state or {})}
        if state["threshold"] is None:
            state["threshold"] = usual.detect.box_threshold
        return [state["threshold"], *watch(id_, ("", -1), state)]

    def changed_preset(name: str) -> list[Any]:
        s = load_settings(name)
        return [gr.Dropdown(choices=wording.classes(name)), s.detect.box_threshold,
                s.rerender.strength, s.rerender.steps]  # fmt: skip

    five = [facts, thumbs, *detail]
    find.click(start, [files, classes, preset, sent, threshold], [said, job_id, *watched], **QUICK)
    timer.tick(watch, [job_id, shown, session], watched, **QUICK)
    threshold.input(
        slide, [threshold, session], [session, facts, overlay, ticks, command],
        trigger_mode="always_last", **QUICK,
    )  # fmt: skip
    threshold.release(settle, [threshold, session], [session, *five], **QUICK)
    ticks.input(tick, [ticks, session], [session, *five], **QUICK)
    thumbs.select(pick, session, [session, *detail], **QUICK)
    hand.expand(lambda state: current(state)[2], session, canvas, **QUICK)
    use.click(paint, [canvas, session], five, **QUICK)
    undo.click(unpaint, session, five, **QUICK)
    go.click(rerender, [session, edit, strength, prompt, steps, seed], [job_id, *watched], **QUICK)
    keep.click(kept, session, [said, command], **QUICK)
    cancel.click(stop, [job_id, shown, session], watched, **QUICK)
    results.select(show_result, job_id, [slider, results, control], **QUICK)
    preset.input(changed_preset, preset, [classes, threshold, strength, steps], **QUICK)
    files.upload(lambda: "", None, sent, **QUICK)
    sent.change(
        lambda run: f'<p class="said">From the run {run}: press Find.</p>' if run else "",
        sent, said, **QUICK,
    )  # fmt: skip
    blocks.load(restored, [job_id, session], [threshold, *watched], **QUICK)
    return [sent, classes]


def at_threshold(order: Order, state: dict[str, Any]) -> Order:
    """A search's order as a `filter` at the threshold that was chosen."""
    value = float(state["threshold"])
    return _with(order, {"detect.box_threshold": value, "detect.text_threshold": value}).to("")


def _with(order: Order, changes: dict[str, Any]) -> Order:
    from dataclasses import replace

    return replace(order, changes={**order.changes, **changes})
