"""ComfyUI nodes that draw through a ToonCrafter service.

ComfyUI imports this folder from `custom_nodes/` and reads the two mappings.
"""

from .nodes import InBetweens, KeyDrawing, SketchGuide

NODE_CLASS_MAPPINGS = {
    "ToonCrafterKey": KeyDrawing,
    "ToonCrafterSketch": SketchGuide,
    "ToonCrafterInBetweens": InBetweens,
}
NODE_DISPLAY_NAME_MAPPINGS = {
    "ToonCrafterKey": "ToonCrafter Key",
    "ToonCrafterSketch": "ToonCrafter Sketch",
    "ToonCrafterInBetweens": "ToonCrafter In-betweens",
}

__all__ = ["NODE_CLASS_MAPPINGS", "NODE_DISPLAY_NAME_MAPPINGS"]
