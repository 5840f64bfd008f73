"""The preview engine: a small flow network for drawings. It is not ToonCrafter."""

from model.preview.flow_network import FlowLevels, PreviewFlowModel
from model.preview.interpolation import interpolate

__all__ = ["FlowLevels", "PreviewFlowModel", "interpolate"]
