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
            title="The map scales and shifts every norm (GauGAN; with an encoder GauGAN-VAE)",
        )
    ],
    networks={
        "spade.discriminator": "zoo.families.spade.discriminators:MultiscaleDiscriminator",
        "spade.projected": "zoo.nn.projected:ProjectedDiscriminator",
    },
)
