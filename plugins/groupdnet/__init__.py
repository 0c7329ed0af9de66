"""GroupDNet: semantically multi-modal image synthesis, a code per class through grouped convolutions (Zhu et al., CVPR 2020)."""

from zoo.plugin import Architecture, Plugin

plugin = Plugin(
    api=1,
    architectures=[
        Architecture(
            "groupdnet",
            kind="image-synthesizer",
            model="zoo_plugins.groupdnet.model:GroupDNet",
            config="zoo_plugins.groupdnet.config:GroupDNetConfig",
            variants="zoo_plugins.groupdnet.config:VARIANTS",
            trainer="zoo_plugins.groupdnet.trainer:GroupDNetTrainer",
            official="zoo_plugins.groupdnet.official",
            paper="Semantically Multi-modal Image Synthesis (CVPR 2020), arXiv:2003.12697",
            can=("style:prior", "style:mean", "style:photo", "style:partial"),
            parameters={
                "deepfashion": 109_160_163,
                "deepfashion-16": 55_085_411,
                "cityscapes": 82_269_568,
                "ade20k": 72_737_859,
                "celeba-128": 2_600_163,
            },
            title="A code per class, carried by groups of convolutions that become fewer on the way to the picture",
        )
    ],
)
