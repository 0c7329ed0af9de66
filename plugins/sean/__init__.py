"""SEAN: semantic region-adaptive normalisation, a style code per class (Zhu et al., CVPR 2020)."""

from zoo.plugin import Architecture, Plugin

plugin = Plugin(
    api=1,
    architectures=[
        Architecture(
            "sean",
            kind="image-synthesizer",
            model="zoo_plugins.sean.model:SEAN",
            config="zoo_plugins.sean.config:SEANConfig",
            variants="zoo_plugins.sean.config:VARIANTS",
            trainer="zoo_plugins.sean.trainer:SEANTrainer",
            official="zoo_plugins.sean.official",
            paper="SEAN: Image Synthesis with Semantic Region-Adaptive Normalization (CVPR 2020), arXiv:1911.12861",
            can=("style:photo", "style:mean", "style:partial"),
            parameters={
                "celeba": 266_907_367,
                "celeba-128": 2_785_421,
                "celeba-128-projected": 2_785_421,
            },
            default="sean-celeba",
            title="SPADE with a style code per class, taken from a photo and mixed into every norm",
        )
    ],
)
