"""What draws a picture again of which A1111's parameters alone are known. Loads no model."""

from __future__ import annotations

from pathlib import Path

from ...build.model_hashes import MODEL, differences, short_hashes
from ...images.infotext import Infotext, InfotextError, parse_infotext
from ...images.read import read_texts
from .replay_plan import ReplayBatch, ReplayError, ReplayPlan, Wanted

_OTHERS = {
    "workflow": "ComfyUI",
    "prompt": "ComfyUI",
    "invokeai_metadata": "InvokeAI",
    "sd-metadata": "InvokeAI",
    "Dream": "InvokeAI",
    "fooocus_scheme": "Fooocus",
}
"""Programs by a text entry of their pictures, whose own records are not read."""


def infotext_of(path: Path) -> Infotext | None:
    """Return the parameters of a picture, None where it has none.

    Raises ReplayError for one of another program, InfotextError, PictureError.
    """
    texts = read_texts(path)
    other = next((name for key, name in _OTHERS.items() if key in texts), "")
    try:
        return parse_infotext(texts.get("parameters", ""))
    except InfotextError:
        if other:
            raise ReplayError(
                f"{path} was made by {other}, whose record is not read; expected one of visuals, "
                f"or A1111's parameters; draw it again in {other}"
            ) from None
        if texts.get("parameters"):
            raise
        return None


def of_picture(path: Path, preset: str) -> ReplayPlan | None:
    """The plan for a picture by its parameters, with `preset`'s models; None where it has none.

    Raises ReplayError for one that was painted over, InfotextError, SettingsError, PictureError.
    """
    from ....configs.schema import load_settings
    from ....stages.prompts import emphasis, lora_tags
    from ....stages.shot import Prompted, Shot

    found = infotext_of(path)
    if found is None:
        return None
    if found.inpainted:
        raise ReplayError(
            f"{path}: a picture was painted over, and its parameters do not hold that one; "
            "replay its run folder, or the file as visuals wrote it"
        )
    not_used = f"not honoured: {', '.join(found.ignored)}"
    settings = load_settings(preset, found.settings)
    shot = Shot(path.stem, Prompted(found.prompt, found.negative_prompt, found.seed), ())
    now = short_hashes(settings, [found.prompt], [found.negative_prompt])
    others = dict(found.hashes)
    theirs = others.pop(MODEL, None)
    same = MODEL in now and now[MODEL] == theirs
    model = f", not by {found.model}" if found.model and not same else ""
    return ReplayPlan(
        settings=settings.model_dump(mode="json"),
        needs=("generate",),
        wanted={shot.id: Wanted(shot.id, "", path)},
        batches=(ReplayBatch((shot.id,), (shot,)),),
        masks=None,
        checkpoints={},
        versions={},
        notes=(
            f"A1111's parameters alone: drawn by {settings.generate.model}{model}",
            *([not_used] if found.ignored else []),
            *emphasis.notes(lora_tags.parse(found.prompt)[0]),
            *lora_tags.unread(found.prompt),
            *lora_tags.notes(found.prompt),
            *(f"negative prompt: {note}" for note in emphasis.notes(found.negative_prompt)),
            *differences(others, now),
            *(
                f"textual inversion {name.removeprefix('embedding:')!r} is in no folder of "
                "generate.embedding_dirs: it is read as words"
                for name in found.hashes
                if name.startswith("embedding:") and name not in now
            ),
        ),
    )
