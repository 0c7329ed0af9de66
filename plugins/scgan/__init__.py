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
                "celeba-128-matched": 8_540_422,
                "ade20k-oasis": 60_854_662,
                "coco-oasis": 41_846_838,
                "cityscapes-oasis": 66_203_462,
                "celeba-128-oasis": 8_540_422,
            },
            title="Spatially conditional convolution and normalisation by semantic vectors",
        ),
        Architecture(
            "scgan-unpaired",
            kind="image-translator",
            model="zoo_plugins.scgan.unpaired:UnpairedSCGAN",
            config="zoo_plugins.scgan.unpaired_config:UnpairedConfig",
            variants="zoo_plugins.scgan.unpaired_config:VARIANTS",
            trainer="zoo_plugins.scgan.unpaired_trainer:UnpairedTrainer",
            paper="Image Synthesis via Semantic Composition (ICCV 2021), arXiv:2109.07053, section 4.4 (our reading: nothing of it was released)",
            parameters={"yosemite": 70_199_014, "photos-64": 1_423_422},
            title="Unpaired SC-GAN (our reading): the layout of the source, the appearance of a reference",
        ),
    ],
    networks={
        "scgan.discriminator": "zoo.families.spade.discriminators:MultiscaleDiscriminator",
        "scgan.fpse": "zoo.families.spade.fpse:FPSEDiscriminator",
    },
    tables={f"table{n}": f"zoo_plugins.scgan.tables:TABLE_{n}" for n in (1, 3, 4, 5, 6, 7)},
)
