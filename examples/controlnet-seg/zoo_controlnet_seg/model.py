"""ControlNet for segmentation behind the zoo's interface: ADE20K maps to pictures by many denoising steps."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor

from zoo.files.tensors import DTYPES
from zoo.interfaces.models import as_map
from zoo.plugin import (
    ConfigError,
    ImageSynthesizer,
    LabelSpace,
    Layout,
    Progress,
    RngLike,
    SemanticMap,
    Style,
    UsageError,
    WeightsError,
    as_rng,
)
from zoo.store.models import WRAPPED
from zoo_controlnet_seg.config import ControlNetOptions, ControlNetSegConfig
from zoo_controlnet_seg.palette import control_picture, palette
from zoo_controlnet_seg.parts import Parts, read_parts, scale, write_parts
from zoo_controlnet_seg.schedulers import make_scheduler


@dataclass(eq=False)
class ColouredLayout(Layout):
    """The map at the model's resolution and the picture [B, 3, H, W] in [0, 1] that the ControlNet reads."""

    semantic_map: SemanticMap
    picture: Tensor

    def __len__(self) -> int:
        return len(self.semantic_map)


class ControlNetSeg(ImageSynthesizer):
    """Stable Diffusion with a ControlNet that reads coloured ADE20K maps (Zhang et al., ICCV 2023), run by diffusers.

    Its style is the noise that denoising starts from, `noise` [samples, channel, height, width] from N(0, I), and the source
    of the noise of each step (drawn only with `eta` above 0). What the picture shows beside the map is said by the prompt, an
    option. A fresh model has no networks: they come from a model folder (`load_weights`) or from `adopt`.
    """

    OPTIONS: ClassVar[type | None] = ControlNetOptions
    REPORTS_STEPS: ClassVar[bool] = True
    styles = frozenset({"prior"})
    colors: Tensor

    def __init__(self, config: ControlNetSegConfig, space: LabelSpace) -> None:
        """Raises ConfigError for a label space other than ade20k."""
        super().__init__(config, space)
        colors = palette()
        if space.name != "ade20k" or len(space) != len(colors):
            raise ConfigError(f"controlnet-seg reads maps of the label space ade20k, got {space.name!r}.")
        self.register_buffer("colors", colors, persistent=False)
        self._parts: Parts | None = None

    @property
    def channels(self) -> tuple[str, ...]:
        """The classes in the order of the palette."""
        return self.label_space.names

    @property
    def resolution(self) -> tuple[int, int]:
        return self.config.height, self.config.width

    @property
    def device(self) -> torch.device:
        return self.colors.device

    def optimized(self) -> ControlNetSeg:
        """This model itself: gigabytes are not copied, and nothing in them is folded."""
        return self

    @property
    def parts(self) -> Parts:
        """The wrapped pipeline's parts. Raises UsageError for a model that has none yet."""
        if self._parts is None:
            raise UsageError(
                "This controlnet-seg has no networks: they are not made here, they come from a diffusers snapshot"
                " (python -m zoo_controlnet_seg.build --help); load the folder that it writes."
            )
        return self._parts

    def adopt(self, parts: Parts) -> None:
        """Take over a pipeline's networks; they become parts of this module. Raises WeightsError for a size they cannot make."""
        if any(side % scale(parts) for side in self.resolution):
            raise WeightsError(
                f"{self.resolution[0]} x {self.resolution[1]} is no multiple of {scale(parts)} pixels, the size of a latent of"
                " these networks: build the folder with another --size."
            )
        for name, network in parts.networks.items():
            setattr(self, name, network)
        self._parts = parts

    def load_weights(self, folder: Path) -> None:
        """Read `wrapped/`, a pipeline in diffusers' layout. Raises WeightsError."""
        self.adopt(read_parts(folder / WRAPPED))

    def save_weights(self, folder: Path, dtype: str) -> None:
        """Write `wrapped/`. Raises DataError if it cannot be written, UsageError for a model without networks."""
        write_parts(self.parts, folder / WRAPPED, DTYPES[dtype])

    # --- maps and styles ------------------------------------------------------------------------------------------

    def layout(self, semantic_map: SemanticMap, *, reuse: Layout | None = None) -> ColouredLayout:
        """The map in the palette's colours; `reuse` saves nothing here. Raises LabelError for a map of another space."""
        small = semantic_map.to_space(self.label_space).to(self.device).resize(self.resolution)
        return ColouredLayout(small, control_picture(small, self.colors))

    def sample_style(
        self, semantic_map: SemanticMap, rng: RngLike | int | None = None, *, prior: str | None = None
    ) -> Style:
        """Fresh noise per map: `rng.normal("noise")`; the noise of the steps comes from `rng.within("steps")`.

        prior: "normal" or None. Raises UsageError for another.
        """
        if prior not in (None, "normal"):
            raise UsageError(f"controlnet-seg has no prior {prior!r}: its noise is normal.")
        source = as_rng(rng, len(semantic_map))
        noise = source.normal("noise", shape=self.noise_shape)
        return Style({"noise": noise}, {"noise": ("sample", "channel", "height", "width")}, rng=source.within("steps"))

    @property
    def noise_shape(self) -> tuple[int, int, int]:
        """(channels, height, width) of the latents."""
        height, width = (side // scale(self.parts) for side in self.resolution)
        return self.parts.unet.config.in_channels, height, width

    # --- pictures -------------------------------------------------------------------------------------------------

    @torch.no_grad()
    def synthesize(
        self,
        semantic_map: SemanticMap | Layout,
        style: Style | None = None,
        *,
        rng: RngLike | int | None = None,
        options: ControlNetOptions | None = None,
        progress: Progress | None = None,
    ) -> Tensor:
        """Images float32 [B, 3, H, W] in [0, 1]; a single map (or layout) serves a style of any number of samples.

        progress(steps done, steps) is called at the start and after each step; what it raises ends the call. Random: the
        style, where none is given, and the noise of each step with `eta` (the style's source, else `rng`). Raises UsageError
        for a style of another model or where the counts do not fit.
        """
        options = options or ControlNetOptions()
        layout = semantic_map if isinstance(semantic_map, ColouredLayout) else self.layout(as_map(semantic_map))
        style = self.sample_style(layout.semantic_map, rng) if style is None else style
        if len(layout) != 1:
            style = style.expand(len(layout))
        noise = self._noise(style).to(self.device)
        count = len(noise)
        steps_rng = style.rng if style.rng is not None else as_rng(rng, count).within("steps")

        def draw(step: int) -> Tensor:
            return steps_rng.normal("step", step, shape=self.noise_shape)

        def report(pipe: Any, step: int, timestep: Any, values: dict[str, Any]) -> dict[str, Any]:
            if progress is not None:
                progress(step + 1, options.steps)
            return {}

        if progress is not None:
            progress(0, options.steps)
        # a scheduler has a state per call, so each call gets its own
        pipe = self.parts.pipeline(make_scheduler(options, self.parts.schedule, draw))
        images = pipe(
            [options.prompt] * count,
            image=layout.picture.expand(count, -1, -1, -1),
            height=self.resolution[0],
            width=self.resolution[1],
            num_inference_steps=options.steps,
            guidance_scale=options.guidance,
            negative_prompt=[options.negative_prompt] * count,
            controlnet_conditioning_scale=options.conditioning_scale,
            eta=options.eta,
            latents=noise,
            output_type="pt",
            return_dict=False,
            callback_on_step_end=report,
        )[0]
        return images.float()

    def _noise(self, style: Style) -> Tensor:
        """The style's noise, mixtures brought back to the strength of noise. Raises UsageError for another model's style."""
        noise = style.tensors.get("noise")
        if noise is None or tuple(noise.shape[1:]) != self.noise_shape:
            tensors = ", ".join(f"{n} {list(t.shape[1:])}" for n, t in style.tensors.items())
            raise UsageError(
                f"A style of this controlnet-seg holds a tensor noise {list(self.noise_shape)}, got {tensors}."
            )
        # half-way between two draws noise has only 0.7 of its strength, and the picture would come out flat; a draw's own
        # strength deviates from 1 by about 1 / sqrt(2 n), far less than the limit, and is left as it is
        strength = noise.square().mean((1, 2, 3), keepdim=True).sqrt()
        weak = strength < 1 - 6 / (2 * noise[0].numel()) ** 0.5
        return torch.where(weak & (strength > 0), noise / strength, noise)
