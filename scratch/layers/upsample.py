"""The layer that resizes images."""

from scratch.checks import Size
from scratch.module import Array, Backward, Module
from scratch.ops.interpolate import Scale, interpolate


class Upsample(Module):
    """Images (N, C, H, W) resized to a size, or by a factor, as torch.nn.Upsample; exactly one of the two is given."""

    def __init__(
        self,
        size: Size | None = None,
        scale_factor: Scale | None = None,
        mode: str = "nearest",
        align_corners: bool | None = None,
    ):
        self.size, self.scale_factor, self.mode, self.align_corners = size, scale_factor, mode, align_corners

    def forward(self, x: Array) -> tuple[Array, Backward]:
        return interpolate(x, self.size, self.scale_factor, self.mode, self.align_corners)
