"""Deformable attention of Grounding DINO on a CPU: the same sums, by one gather.

transformers samples each level of the features separately, keeps every sample and adds them up at
the end. Here each sample is a weighted sum of rows, which torch's embedding_bag computes at once;
outputs differ by rounding (1e-6). Works on the modules of transformers.
"""

from __future__ import annotations

from typing import Any

from ..patching import Forward, Patch

_MOST_SAMPLES = 300_000
"""Samples that are gathered together: their places and shares fit into a core's cache."""


def _forward(module: Any) -> Forward:
    """`_attend` in float32 inference on a CPU, else the library's own."""
    import torch

    original = module.forward

    def forward(hidden_states: Any, *args: Any, **options: Any) -> tuple[Any, Any]:
        if (
            args
            or hidden_states.device.type != "cpu"
            or hidden_states.dtype != torch.float32
            or torch.is_grad_enabled()
            or options.get("output_attentions")
        ):
            out: tuple[Any, Any] = original(hidden_states, *args, **options)
            return out
        return _attend(module, hidden_states, **options), None

    return forward


def _attend(
    module: Any,
    hidden_states: Any,
    *,
    attention_mask: Any = None,
    encoder_hidden_states: Any,
    position_embeddings: Any = None,
    reference_points: Any,
    spatial_shapes_list: Any,
    **_: Any,
) -> Any:
    """(B, Q, C) from queries (B, Q, C), features (B, S, C) of all levels one after the other, and
    reference points (B, Q, levels, 2 or 4) in 0..1: Deformable DETR, arXiv 2010.04159, eq. 3."""
    import torch

    if position_embeddings is not None:
        hidden_states = hidden_states + position_embeddings
    value = module.value_proj(encoder_hidden_states)
    if attention_mask is not None and not attention_mask.all():
        value = value.masked_fill(~attention_mask[..., None], 0.0)
    heads, levels, points = module.n_heads, module.n_levels, module.n_points
    batch, queries = hidden_states.shape[:2]
    # Queries last, so that each operation below runs over many numbers that lie side by side.
    columns = hidden_states.transpose(1, 2)
    moved = _projected(module.sampling_offsets, columns).view(batch, heads, levels, points, 2, -1)
    weights = _projected(module.attention_weights, columns).view(batch, heads, -1, queries)
    weights = weights.softmax(2).view(batch, heads, levels, points, queries)
    value = value.view(batch, -1, heads, value.shape[-1] // heads)
    size = max(1, _MOST_SAMPLES // (heads * levels * 4 * points * queries))
    summed = [
        _sums(value[k], spatial_shapes_list, moved[k], weights[k], reference_points[k])
        for k in (slice(first, first + size) for first in range(0, batch, size))
    ]
    return module.output_proj(torch.cat(summed))


def _sums(value: Any, shapes: Any, moved: Any, weights: Any, reference_points: Any) -> Any:
    """(B, Q, C): features (B, S, heads, D) at the points, summed by their weights.

    `moved`: offsets (B, heads, levels, points, 2, Q); `weights`: (B, heads, levels, points, Q).
    """
    import torch

    batch, heads, levels, points, queries = weights.shape
    table, begins = _table(value, shapes)
    row = torch.arange(batch, dtype=torch.int32)[:, None] * (table.shape[1] * heads)
    row = (row + torch.arange(heads, dtype=torch.int32))[:, :, None, None]
    index = torch.empty(batch, heads, levels, 4, points, queries, dtype=torch.int32)
    share = torch.empty(index.shape)
    for level, (height, width) in enumerate(shapes):
        reference = reference_points[:, None, None, :, level]  # (B, 1, 1, Q, 2 or 4)
        x, y = (
            _position(moved[:, :, level, :, axis], reference, axis, size, points)
            for axis, size in ((0, width), (1, height))
        )
        left, top = x.int(), y.int()
        x -= left
        y -= top
        lower = weights[:, :, level] * y
        upper = weights[:, :, level] - lower
        shares, rows = share[:, :, level], index[:, :, level]
        torch.mul(upper, x, out=shares[:, :, 1])
        torch.sub(upper, shares[:, :, 1], out=shares[:, :, 0])
        torch.mul(lower, x, out=shares[:, :, 3])
        torch.sub(lower, shares[:, :, 3], out=shares[:, :, 2])
        first = top.mul_(width + 2).add_(left).add_(begins[level]).mul_(heads).add_(row)
        for corner, step in enumerate((0, 1, width + 2, width + 3)):
            torch.add(first, step * heads, out=rows[:, :, corner])
    samples = levels * 4 * points
    summed = torch.nn.functional.embedding_bag(
        index.view(-1, samples, queries).transpose(1, 2).reshape(-1, samples),
        table.view(-1, table.shape[-1]),
        per_sample_weights=share.view(-1, samples, queries).transpose(1, 2).reshape(-1, samples),
        mode="sum",
    )
    return summed.view(batch, heads, queries, -1).transpose(1, 2).reshape(batch, queries, -1)


def _projected(linear: Any, columns: Any) -> Any:
    """A linear layer over (B, C, Q): (B, out, Q)."""
    return linear.weight @ columns + linear.bias[:, None]


def _position(moved: Any, reference: Any, axis: int, size: int, points: int) -> Any:
    """(B, heads, points, Q): where samples lie, in cells of a level with a cell of nothing round
    it; 0 is the middle of its first cell. What is farther out reads nothing there too."""
    centre = reference[..., axis] * size + 0.5
    if reference.shape[-1] == 4:  # offsets count in points of half a box
        moved = moved * (reference[..., 2 + axis] * (0.5 * size / points))
    return (moved + centre).clamp_(0, size + 1)


def _table(value: Any, shapes: Any) -> tuple[Any, list[int]]:
    """Features (B, S, heads, D) with zeros round each level, (B, cells, heads, D), and where each
    level begins."""
    cells = [(height + 2) * (width + 2) for height, width in shapes]
    begins = [sum(cells[:k]) for k in range(len(cells))]
    # The corners beyond the last cell have no share, but must be there.
    beyond = max((width for _, width in shapes), default=0) + 3
    out = value.new_zeros(value.shape[0], sum(cells) + beyond, *value.shape[2:])
    start = 0
    for begin, (height, width) in zip(begins, shapes, strict=True):
        level = out[:, begin : begin + (height + 2) * (width + 2)]
        level = level.view(-1, height + 2, width + 2, *value.shape[2:])
        end = start + height * width
        level[:, 1:-1, 1:-1] = value[:, start:end].reshape(-1, height, width, *value.shape[2:])
        start = end
    return out, begins


PATCH = Patch(
    (
        "GroundingDinoMultiscaleDeformableAttention",
        "MMGroundingDinoMultiscaleDeformableAttention",
    ),
    "hidden_states, attention_mask, encoder_hidden_states, encoder_attention_mask, "
    "position_embeddings, reference_points, spatial_shapes, spatial_shapes_list, "
    "level_start_index, output_attentions",
    _forward,
)
