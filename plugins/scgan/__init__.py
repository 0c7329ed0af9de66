"""SC-GAN: image synthesis from semantic maps via semantic vectors (Wang et al., ICCV 2021)."""

from zoo.plugin import Architecture, Plugin

plugin = Plugin(
    api=1,
    architectures=[
        Architecture(
            "scgan",
            kind="image-synthesizer",
            model="zoo_plugins.scgan.model:SCGAN",
            config="zoo_plugins.scgan.config:SCGANConfig",
            variants="zoo_plugins.scgan.config:VARIANTS",
            trainer="zoo_plugins.scgan.trainer:SCGANTrainer",
            official="zoo_plugins.scgan.official",
            paper="Image Synthesis via Semantic Composition (ICCV 2021), arXiv:2109.07053",
            can=("style:prior", "style:mean", "style:photo"),
            default="scgan-celeba",
            parameters={
                "celeba": 154_242_710,
                "ade20k": 60_854_662,
                "coco": 41_846_838,
                "cityscapes": 66_203_462,
                "celeba-128": 8_540_422,
                "celeba-128-projected": 8_540_422,
                "ade20k-oasis": 60_854_662,
                "coco-oasis": 41_846_838,
                "cityscapes-oasis": 66_203_462,
                "celeba-128-oasis": 8_540_422,
            },
            title="Spatially conditional convolution and normalisation by semantic vectors",
        )
    ],
    networks={
        "scgan.discriminator": "zoo.families.spade.discriminators:MultiscaleDiscriminator",
        "scgan.fpse": "zoo.families.spade.fpse:FPSEDiscriminator",
    },
)
