"""The page of the studio: one Gradio app of all tabs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gradio as gr

from .queue.job_queue import JobQueue
from .tabs.compare import tab as compare
from .tabs.create import tab as create
from .tabs.enhance import tab as enhance
from .tabs.runs import tab as runs
from .tabs.train import tab as train
from .widgets import job_list
from .widgets.browser_state import browser_state
from .widgets.components import QUICK

_TABS = ".tab-container:not(.visually-hidden) button[role=tab]"
RESTORE_TAB = f"""() => {{
  const tabs = [...document.querySelectorAll("{_TABS}")];
  const last = tabs.find((tab) => tab.textContent.trim() === localStorage.getItem("visuals.tab"));
  window.tabRestored = true;
  if (last && tabs[0].getAttribute("aria-selected") === "true") last.click();
}}"""
"""Opens the tab that was left, unless the visitor was quicker and opened one."""
KEEP_TAB = f"""() => requestAnimationFrame(() => {{
  const open = document.querySelector("{_TABS}[aria-selected=true]");
  if (open && window.tabRestored) localStorage.setItem("visuals.tab", open.textContent.trim());
}})"""
"""Remembers the tab that is open; the first one tells that it is opened before the last one is."""


def look() -> dict[str, Any]:
    """Return theme and style, with fonts of the system, so that nothing is fetched."""
    sans = ["system-ui", "-apple-system", "Segoe UI", "Roboto", "sans-serif"]
    theme = gr.themes.Default(
        primary_hue="rose",
        neutral_hue="stone",
        radius_size="md",
        font=sans,
        font_mono=["ui-monospace", "Menlo", "Consolas", "monospace"],
    ).set(
        body_background_fill="*neutral_100",
        body_text_color_subdued="*neutral_600",
        body_text_color_subdued_dark="*neutral_300",
        block_info_text_color="*neutral_600",
        block_info_text_color_dark="*neutral_300",
        block_label_text_color="*neutral_700",
        block_label_text_color_dark="*neutral_200",
        block_title_text_weight="600",
        button_primary_background_fill="*primary_700",
        button_primary_background_fill_hover="*primary_800",
        button_primary_background_fill_dark="*primary_700",
        button_primary_background_fill_hover_dark="*primary_600",
        button_primary_text_color="white",
        button_cancel_background_fill="#b3261e",
        button_cancel_background_fill_hover="#8c1d18",
        button_cancel_background_fill_dark="#b3261e",
        button_cancel_text_color="white",
        slider_color="*primary_600",
    )
    sheets = [
        Path(__file__).parent / name for name in ("studio.css", "enhance.css", "learning.css")
    ]
    return {"theme": theme, "css": "\n".join(p.read_text(encoding="utf-8") for p in sheets)}


def studio(queue: JobQueue) -> gr.Blocks:
    """Return the page of all tabs over a job queue."""
    with gr.Blocks(title="visuals studio", analytics_enabled=False, fill_width=False) as blocks:
        with gr.Row(elem_classes="head", equal_height=False):
            gr.HTML(
                '<header class="top"><h1>visuals</h1><p><span>Product photos, the scene kept. '
                '</span><a href="docs">API</a></p></header>',
                padding=False,
            )
            jobs = job_list.component("jobs")
        opened, training = (browser_state(queue.root, name) for name in ("runs", "train"))
        compared = compare.browser_states(queue.root)
        made = create.browser_states(queue.root)
        searched = enhance.browser_states(queue.root)
        with gr.Tabs() as tabs:
            with gr.Tab("Create", id="create") as create_tab:
                creating = create.CreateTab(blocks, queue, jobs, *made)
            with gr.Tab("Enhance", id="enhance") as enhance_tab:
                enhancing = enhance.EnhanceTab(blocks, queue, jobs, *searched)
            with gr.Tab("Compare", id="compare") as compare_tab:
                compare.tab(blocks, compare_tab, queue, *compared)
            with gr.Tab("Train", id="train") as train_tab:
                train.tab(blocks, train_tab, queue, training, tabs, creating.form.fields["prompt"])
            with gr.Tab("Runs", id="runs") as runs_tab:
                runs.tab(runs_tab, queue, tabs, opened, creating.form, enhancing)
        enhancing.on_example(creating.photo.input, "mug", "red", tabs)
        for tab in (create_tab, enhance_tab, compare_tab, train_tab, runs_tab):
            tab.select(None, None, None, js=KEEP_TAB, **QUICK)
        blocks.load(None, None, None, js=RESTORE_TAB, **QUICK)
    return blocks
