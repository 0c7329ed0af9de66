"""OASIS: image synthesis with a segmentation network as its discriminator (Sushko et al., ICLR 2021)."""

from zoo.plugin import Architecture, Plugin

plugin = Plugin(
    api=1,
    architectures=[
        Architecture(
            "oasis",
            kind="image-synthesizer",
            model="zoo_plugins.oasis.model:OASIS",
            config="zoo_plugins.oasis.config:OasisConfig",
            variants="zoo_plugins.oasis.config:VARIANTS",
            trainer="zoo_plugins.oasis.trainer:OasisTrainer",
            official="zoo_plugins.oasis.official",
            paper="You Only Need Adversarial Supervision for Semantic Image Synthesis (ICLR 2021), arXiv:2012.04781",
            can=("style:prior", "style:mean"),
            parameters={
                "ade20k": 74_314_691,
                "cityscapes": 71_107_523,
                "coco": 75_199_427,
                "ade20k-no-noise": 72_545_219,
                "celeba-128": 2_089_331,
            },
            default="oasis-celeba",
            title="SPADE's generator with noise beside the map, against a discriminator that segments",
        )
    ],
    networks={"oasis.discriminator": "zoo_plugins.oasis.discriminator:SegmentingDiscriminator"},
    losses={"oasis.segmentation": "zoo_plugins.oasis.losses:SegmentationObjective"},
)
