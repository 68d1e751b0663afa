"""Handlers of the tab Enhance: searches, masks, what is shown.

They take the session and return updates of components.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import gradio as gr

from .....configs.errors import UsageError
from .....configs.schema import presets
from ....build.required_models import required_models
from ....jobs.request import NEEDS, RunRequest
from ...files import run_folders, uploads
from ...queue import requests
from ...visitor_settings import preset_settings
from ...widgets import components, download_offer, preset_notes, prompt_preview, seed_box
from ...widgets.components import Update
from . import mask_strokes, photo_strip, results, samples, selection
from .layout import EDIT
from .page_updates import PageUpdates
from .search_session import EMPTY, Search, Session, complete, with_wording, wording


class Handlers(PageUpdates):
    """The handlers. `usual` are the settings that the page starts with."""

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
        if run:  # it was sent here after the photos: a later upload forgets it
            inputs, name = run_folders.folder(self.root, run), f"{run}-{uuid.uuid4().hex[:6]}"
        else:
            upload = uploads.receive(self.root, [(Path(p).name, Path(p)) for p in paths or ()])
            inputs, name, refused = upload.folder, upload.folder.name, upload.refused
            if not upload.pictures:
                return {layout.message: components.refused(refused)}
        for_all = wording(with_wording(complete(session, self.usual), *words))
        session = {**EMPTY, "found": name, "threshold": threshold, "all": for_all}
        update = self._search(inputs, names, preset, session)
        return {**update, layout.message: components.refused(refused)}

    def find_sample(self, name: str, edit: str = "") -> Update:
        """Search in a sample photo with the embedded models, as they are usually set."""
        layout, upload = self.layout, uploads.receive(self.root, [_sample(name)])
        session = complete({"found": upload.folder.name}, self.usual)
        session["all"]["edit"] = edit
        return {
            **self._usual("mini"),
            layout.preset: "mini",
            layout.classes: gr.Dropdown(prompt_preview.classes("mini"), value=[name]),
            layout.files: None,
            layout.sent_run: "",
            layout.message: "",
            **self._search(upload.folder, [name], "mini", session),
        }

    def take_run(
        self, id_: str, values: dict[str, Any], notes: Sequence[str], session: Any
    ) -> Update:
        """Make a run's photos those that Find looks at, and set fields, by name."""
        layout = self.layout
        known = {k: v for k, v in values.items() if v is not None}
        choices: dict[str, Any] = {}
        if "preset" in known:
            choices["choices"] = prompt_preview.classes(known["preset"])
        return {
            **{getattr(layout, name): value for name, value in known.items()},
            layout.classes: gr.Dropdown(value=list(known["classes"]) or None, **choices),
            layout.edit: gr.Textbox(known["edit"], label=EDIT),
            layout.sent_run: id_,
            layout.files: None,
            layout.whose: -1,
            layout.session: {**complete(session, self.usual), "whose": -1},
            layout.message: components.status_message(f"From the run {id_}: press Find.", notes),
        }

    def pick_sample(self, chosen: Any) -> Update:
        """Search in the sample photo that was clicked."""
        return self.find_sample(photo_strip.picked(chosen))

    def _search(self, inputs: Path, names: Sequence[str], preset: str, session: Session) -> Update:
        """Queue a search, named by the session, and show it."""
        layout = self.layout
        request = RunRequest(
            command="filter",
            inputs=[str(inputs)],
            classes=list(names),
            preset=preset,
            overrides=selection.SEARCH_SETTINGS,
        )
        requests.check(request)
        out = self.root / ".studio" / "found" / session["found"]
        return {
            **self.words(session),
            layout.answer: "",
            layout.job_id: self.queue.submit(request, out=out).id,
            layout.photos_box: gr.Accordion(open=False),
            layout.session: session,
            layout.threshold: session["threshold"],
        }

    def paint(self, value: Any, session: Any) -> Any:
        """Keep the strokes that the page sent; return the photo, and how often it was drawn on."""
        kept = self.keep_strokes(value, complete(session, self.usual))
        return f"{value['id']} {value['seq']}" if kept else gr.skip()

    def keep_strokes(self, value: Any, session: Session) -> bool:
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

    def choose_preset(self, event: gr.SelectData) -> Update:
        """Fill in what is usual for a preset, whose name the field itself may hold only later."""
        return self._usual(str(event.value))

    def _usual(self, name: str) -> Update:
        settings, layout = preset_settings(name), self.layout
        return {
            layout.classes: gr.Dropdown(choices=prompt_preview.classes(name)),
            layout.threshold: settings.detect.box_threshold,
            layout.strength: settings.rerender.strength,
            layout.steps: settings.rerender.steps,
        }

    def preset_notes(self, name: str) -> str:
        """Return what is to be known of a preset's re-render."""
        return preset_notes.notes([preset_settings(name)], NEEDS["enhance"])

    def watch(self, id_: str) -> Update:
        """Update what the page shows of a job: a search or a re-render."""
        job, layout = self.queue.get(id_), self.layout
        if job is None or not isinstance(job.request, RunRequest):
            return {
                layout.progress: "",
                layout.cancel: gr.Button(visible=False),
                layout.timer: gr.Timer(active=False),
                layout.shown: "",
            }
        records, is_search = job.records(), job.request.command == "filter"
        facts = "" if is_search else seed_box.chip(job.request) + components.chips(records)
        return {
            layout.progress: components.progress(job, self.queue) + facts,
            layout.cancel: gr.Button(visible=job.open),
            layout.timer: gr.Timer(active=job.open),
            layout.shown: f"{job.id} {len(records) + (not job.open)}",
        }

    def restore(self, session: Any, draft: Any) -> Update:
        """After a reload: show the session and the fields as they were."""
        session, layout = complete(session, self.usual), self.layout
        return {
            **self.words(session),
            **self._typed(draft, session),
            layout.session: session,
            layout.threshold: session["threshold"],
            layout.photos_box: gr.Accordion(open=not self.has_photos(session)),
        }

    def _typed(self, draft: Any, session: Session) -> Update:
        """Return the fields as they were typed; the wording only where it is of what is shown."""
        layout, draft = self.layout, draft if isinstance(draft, dict) else {}
        fields = draft.get("fields")
        if not isinstance(fields, list) or len(fields) != len(layout.fields):
            return {}
        update = dict(zip(layout.fields, fields, strict=True))
        if draft.get("of") != [session[key] for key in ("found", "current", "whose")]:
            for field in layout.words:
                del update[field]
        if update[layout.preset] not in presets():
            del update[layout.preset]
        return update

    def stop(self, id_: str, stops: int) -> int:
        """Stop the job; return how often that was asked for."""
        self.queue.cancel(id_)
        return stops + 1

    def reuse_seed(self, id_: str, session: Session) -> Update:
        """Take the seed of the photo's result, else of the last re-render."""
        search = Search.open(self.root, session)
        made = search.results.get(session["current"]) if search else None
        seed = results.seed(made[0][0]) if made else seed_box.used(self.queue.get(id_))
        return {self.layout.answer: "", self.layout.seed: seed}


def _sample(name: str) -> tuple[str, Path]:
    path = samples.path(name)
    return path.name, path
