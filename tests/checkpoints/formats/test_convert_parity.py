"""Converted weights against the originals' own code, on random weights.

groundingdino-py cannot be installed beside us: `make test` puts it into a folder of its own.
VISUALS_FULL_SIZE=1 compares models of the published sizes, which takes minutes.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from helpers import source

from visuals.checkpoints import load
from visuals.checkpoints.formats import grounding_dino_pth, pickles, sam_pth, segment_anything_model
from visuals.stages.segment import Segmenter
from visuals.stages.shot import Detection, FileInput, Shot

pytestmark = pytest.mark.slow
FULL_SIZE = bool(os.environ.get("VISUALS_FULL_SIZE"))
ORIGINALS = source.ROOT / ".venv" / "originals"


@pytest.fixture(scope="module")
def originals() -> Iterator[None]:
    """The folder of groundingdino-py, last on the path: what we have ourselves goes first."""
    if not ORIGINALS.is_dir():
        pytest.skip("groundingdino-py is not in .venv/originals: make .venv/.installed-originals")
    sys.path.append(str(ORIGINALS))
    yield
    sys.path.remove(str(ORIGINALS))


def shaken(model: torch.nn.Module) -> Any:
    """Seeded noise on every weight, so that none is 0 or 1 and a swap of two would show."""
    generator = torch.Generator().manual_seed(7)
    with torch.no_grad():
        for parameter in dict.fromkeys(model.parameters()):
            parameter.add_(0.02 * torch.randn(parameter.shape, generator=generator))
    return model.eval()


def picture(height: int, width: int) -> np.ndarray:
    """Blobs of colour and a little noise, uint8 (height, width, 3)."""
    random = np.random.default_rng(3)
    coarse = torch.from_numpy(random.uniform(0, 255, (1, 3, 6, 8)))
    smooth = torch.nn.functional.interpolate(coarse, (height, width), mode="bicubic")[0]
    noisy = smooth.permute(1, 2, 0).numpy() + random.normal(0, 8, (height, width, 3))
    return noisy.clip(0, 255).astype(np.uint8)


def original_sam() -> Any:
    """segment-anything's own ViT-B, of 4 layers at 256 px unless the full size is asked for."""
    torch.manual_seed(0)
    if FULL_SIZE:
        return shaken(pytest.importorskip("segment_anything").sam_model_registry["vit_b"]())
    from transformers import SamConfig

    vision = {"num_hidden_layers": 4, "global_attn_indexes": [1, 3], "image_size": 256}
    config = SamConfig(
        vision_config={**vision, "num_pos_feats": 128},
        prompt_encoder_config={"image_size": 256},
    )
    return shaken(segment_anything_model.build(config))


@torch.inference_mode()
def test_sam_s_masks_are_those_of_segment_anything(tmp_path: Path) -> None:
    predictor = pytest.importorskip("segment_anything").SamPredictor
    original = original_sam()
    model, processor = sam_pth.load(original.state_dict(), "sam_vit_b.pth")
    model.eval()
    image, boxes = picture(600, 800), [[40.0, 60.0, 420.0, 500.0], [300.0, 100.0, 790.0, 590.0]]

    theirs = predictor(original)
    theirs.set_image(image)
    moved = theirs.transform.apply_boxes_torch(torch.tensor(boxes), image.shape[:2])
    logits, quality, _ = theirs.predict_torch(
        None, None, boxes=moved, multimask_output=False, return_logits=True
    )
    inputs = processor(images=[image], input_boxes=[boxes], return_tensors="pt")
    out = model(
        pixel_values=inputs["pixel_values"],
        input_boxes=inputs["input_boxes"].float(),
        multimask_output=False,
    )
    ours = processor.image_processor.post_process_masks(
        out.pred_masks, inputs["original_sizes"], inputs["reshaped_input_sizes"], binarize=False
    )[0]
    same = ((ours > 0) == (logits > 0)).float().mean()
    off = (ours - logits).abs().max()
    share = (logits > 0).float().mean()
    print(f"SAM ViT-B: {same:.6f} of the pixels agree, logits differ by {off:.2e} of ", end="")
    print(f"{logits.abs().max():.2f}; IoU guesses by {(out.iou_scores - quality).abs().max():.2e}")
    assert 0.02 < share < 0.98, "one mask for all pictures would prove nothing"
    assert same >= 0.999
    assert torch.allclose(out.iou_scores[0], quality, atol=1e-3)

    file = tmp_path / "sam_vit_b.pth"
    torch.save(original.state_dict(), file)
    found = tuple(Detection((b[0], b[1], b[2], b[3]), 0.9, "mug") for b in boxes)
    shot = Shot("a", FileInput("a.png", 1), ("mug",), image=image, detections=found)
    by_library = [
        Segmenter(*load.load_segmenter(file, allow_pickle=True, library=library))([shot])[0]
        for library in ("transformers", "segment-anything")
    ]
    for mine, its in zip(*(shot.detections for shot in by_library), strict=True):
        assert mine.mask is not None and its.mask is not None
        assert (mine.mask == its.mask).mean() >= 0.999
        assert mine.mask_score == pytest.approx(its.mask_score, abs=1e-3)


def bert_words(folder: Path) -> Path:
    """A folder with a tokenizer of BERT's size and special ids, and few words."""
    from transformers import BertTokenizerFast

    words = [f"[unused{i}]" for i in range(30522)]
    words[0], words[100:103] = "[PAD]", ["[UNK]", "[CLS]", "[SEP]"]
    words[1012], words[1029] = ".", "?"
    words[2000:2006] = ["red", "mug", "sneaker", "boot", "running", "shoe"]
    folder.mkdir()
    (folder / "vocab.txt").write_text("\n".join(words))
    BertTokenizerFast(str(folder / "vocab.txt")).save_pretrained(folder)
    return folder


def old_bert(monkeypatch: pytest.MonkeyPatch) -> None:
    """What groundingdino calls on BertModel, and transformers 5 no longer has."""
    from transformers import BertConfig, BertModel

    def extended(self: Any, mask: torch.Tensor, shape: Any, device: Any = None) -> torch.Tensor:
        whole = mask[:, None, None, :] if mask.dim() == 2 else mask[:, None]
        return (1.0 - whole.float()) * torch.finfo(torch.float32).min

    missing = {
        "get_extended_attention_mask": extended,
        "invert_attention_mask": extended,
        "get_head_mask": lambda self, mask, layers: [None] * layers,
    }
    for name, function in missing.items():
        if not hasattr(BertModel, name):
            monkeypatch.setattr(BertModel, name, function, raising=False)
    if not hasattr(BertConfig, "use_return_dict"):
        monkeypatch.setattr(BertConfig, "use_return_dict", True, raising=False)


def groundingdino(config: str, words: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The original model, seeded, with a random BERT."""
    from transformers import BertConfig, BertModel, BertTokenizerFast

    old_bert(monkeypatch)
    from groundingdino.models import build_model
    from groundingdino.util import get_tokenlizer
    from groundingdino.util.slconfig import SLConfig

    monkeypatch.setattr(
        get_tokenlizer, "get_tokenlizer", lambda kind: BertTokenizerFast.from_pretrained(words)
    )
    bert = BertConfig(num_hidden_layers=12 if FULL_SIZE else 2)
    monkeypatch.setattr(
        get_tokenlizer, "get_pretrained_language_model", lambda kind: BertModel(bert)
    )
    folder = Path(sys.modules["groundingdino"].__file__ or "").parent / "config"
    settings = SLConfig.fromfile(str(folder / config))
    settings.device, settings.use_checkpoint, settings.use_transformer_ckpt = "cpu", False, False
    if not FULL_SIZE:
        settings.enc_layers = settings.dec_layers = 2
        settings.num_queries = 300
    torch.manual_seed(0)
    return shaken(build_model(settings))


@torch.inference_mode()
@pytest.mark.usefixtures("originals")
@pytest.mark.parametrize("config", ["GroundingDINO_SwinT_OGC.py", "GroundingDINO_SwinB_cfg.py"])
def test_grounding_dino_s_boxes_are_those_of_groundingdino(
    config: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = bert_words(tmp_path / "tokenizer")
    original = groundingdino(config, words, monkeypatch)
    model, processor = grounding_dino_pth.load(
        original.state_dict(), tmp_path / "groundingdino.pth"
    )
    model.eval()
    processor.image_processor.size = {"shortest_edge": 320, "longest_edge": 533}  # to be quick
    inputs = processor(images=[picture(300, 420)], text=["red mug. boot."], return_tensors="pt")
    # in float64: in float32 the last digit decides which of two proposals of nearly one score
    # comes first, and with it which learnt query each gets
    pixels = inputs["pixel_values"].double()
    out = model.double()(**{**inputs, "pixel_values": pixels})
    theirs = original.double()(pixels, captions=["red mug. boot."])
    boxes, logits = theirs["pred_boxes"][0], theirs["pred_logits"][0]
    tokens = inputs["input_ids"].shape[1]
    ours, own = out.pred_boxes[0], out.logits[0]
    assert torch.isfinite(own[:, :tokens]).all() and boxes.std(0).min() > 0.01
    box_off = (ours - boxes).abs().max()
    logit_off = (own[:, :tokens] - logits[:, :tokens]).abs().max()
    print(f"{config}: boxes differ by {box_off:.2e}, logits by {logit_off:.2e}", end=" ")
    print(f"of {logits[:, :tokens].abs().max():.2f}")
    assert box_off <= 1e-4
    assert logit_off <= 1e-2


def test_segment_anything_reads_its_own_files_alone(tmp_path: Path) -> None:
    with pytest.raises(load.CheckpointError, match=r"expected an original file such as sam_vit_b"):
        load.load_segmenter(tmp_path / "sam", library="segment-anything")
    state = original_sam().state_dict()
    del state["image_encoder.neck.0.weight"], state["image_encoder.neck.2.weight"]
    state["image_encoder.neck.0.weight"] = torch.zeros(256, 768, 1, 1)
    with pytest.raises(pickles.PickleError, match=r"sam.pth: .*neck.2.weight"):
        segment_anything_model.load(state, "sam.pth")
