"""cgan: a conditional GAN from label sets straight to pictures, the C-GAN baseline of SegVAE's Table 1 (ECCV 2020)."""

from zoo.plugin import Architecture, Plugin

plugin = Plugin(
    api=1,
    architectures=[
        Architecture(
            "cgan",
            kind="image-generator",
            model="zoo_plugins.cgan.model:CGAN",
            config="zoo_plugins.cgan.config:CGANConfig",
            variants="zoo_plugins.cgan.config:VARIANTS",
            trainer="zoo_plugins.cgan.trainer:CGANTrainer",
            paper="Controllable Image Synthesis via SegVAE (ECCV 2020), baseline C-GAN of Table 1",
            parameters={
                "celeba": 36_855_300,
                "humanparsing": 36_855_172,
            },
            title="Label set to picture without a map between: the baseline that SegVAE is compared with",
        )
    ],
    networks={"cgan.discriminator": "zoo_plugins.cgan.networks:Discriminator"},
)
