"""CLADE: class-adaptive normalisation, with and without intra-class positional encoding (Tan et al., TPAMI 2021)."""

from zoo.plugin import Architecture, Plugin

plugin = Plugin(
    api=1,
    architectures=[
        Architecture(
            "clade",
            kind="image-synthesizer",
            model="zoo_plugins.clade.model:CLADE",
            config="zoo_plugins.clade.config:CladeConfig",
            variants="zoo_plugins.clade.config:VARIANTS",
            trainer="zoo_plugins.clade.trainer:CladeTrainer",
            official="zoo_plugins.clade.official",
            paper="Efficient Semantic Image Synthesis via Class-Adaptive Normalization (TPAMI 2021), arXiv:2012.04644",
            can=("style:prior", "style:mean", "style:photo"),
            parameters={
                "ade20k": 71_427_267,
                "coco": 72_505_383,
                "cityscapes": 67_901_991,
                "celeba": 67_321_539,
                "ade20k-icpe": 71_427_375,
                "coco-icpe": 72_505_491,
                "cityscapes-icpe": 67_902_099,
                "celeba-icpe": 67_321_647,
                "ade20k-vae": 97_340_803,
                "coco-vae": 98_114_791,
                "cityscapes-vae": 86_453_991,
                "celeba-vae": 94_451_587,
                "celeba-128": 3_066_767,
            },
            title="A scale and a shift per class in every norm, in place of SPADE's convolutions",
        )
    ],
)
