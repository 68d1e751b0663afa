"""Handlers of the tab Enhance that use what was selected: re-renders it, or keeps it as a run."""

from __future__ import annotations

import uuid
from html import escape
from pathlib import Path
from typing import Any
from urllib.parse import quote

from .....configs.errors import UsageError
from .....configs.schema import load_settings
from .....stages.shot import seed_or_random
from ....build.required_models import required_models
from ....exports import cutouts
from ....jobs.request import RunRequest, edit_fields
from ....runs.manifest import last_records
from ...queue import requests
from ...visitor_settings import preset_settings
from ...widgets import cutout_box, download_offer, seed_box
from ...widgets.components import Update
from ...widgets.text_lines import lines
from . import results, selection
from .handlers import Handlers
from .search_session import Search, Session, with_wording, wording


class RerenderHandlers:
    """The handlers. `shown` are those of the search."""

    def __init__(self, shown: Handlers) -> None:
        self.shown, self.layout = shown, shown.layout
        self.queue, self.root = shown.queue, shown.root

    def rerender(
        self, every: bool, offered: str, session: Session, canvas: Any, edit: str, strength: float,
        prompt: str, steps: float, seed: float | None, cutout: str, behind: str | None,
    ) -> Update:  # fmt: skip
        """Re-render the photo that is shown, or every photo that is kept."""
        session = with_wording(session, edit, strength, prompt)
        search = self._search(session, canvas)
        chosen, records = search.to_rerender(), search.records
        ids = list(records) if every or search.current is None else [search.current.id]
        remedy = selection.remedy(chosen, [records[id_] for id_ in ids])
        if remedy:
            raise UsageError(f"nothing is left to re-render: {remedy}")
        own = (one.edit for id_ in ids for one in chosen.overrides.get(id_, {}).values())
        if any(len(lines(edit)) > 1 for edit in own):
            raise UsageError("several edits of one instance: expected one; several are of all")
        preset = requests.request_of_run(search.folder).preset
        models = required_models(preset_settings(preset), ("rerender",))
        offer = download_offer.offer(models, "Re-render")
        if offer and offer != offered:
            return {self.layout.answer: offer, self.layout.offered: offer}
        out = self._free(self.root / ".studio" / "chosen", session)
        selection.write_selection(search.folder, out, chosen, ids)
        usual, words = load_settings(preset).rerender, wording(session)
        request = RunRequest(
            command="enhance",
            inputs=[str(out)],
            **edit_fields(lines(words["edit"])),
            prompt=(words["prompt"] or "").strip() or None,
            strength=words["strength"] if words["strength"] != usual.strength else None,
            seed=seed_or_random(seed_box.checked(seed)),
            preset=preset,
            **cutout_box.fields(cutout),
            overrides={"rerender.steps": int(steps)} if steps != usual.steps else {},
        )
        requests.check(request)
        request = cutout_box.with_picture(self.root, request, cutout, behind)
        job, layout = self.queue.submit(request), self.layout
        results.add(search.folder, job.id)
        return {layout.answer: "", layout.job_id: job.id}

    def keep(
        self, session: Session, id_: str, canvas: Any, cutout: str, behind: str | None,
        *words: Any,
    ) -> Update:  # fmt: skip
        """Keep the selection as a run, with the cut-outs that are wanted."""
        search = self._search(with_wording(session, *words), canvas)
        request = self.shown.at_threshold(session)
        request = request or RunRequest(command="filter", inputs=[str(search.folder)])
        request = request.model_copy(update=cutout_box.fields(cutout))
        request = cutout_box.with_picture(self.root, request, cutout, behind)
        out = self._free(self.root, session)
        counts = selection.write_selection(search.folder, out, search.selection)
        statuses = ("kept", "skipped", "failed")
        numbers = ", ".join(f"{counts[s]} {s}" for s in statuses if counts[s])
        links = self._cut_out(out, request, session["current"])
        answer = f'<p class="said">Run {out.name}: {numbers}. See Runs.</p>{links}'
        return {
            self.layout.kept: answer,
            self.layout.kept_as: [session, id_, str(requests.in_folder(request, out))],
        }

    def _cut_out(self, run: Path, request: RunRequest, shown: str) -> str:
        """Write the cut-outs of a run; return links to them, that of the photo `shown` first."""
        if not request.cuts_out:
            return ""
        behind = cutouts.read_background(request.background) if request.background else None
        written = {r.id for r in last_records(run) if cutouts.write_cutout(run, r, behind)}
        base, name = f"api/runs/{quote(run.name)}", cutouts.file_of(shown)
        file = f"cutout-{escape(Path(name).name)}"
        one = f'<a href="{base}/files/{quote(name)}" download="{file}">Cut-out of this photo</a>'
        return (
            f'<p class="links">{one if shown in written else ""}'
            f'<a href="{base}/zip" download>All in a zip</a></p>'
        )

    def _search(self, session: Session, canvas: Any) -> Search:
        """Return the search, with the strokes on the page, which may not have come in yet."""
        self.shown.keep_strokes(canvas, session)
        search = Search.open(self.root, session)
        if search is None:
            raise UsageError("nothing was looked for yet: drop photos and press Find")
        return search

    def _free(self, parent: Path, session: Session) -> Path:
        return parent / f"{session['found'][:15]}-chosen-{uuid.uuid4().hex[:4]}"
