"""The product-photo studio: procedural pictures with exact masks, boxes, depth and captions.

Knows nothing of models, stages or runs. `visuals.samples.vocabulary` needs numpy only;
`visuals.samples.studio` needs numba (the `recipe` extra).
"""
