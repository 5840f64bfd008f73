"""What the UNet is told beside the pictures: the timestep and the frame stride."""

from diffusers.models.embeddings import TimestepEmbedding, Timesteps
from torch import Tensor, nn


class ClipEmbedding(nn.Module):
    """The sum of two embeddings, of the diffusion timestep and of the frame stride."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        # float32 `exp` differs in its last bit between builds or processors: up to 6e-5 in the sine
        # of position 999
        self.sinusoid = Timesteps(channels, flip_sin_to_cos=True, downscale_freq_shift=0)
        self.timestep = TimestepEmbedding(channels, 4 * channels)
        self.frame_stride = TimestepEmbedding(channels, 4 * channels)

    def forward(self, timestep: Tensor, frame_stride: Tensor) -> Tensor:
        """Embed one timestep and one frame stride per clip.

        Args:
            timestep: `(clips,)`, 0 to 999.
            frame_stride: `(clips,)`, integers; 5 to 30 are usual and smaller means larger motion.

        Returns:
            `(clips, 4 · channels)`.
        """
        # the sinusoids are float32, whatever the weights are
        dtype = self.timestep.linear_1.weight.dtype
        embedded: Tensor = self.timestep(self.sinusoid(timestep).to(dtype)) + self.frame_stride(
            self.sinusoid(frame_stride).to(dtype)
        )
        return embedded
