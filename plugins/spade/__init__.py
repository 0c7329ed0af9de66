"""SPADE, also known as GauGAN: image synthesis with spatially adaptive normalisation (Park et al., CVPR 2019)."""

from zoo.plugin import Architecture, Plugin

plugin = Plugin(
    api=1,
    architectures=[
        Architecture(
            "spade",
            kind="image-synthesizer",
            model="zoo_plugins.spade.model:SPADE",
            config="zoo_plugins.spade.config:SpadeConfig",
            variants="zoo_plugins.spade.config:VARIANTS",
            trainer="zoo_plugins.spade.trainer:SpadeTrainer",
            official="zoo_plugins.spade.official",
            paper="Semantic Image Synthesis with Spatially-Adaptive Normalization (CVPR 2019), arXiv:1903.07291",
            can=("style:prior", "style:mean", "style:photo"),
            default="spade-celeba",
            parameters={
                "ade20k": 96_492_483,
                "coco": 97_480_899,
                "cityscapes": 93_048_003,
                "facades": 92_359_107,
                "celeba": 92_538_819,
                "celeba-128": 4_228_451,
                "celeba-128-projected": 4_228_451,
                "celeba-128-matched": 4_228_451,
                "celeba-256-projected": 4_228_451,
                "ade20k-vae": 122_406_019,
                "coco-vae": 123_090_307,
                "cityscapes-vae": 111_600_003,
                "facades-vae": 119_544_451,
                "celeba-vae": 119_668_867,
            },
            title="The map scales and shifts every norm (GauGAN; with an encoder GauGAN-VAE)",
        ),
        Architecture(
            "spade-finer",
            kind="image-synthesizer",
            model="zoo_plugins.spade.finer:FinerSPADE",
            config="zoo_plugins.spade.config:FinerConfig",
            variants="zoo_plugins.spade.config:FINER_VARIANTS",
            trainer="zoo_plugins.spade.finer:FinerTrainer",
            paper="Semantic Image Synthesis with Spatially-Adaptive Normalization (CVPR 2019), arXiv:1903.07291",
            can=("style:prior", "style:mean", "style:photo"),
            grows_from=("spade",),
            parameters={"celeba-256": 4_262_595},
            title="A finished SPADE of half the side with one more block behind it (ours)",
        ),
    ],
    networks={
        "spade.discriminator": "zoo.families.spade.discriminators:MultiscaleDiscriminator",
        "spade.projected": "zoo.nn.projected:ProjectedDiscriminator",
    },
)
