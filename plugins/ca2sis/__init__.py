"""CA2SIS: the synthesizer bundled with Semantic-VAE; cross-attention from the picture to a style token per class."""

from zoo.plugin import Architecture, Plugin

plugin = Plugin(
    api=1,
    architectures=[
        Architecture(
            "ca2sis",
            kind="image-synthesizer",
            model="zoo_plugins.ca2sis.model:CA2SIS",
            config="zoo_plugins.ca2sis.config:CA2SISConfig",
            variants="zoo_plugins.ca2sis.config:VARIANTS",
            trainer="zoo_plugins.ca2sis.trainer:CA2SISTrainer",
            official="zoo_plugins.ca2sis.official",
            paper="The synthesizer in the demo of: Automatic Generation of Semantic Parts for Face Image Synthesis (ICIAP 2023)",
            can=("style:photo", "style:mean", "style:partial"),
            parameters={
                "celeba": 48_985_019,
                "celeba-128": 3_576_103,
            },
            title="Cross-attention from the picture to one style token per class, taken from a photo",
        )
    ],
)
