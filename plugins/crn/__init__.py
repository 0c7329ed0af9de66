"""CRN: photographic image synthesis with cascaded refinement networks (Chen and Koltun, ICCV 2017)."""

from zoo.plugin import Architecture, Plugin

plugin = Plugin(
    api=1,
    architectures=[
        Architecture(
            "crn",
            kind="image-synthesizer",
            model="zoo_plugins.crn.model:CRN",
            config="zoo_plugins.crn.config:CRNConfig",
            variants="zoo_plugins.crn.config:VARIANTS",
            trainer="zoo_plugins.crn.trainer:CRNTrainer",
            official="zoo_plugins.crn.official",
            paper="Photographic Image Synthesis with Cascaded Refinement Networks (ICCV 2017), arXiv:1707.09405",
            can=("style:prior", "style:mean"),
            parameters={
                "cityscapes-256": 97_875_483,
                "gta5-256": 97_875_483,
                "cityscapes-512": 98_622_851,
                "cityscapes-1024": 98_674_531,
                "celeba-128": 2_130_748,
            },
            title="Regression without an adversary, from coarse to fine; nine pictures at once",
        )
    ],
)
