"""Draws the two dozen photos that ship in samples/photos: `python -m visuals.samples.photos`.

Three of each class, alone or in company, and six that show no product.
"""

from __future__ import annotations

from pathlib import Path

FIRST_SEED = 5_000_000
FOLDER = Path(__file__).parent / "photos"


def draw(folder: Path = FOLDER, size: int = 256) -> list[Path]:
    """Write the photos as JPEG, quality 92; their names tell what they show."""
    from PIL import Image

    from . import studio, vocabulary

    folder.mkdir(parents=True, exist_ok=True)
    scenes = ("white background", "wooden table", "shelf", "street", "teal background")
    paths = []
    for k in range(24):
        seed = FIRST_SEED + k
        if k < 18:
            label = vocabulary.CLASSES[k % 8]
            render = studio.render(
                seed, size, label=label, scene=scenes[k % 5], products=1 if k < 14 else 2
            )
        else:
            render = studio.render(seed, size, products=0, scene=scenes[k % 5], others=k % 3)
        shown = [f"{p['colour']}-{p['label']}" for p in render.meta["products"]]
        name = "-".join(shown or render.meta["others"] or ["empty"])
        path = folder / f"{k + 1:02d}-{name}.jpg"
        Image.fromarray(render.image).save(path, quality=92)
        paths.append(path)
    return paths


if __name__ == "__main__":
    for path in draw():
        print(path.name)
