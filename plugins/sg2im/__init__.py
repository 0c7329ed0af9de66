"""sg2im: image generation from scene graphs (Johnson, Gupta and Fei-Fei, CVPR 2018).

One network, two architectures: `sg2im` gives maps of label sets and scene graphs, and its own pictures of them; `sg2im-image` paints given maps.
"""

from zoo.plugin import Architecture, Plugin

PARAMETERS = {
    "coco64": 28_158_223,
    "coco64-no-gconv": 22_592_655,
    "coco64-no-relations": 28_158_223,
    "coco64-no-discriminators": 28_158_223,
    "coco64-no-object-discriminator": 28_158_223,
    "coco64-no-picture-discriminator": 28_158_223,
    "vg64": 28_182_582,
    "vg128": 28_182_582,
    "celeba": 28_137_103,
    "celeba-relations": 28_137_103,
    "humanparsing": 28_136_975,
    "celeba-128": 1_638_383,
}
"""Numbers that training moves, by variant."""
PAPER = "Image Generation from Scene Graphs (CVPR 2018), arXiv:1804.01622"

plugin = Plugin(
    api=1,
    architectures=[
        Architecture(
            "sg2im",
            kind="mask-generator",
            model="zoo_plugins.sg2im.model:Sg2im",
            config="zoo_plugins.sg2im.config:Sg2imConfig",
            variants="zoo_plugins.sg2im.config:VARIANTS",
            trainer="zoo_plugins.sg2im.trainer:Sg2imTrainer",
            official="zoo_plugins.sg2im.official",
            paper=PAPER,
            can=("layers", "graphs", "pictures", "options"),
            options="zoo_plugins.sg2im.config:Sg2imOptions",
            also=("sg2im-image",),
            parameters=PARAMETERS,
            title="Scene graph or label set to map, and to its own picture of it",
        ),
        Architecture(
            "sg2im-image",
            kind="image-synthesizer",
            model="zoo_plugins.sg2im.synthesizer:Sg2imPainter",
            config="zoo_plugins.sg2im.config:Sg2imConfig",
            variants="zoo_plugins.sg2im.config:VARIANTS",
            trainer="zoo_plugins.sg2im.trainer:Sg2imTrainer",
            paper=PAPER,
            can=("options",),
            options="zoo_plugins.sg2im.config:PictureOptions",
            also=("sg2im",),
            parameters=PARAMETERS,
            title="The painter of sg2im on given maps: every region is an object of a graph",
        ),
    ],
    label_spaces={"visual-genome": "zoo_plugins.sg2im.spaces:VISUAL_GENOME"},
)
