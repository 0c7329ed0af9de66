"""pix2pixHD: high-resolution image synthesis with conditional GANs (Wang et al., CVPR 2018)."""

from zoo.plugin import Architecture, Plugin

plugin = Plugin(
    api=1,
    architectures=[
        Architecture(
            "pix2pixhd",
            kind="image-synthesizer",
            model="zoo_plugins.pix2pixhd.model:Pix2PixHD",
            config="zoo_plugins.pix2pixhd.config:Pix2PixHDConfig",
            variants="zoo_plugins.pix2pixhd.config:VARIANTS",
            trainer="zoo_plugins.pix2pixhd.trainer:Pix2PixHDTrainer",
            official="zoo_plugins.pix2pixhd.official",
            paper="High-Resolution Image Synthesis and Semantic Manipulation with Conditional GANs (CVPR 2018), arXiv:1711.11585",
            can=("style:prior", "style:mean", "style:photo", "style:partial"),
            parameters={
                "cityscapes-512": 182_546_755,
                "cityscapes-512-feat": 183_344_966,
                "cityscapes-1024": 182_857_059,
                "cityscapes-1024-feat": 183_659_974,
                "cityscapes-1024-12g": 182_857_059,
                "cityscapes-1024-12g-feat": 183_659_974,
                "celeba-128": 3_172_046,
            },
            title="Coarse-to-fine generators; with an encoder a few numbers per object as its style",
        )
    ],
    networks={"pix2pixhd.multiscale": "zoo_plugins.pix2pixhd.discriminator:BiasedDiscriminator"},
)
