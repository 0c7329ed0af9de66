"""CC-FPSE: predicted convolutions for generation, a feature pyramid with embedded semantics for discrimination (Liu et al., NeurIPS 2019)."""

from zoo.plugin import Architecture, Plugin

plugin = Plugin(
    api=1,
    architectures=[
        Architecture(
            "cc-fpse",
            kind="image-synthesizer",
            model="zoo_plugins.cc_fpse.model:CCFPSE",
            config="zoo_plugins.cc_fpse.config:CCFPSEConfig",
            variants="zoo_plugins.cc_fpse.config:VARIANTS",
            trainer="zoo_plugins.cc_fpse.trainer:CCFPSETrainer",
            official="zoo_plugins.cc_fpse.official",
            paper="Learning to Predict Layout-to-image Conditional Convolutions for Semantic Image Synthesis (NeurIPS 2019), arXiv:1910.06809",
            can=("style:prior", "style:mean", "style:photo"),
            parameters={
                "ade20k": 151_167_747,
                "coco": 152_403_267,
                "cityscapes": 138_518_979,
                "ade20k-plain": 125_254_211,
                "celeba-128": 4_357_419,
            },
            title="The map predicts the kernels of depthwise convolutions, for every pixel its own",
        )
    ],
    networks={"cc-fpse.discriminator": "zoo.families.spade.fpse:FPSEDiscriminator"},
)
