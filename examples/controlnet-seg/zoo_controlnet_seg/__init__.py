"""A diffusers ControlNet for segmentation as an image synthesizer of the zoo: an example of a plugin that wraps another library."""

from zoo.plugin import Architecture, Plugin

plugin = Plugin(
    api=1,
    architectures=[
        Architecture(
            "controlnet-seg",
            kind="image-synthesizer",
            model="zoo_controlnet_seg.model:ControlNetSeg",
            config="zoo_controlnet_seg.config:ControlNetSegConfig",
            variants="zoo_controlnet_seg.config:VARIANTS",
            options="zoo_controlnet_seg.config:ControlNetOptions",
            paper="Adding Conditional Control to Text-to-Image Diffusion Models (ICCV 2023), arXiv:2302.05543",
            can=("style:prior", "steps", "options"),
            title="Stable Diffusion led by a coloured label map (diffusers)",
        )
    ],
)
