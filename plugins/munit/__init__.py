"""MUNIT: multimodal unsupervised image-to-image translation (Huang et al., ECCV 2018)."""

from zoo.plugin import Architecture, Plugin

plugin = Plugin(
    api=1,
    architectures=[
        Architecture(
            "munit",
            kind="image-translator",
            model="zoo_plugins.munit.model:MUNIT",
            config="zoo_plugins.munit.config:MunitConfig",
            variants="zoo_plugins.munit.config:VARIANTS",
            trainer="zoo_plugins.munit.trainer:MunitTrainer",
            official="zoo_plugins.munit.official",
            paper="Multimodal Unsupervised Image-to-Image Translation (ECCV 2018), arXiv:1804.04732",
            parameters={
                "edges2handbags": 30_052_374,
                "edges2shoes": 30_052_374,
                "summer2winter": 30_052_374,
                "synthia2cityscapes": 30_052_374,
                "small-64": 1_237_014,
            },
            title="Photos of one domain into many of another: a shared content and a style per domain",
        )
    ],
    networks={"munit.discriminator": "zoo_plugins.munit.discriminator:MultiscaleDiscriminator"},
)
