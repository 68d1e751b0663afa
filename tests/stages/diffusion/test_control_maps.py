"""Control maps of crops: their size, range and meaning."""

from __future__ import annotations

import numpy as np
import pytest

from visuals.stages.diffusion import control_maps


def crop(height: int = 48, width: int = 80) -> np.ndarray:
    image = np.full((height, width, 3), 30, np.uint8)
    image[10:30, 20:50] = (200, 120, 40)
    return image


def test_canny_is_white_on_the_edge_and_black_elsewhere() -> None:
    (edges,) = control_maps.Canny(60, 140)([crop()], [np.ones((48, 80), bool)])
    assert edges.shape == (48, 80, 3) and edges.dtype == np.float32
    assert set(np.unique(edges)) == {0.0, 1.0}
    assert edges[9:12, 25:45].any() and not edges[15:25, 25:45].any()


def test_inpaint_marks_what_is_drawn_anew() -> None:
    mask = np.zeros((48, 80), bool)
    mask[:20] = True
    (hint,) = control_maps.Inpaint()([crop()], [mask])
    assert (hint[:20] == -1).all() and hint[20:].min() >= 0 and hint[20:].max() <= 1


def test_depth_spreads_to_the_whole_range_at_the_crop_s_size() -> None:
    import torch
    from transformers import DPTConfig, DPTForDepthEstimation, DPTImageProcessor

    torch.manual_seed(0)
    config = DPTConfig(
        hidden_size=16,
        num_hidden_layers=4,
        num_attention_heads=2,
        intermediate_size=32,
        image_size=64,
        patch_size=16,
        backbone_out_indices=[0, 1, 2, 3],
        neck_hidden_sizes=[8, 8, 8, 8],
        fusion_hidden_size=8,
    )
    size = {"height": 64, "width": 64}
    model = DPTForDepthEstimation(config).eval()
    for parameter in model.head.parameters():
        parameter.data.normal_(0.2, 0.5)
    control = control_maps.Depth(model, DPTImageProcessor(size=size))
    for hint in control([crop(), crop()], [np.ones((48, 80), bool)] * 2):
        assert hint.shape == (48, 80, 3)
        assert hint.min() == pytest.approx(0, abs=1e-6) and hint.max() == pytest.approx(1, abs=1e-6)
    assert (control_maps.spread(np.full((4, 4), 7.0)) == 0).all()


@pytest.mark.parametrize("name", ["CannyDetector", "ContentShuffleDetector"])
def test_an_annotator_s_map_comes_back_to_the_crop_s_size(name: str) -> None:
    aux = pytest.importorskip("controlnet_aux")
    (hint,) = control_maps.Annotator(getattr(aux, name)())([crop()], [np.ones((48, 80), bool)])
    assert hint.shape == (48, 80, 3) and hint.min() >= 0 and hint.max() <= 1
