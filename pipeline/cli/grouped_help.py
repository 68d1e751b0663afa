"""Help of a command with its options by topic."""

from __future__ import annotations

import click

TOPICS = {
    "What to make": (
        "classes", "count", "prompt", "prompt_file", "negative_prompt", "seed", "steps",
        "cfg_scale", "sampler", "width", "height", "init_image", "prompt_strength", "references",
        "lora_dirs", "embedding_dirs", "retries",
    ),
    "Photos": ("from_file", "limit", "copy_skipped", "sort_by_class"),
    "Detection and masks": (
        "mask", "confidence", "mask_min_ratio", "mask_max_ratio", "mask_k", "sort", "dilate",
        "sweep",
    ),
    "Re-rendering": (
        "edits", "strength", "controls", "controlnet_weight", "rerender_steps",
        "rerender_cfg_scale", "invert",
    ),
    "Settings": ("preset", "changes", "license"),
    "Output": (
        "out", "fork", "retry_failed", "format", "quality", "annotate", "cutout", "background",
        "open_report", "dry_run", "as_json", "quiet", "verbose", "log_json", "log_file",
    ),
    "Machine": ("device", "batch_size", "low_memory", "allow_pickle", "yes"),
    "Ray cluster": ("engine", "address", "workers", "gpus_per_worker", "cpus_per_worker"),
}  # fmt: skip
"""Options by topic, in the order of the help; others come at the end."""


def examples(*lines: str) -> str:
    """Return the end of a command's help: commands that show what it is for."""
    return "\n".join(["\b", "Examples:", *(f"  {line}" for line in lines)])


class GroupedCommand(click.Command):
    """A command whose help lists its options by topic."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        records = {
            param.name: record
            for param in self.get_params(ctx)
            if isinstance(param, click.Option) and (record := param.get_help_record(ctx))
        }
        for topic, names in TOPICS.items():
            if rows := [records.pop(name) for name in names if name in records]:
                with formatter.section(topic):
                    formatter.write_dl(rows)
        with formatter.section("Other options"):
            formatter.write_dl(list(records.values()))
