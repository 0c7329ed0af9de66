"""cIMLE: diverse image synthesis from semantic layouts via conditional IMLE (Li, Zhang and Malik, ICCV 2019)."""

from zoo.plugin import Architecture, Plugin

plugin = Plugin(
    api=1,
    architectures=[
        Architecture(
            "cimle",
            kind="image-synthesizer",
            model="zoo_plugins.cimle.model:CIMLE",
            config="zoo_plugins.cimle.config:CIMLEConfig",
            variants="zoo_plugins.cimle.config:VARIANTS",
            trainer="zoo_plugins.cimle.trainer:CIMLETrainer",
            official="zoo_plugins.cimle.official",
            paper="Diverse Image Synthesis from Semantic Layouts via Conditional IMLE (ICCV 2019), arXiv:1811.12373",
            can=("style:prior", "style:mean"),
            parameters={
                "gta5": 98_534_541,
                "celeba-128": 2_198_067,
            },
            title="CRN with a noise for every pixel; each photo trains the nearest of several pictures",
        )
    ],
)
