"""SIMS: semi-parametric image synthesis (Qi, Chen, Jia and Koltun, CVPR 2018)."""

from zoo.plugin import Architecture, Plugin

plugin = Plugin(
    api=1,
    architectures=[
        Architecture(
            "sims",
            kind="image-synthesizer",
            model="zoo_plugins.sims.model:SIMS",
            config="zoo_plugins.sims.config:SIMSConfig",
            variants="zoo_plugins.sims.config:VARIANTS",
            trainer="zoo_plugins.sims.trainer:SIMSTrainer",
            official="zoo_plugins.sims.official",
            paper="Semi-parametric Image Synthesis (CVPR 2018), arXiv:1804.10992",
            can=("style:prior", "style:mean"),
            parameters={
                "cityscapes-256": 85_672_881,
                "cityscapes-512": 86_140_465,
                "cityscapes-1024": 86_140_549,
                "celeba-128": 2_433_793,
            },
            title="Pastes segments of photos from a bank, and a network makes one picture of them",
        )
    ],
)
