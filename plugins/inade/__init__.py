"""INADE: diverse semantic image synthesis via probability distribution modelling, a style per instance (Tan et al., CVPR 2021)."""

from zoo.plugin import Architecture, Plugin

plugin = Plugin(
    api=1,
    architectures=[
        Architecture(
            "inade",
            kind="image-synthesizer",
            model="zoo_plugins.inade.model:INADE",
            config="zoo_plugins.inade.config:InadeConfig",
            variants="zoo_plugins.inade.config:VARIANTS",
            trainer="zoo_plugins.inade.trainer:InadeTrainer",
            official="zoo_plugins.inade.official",
            paper="Diverse Semantic Image Synthesis via Probability Distribution Modeling (CVPR 2021), arXiv:2103.06878",
            can=("style:prior", "style:mean", "style:photo", "style:partial"),
            parameters={
                "ade20k": 94_583_683,
                "celeba": 88_805_251,
                "cityscapes": 81_084_291,
                "deepfashion": 87_581_603,
                "deepfashion-sketch": 106_540_835,
                "celeba-128": 2_513_891,
            },
            title="A code per instance scales and shifts every norm, through an affine map of its class",
        )
    ],
)
