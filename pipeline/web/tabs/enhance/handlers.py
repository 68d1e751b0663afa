"""Handlers of the tab Enhance: searches, masks, re-renders.

They take the session and return updates of components.
"""

from __future__ import annotations

import uuid
from collections import Counter
from pathlib import Path
from typing import Any

import gradio as gr

from .....configs.errors import UsageError
from .....configs.schema import Settings, load_settings
from .....stages.shot import seed_or_random
from ....build.required_models import required_models
from ....jobs.request import NEEDS, RunRequest
from ....runs.manifest import ManifestRecord
from ...files import run_folders, uploads
from ...files.run_folders import RunSummary
from ...queue import requests
from ...queue.job_queue import JobQueue
from ...visitor_settings import preset_settings
from ...widgets import before_after, components, download_offer, prompt_preview, seed_box
from ...widgets.components import Update
from . import mask_canvas, mask_strokes, selection
from .layout import ALL, Layout
from .search_session import EMPTY, Search, Session, complete, with_wording, wording

MOST = 200
"""Photos shown small; a re-render takes all."""


class Handlers:
    """The handlers. `usual` are the settings that the page starts with."""

    def __init__(self, queue: JobQueue, layout: Layout, usual: Settings) -> None:
        self.queue, self.root, self.layout, self.usual = queue, queue.root, layout, usual

    def find(
        self, offered: str, paths: list[str] | None, names: list[str], preset: str, run: str,
        threshold: float, session: Any, *words: Any,
    ) -> Update:  # fmt: skip
        """Search in the photos that were dropped, or in a run that was sent here."""
        layout, refused = self.layout, []
        if not names:
            raise UsageError("nothing to look for: choose or type a class")
        if not paths and not run:
            raise UsageError("no photos: drop some first")
        models = required_models(preset_settings(preset), NEEDS["filter"])
        offer = download_offer.offer(models, "Find")
        if offer and offer != offered:
            return {layout.message: offer, layout.offered: offer}
        if paths:
            upload = uploads.receive(self.root, [(Path(p).name, Path(p)) for p in paths])
            inputs, name, refused = upload.folder, upload.folder.name, upload.refused
            if not upload.pictures:
                return {layout.message: components.refused(refused)}
        else:
            inputs, name = run_folders.folder(self.root, run), f"{run}-{uuid.uuid4().hex[:6]}"
        request = RunRequest(
            command="filter",
            inputs=[str(inputs)],
            classes=names,
            preset=preset,
            overrides=selection.SEARCH_SETTINGS,
        )
        requests.check(request)
        job = self.queue.submit(request, out=self.root / ".studio" / "found" / name)
        for_all = wording(with_wording(complete(session, self.usual), *words))
        session = {**EMPTY, "found": name, "threshold": threshold, "all": for_all}
        return {
            layout.message: components.refused(refused),
            layout.job_id: job.id,
            **self.watch(job.id, ("", -1), session),
            layout.session: session,
        }

    def photos(self, session: Session) -> Update:
        """Update facts, thumbnails, the current photo and its ticks."""
        search, layout = Search.open(self.root, session), self.layout
        thumbs = [
            (str(file), search.describe(record))
            for record in list(search.records.values())[:MOST]
            if (file := search.thumbnail(record)) is not None
        ] if search else []  # fmt: skip
        return {
            layout.facts: components.facts(search.outcomes()) if search else "",
            layout.thumbs: components.gallery(thumbs),
            **self.current(search),
        }

    def current(self, search: Search | None) -> Update:
        """Update the photo that is shown: marked, to paint on, with its instances to tick."""
        photo, options, value = mask_canvas.EMPTY, [], []
        record = search.current if search else None
        image = search.view(record, 768) if search and record else None
        if search and record and image is not None:
            drawn = search.painted(record.id)
            named = f"{search.folder.name}/{record.id}"
            photo = mask_canvas.value(image, search.describe(record), named, drawn)
            numbers = search.selection.above(record)
            options, value = _options(record, numbers), search.selection.chosen(record)
        ticks: Any = gr.CheckboxGroup(choices=options, value=value)
        return {self.layout.photo: photo, self.layout.ticks: ticks}

    def words(self, session: Session) -> Update:
        """Update whose wording is shown, of the current photo's instances, and that wording."""
        search = Search.open(self.root, session)
        record = search.current if search else None
        numbers = range(len(record.detections)) if record else range(0)
        options = [(ALL, -1), *(_options(record, numbers) if record else ())]
        whose = session["whose"] if session["whose"] in numbers else -1
        words, layout = wording(session, whose), self.layout
        return {
            layout.whose: gr.Dropdown(choices=options, value=whose),
            layout.edit: words["edit"],
            layout.strength: words["strength"],
            layout.prompt: words["prompt"],
        }

    def at_threshold(self, session: Session) -> RunRequest | None:
        """Return the search as a `filter` at the threshold that was chosen."""
        job = self.queue.get(session["found"])
        if job is None or not isinstance(job.request, RunRequest):
            return None
        value = float(session["threshold"])
        changes = {"detect.box_threshold": value, "detect.text_threshold": value}
        overrides = {**job.request.overrides, **changes}
        return job.request.model_copy(update={"overrides": overrides, "out": None})

    def drag(self, value: float, session: Session) -> Update:
        """While the threshold is dragged: update session, facts, photo, ticks and command."""
        session, layout = {**session, "threshold": round(float(value), 2)}, self.layout
        search, request = Search.open(self.root, session), self.at_threshold(session)
        return {
            layout.session: session,
            **({layout.facts: components.facts(search.outcomes())} if search else {}),
            **self.current(search),
            **({layout.command: str(request)} if request else {}),
        }

    def release(self, value: float, session: Session) -> Update:
        """Set the threshold: update session and photos."""
        session = {**session, "threshold": round(float(value), 2)}
        return {self.layout.session: session, **self.photos(session)}

    def tick(self, numbers: list[int], session: Session) -> Update:
        """Tick instances on or off: update session and photos."""
        search = Search.open(self.root, session)
        if search is None or search.current is None:
            return {self.layout.session: session}
        shown = search.selection.above(search.current)
        off = {**session["off"], session["current"]: [k for k in shown if k not in numbers]}
        session = {**session, "off": off}
        return {self.layout.session: session, **self.photos(session)}

    def pick(
        self, session: Session, edit: str, strength: float, prompt: str, event: gr.SelectData
    ) -> Update:
        """Choose a photo by its thumbnail: update session, photo, ticks and wording."""
        session = with_wording(session, edit, strength, prompt)
        search = Search.open(self.root, session)
        if search is None:
            return {self.layout.session: session}
        first = list(search.records.values())[:MOST]
        shown = [record.id for record in first if search.thumbnail(record) is not None]
        session = {**session, "current": shown[min(event.index, len(shown) - 1)], "whose": -1}
        current = self.current(Search.open(self.root, session))
        return {self.layout.session: session, **current, **self.words(session)}

    def paint(self, value: Any, session: Session) -> Update:
        """Keep the strokes that the page sent and update the photos."""
        return self.photos(session) if self._keep_strokes(value, session) else gr.skip()

    def _keep_strokes(self, value: Any, session: Session) -> bool:
        """Keep the strokes that the page sent; False for a photo of another search."""
        search = Search.open(self.root, session)
        value = value if isinstance(value, dict) else {}
        folder, _, id_ = str(value.get("id") or "").partition("/")
        if search is None or folder != search.folder.name or id_ not in search.records:
            return False
        if not isinstance(value.get("seq"), int):
            return False
        search.paint(id_, value["seq"], mask_strokes.read(value.get("strokes")))
        return True

    def choose_instance(self, session: Session, whose: int, *words: Any) -> Update:
        """Show the wording of another instance."""
        session = {**with_wording(session, *words), "whose": int(whose)}
        update = {**self.words(session), self.layout.session: session}
        del update[self.layout.whose]
        return update

    def choose_preset(self, name: str) -> Update:
        """Fill in what is usual for a preset."""
        settings, layout = preset_settings(name), self.layout
        return {
            layout.classes: gr.Dropdown(choices=prompt_preview.classes(name)),
            layout.threshold: settings.detect.box_threshold,
            layout.strength: settings.rerender.strength,
            layout.steps: settings.rerender.steps,
        }

    def watch(self, id_: str, before: tuple[str, int], session: Session) -> Update:
        """Update what the page shows of a search or a re-render; `before` is shown already."""
        job, layout = self.queue.get(id_), self.layout
        if job is None or not isinstance(job.request, RunRequest):
            return {
                layout.progress: "",
                layout.cancel: gr.Button(interactive=False),
                layout.timer: gr.Timer(active=False),
                **self.photos(session),
                **self.words(session),
            }
        records = job.records()
        now = job.id, len(records) + (not job.open)
        is_search = job.request.command == "filter"
        out: Update = {}
        fresh = before[0] == ""
        if now != before and is_search and records:
            if not session["current"]:
                session = out[layout.session] = {**session, "current": records[0].id}
                fresh = True
            out |= self.photos(session)
        elif now != before and not is_search:
            run = RunSummary(job.folder, records)
            out |= {layout.results: components.gallery_of(run, least=2), **self._result(run)}
            out |= self.photos(session) if fresh else {}
        if fresh and layout.photo in out:
            out |= self.words(session)
        request = self.at_threshold(session) if session.get("found") == job.id else None
        facts = "" if is_search else components.facts(records)
        return {
            **out,
            layout.progress: components.progress(job, self.queue)
            + seed_box.chip(job.request)
            + facts,
            layout.command: str((is_search and request) or job.request),
            layout.cancel: gr.Button(interactive=job.open),
            layout.timer: gr.Timer(active=job.open),
            layout.shown: now,
        }

    def restore(self, id_: str, session: Any) -> Update:
        """After a reload: show the search, the job, and the threshold as they were."""
        session, layout = complete(session, self.usual), self.layout
        watched = self.watch(id_, ("", -1), session)
        return {layout.threshold: session["threshold"], **watched, layout.session: session}

    def keep(self, session: Session, canvas: Any, *words: Any) -> Update:
        """Keep the selection as a run."""
        out, counts = self._write_selection(session, canvas, *words)
        statuses = ("kept", "skipped", "failed")
        numbers = ", ".join(f"{counts[s]} {s}" for s in statuses if counts[s])
        answer = f'<p class="said">Run {out.name}: {numbers}. See Runs.</p>'
        request = self.at_threshold(session)
        line = str(requests.in_folder(request, out)) if request else gr.skip()
        return {self.layout.answer: answer, self.layout.command: line}

    def rerender(
        self, offered: str, session: Session, canvas: Any, edit: str, strength: float, prompt: str,
        steps: float, seed: float | None,
    ) -> Update:  # fmt: skip
        """Re-render what was selected."""
        searched = self.queue.get(session["found"])
        if searched is not None and isinstance(searched.request, RunRequest):
            models = required_models(preset_settings(searched.request.preset), ("rerender",))
            offer = download_offer.offer(models, "Re-render")
            if offer and offer != offered:
                return {self.layout.answer: offer, self.layout.offered: offer}
        out, _ = self._write_selection(session, canvas, edit, strength, prompt, to_rerender=True)
        session = with_wording(session, edit, strength, prompt)
        preset = requests.request_of_run(out).preset
        usual, words = load_settings(preset).rerender, wording(session)
        request = RunRequest(
            command="enhance",
            inputs=[str(out)],
            edit=(words["edit"] or "").strip(),
            prompt=(words["prompt"] or "").strip() or None,
            strength=words["strength"] if words["strength"] != usual.strength else None,
            seed=seed_or_random(seed_box.checked(seed)),
            preset=preset,
            overrides={"rerender.steps": int(steps)} if steps != usual.steps else {},
        )
        requests.check(request)
        job, layout = self.queue.submit(request), self.layout
        watched = self.watch(job.id, (job.id, 0), session)
        return {layout.answer: "", layout.job_id: job.id, **watched, layout.session: session}

    def reuse_seed(self, id_: str) -> Update:
        """Take the seed of the last re-render."""
        return {self.layout.answer: "", self.layout.seed: seed_box.used(self.queue.get(id_))}

    def stop(self, id_: str, before: tuple[str, int], session: Session) -> Update:
        """Stop the job."""
        self.queue.cancel(id_)
        return self.watch(id_, before, session)

    def select_result(self, id_: str, event: gr.SelectData) -> Update:
        """Show a result by its number in the gallery."""
        job = self.queue.get(id_)
        run = RunSummary(job.folder, job.records()) if job else None
        return self._result(run, event.index) if run else gr.skip()

    def _result(self, run: RunSummary, index: int | None = None) -> Update:
        """Update slider and control map to a shot by its number, else to the first result."""
        records = components.shown(run)
        if index is None:
            index = next((k for k, record in enumerate(records) if record.files.result), 0)
        name = records[index].files.control if records else None
        control: Any = components.read(run.folder / name) if name else None
        return {
            self.layout.before_after: before_after.update(run, index),
            self.layout.control: gr.Image(control, visible=control is not None),
        }

    def _write_selection(
        self, session: Session, canvas: Any, *words: Any, to_rerender: bool = False
    ) -> tuple[Path, Counter[str]]:
        """Write the selection as a run folder of its own; return it and its shots by status.

        To re-render, edits of single instances alone leave all others as they are.
        """
        self._keep_strokes(canvas, session)  # strokes that may not have come in yet
        search = Search.open(self.root, with_wording(session, *words))
        if search is None:
            raise UsageError("nothing was looked for yet: drop photos and press Find")
        chosen = search.to_rerender() if to_rerender else search.selection
        if to_rerender and (remedy := selection.remedy(chosen, search.records.values())):
            raise UsageError(f"nothing is left to re-render: {remedy}")
        out = self.root / f"{session['found'][:15]}-chosen-{uuid.uuid4().hex[:4]}"
        return out, selection.write_selection(search.folder, out, chosen)


def _options(record: ManifestRecord, numbers: Any) -> list[tuple[str, int]]:
    """Return instances as options: number, class and score."""
    found = record.detections
    return [(f"{k + 1} {found[k].label} {found[k].score:.2f}", k) for k in numbers]
