"""DMIT: multi-mapping image-to-image translation via learning disentanglement (Yu et al., NeurIPS 2019)."""

from zoo.plugin import Architecture, Plugin

plugin = Plugin(
    api=1,
    architectures=[
        Architecture(
            "dmit",
            kind="image-translator",
            model="zoo_plugins.dmit.model:DMIT",
            config="zoo_plugins.dmit.config:DMITConfig",
            variants="zoo_plugins.dmit.config:VARIANTS",
            trainer="zoo_plugins.dmit.trainer:DMITTrainer",
            official="zoo_plugins.dmit.official",
            paper="Multi-mapping Image-to-Image Translation via Learning Disentanglement (NeurIPS 2019), arXiv:1909.07877",
            parameters={
                "yosemite": 14_503_315,
                "birds": 15_283_603,
                "photos-64": 620_147,
            },
            title="One content encoder, one style encoder and one decoder for all domains",
        )
    ],
    networks={
        "dmit.content_discriminator": "zoo_plugins.dmit.discriminators:StyleDiscriminator",
        "dmit.picture_discriminator": "zoo_plugins.dmit.discriminators:PictureDiscriminator",
        "dmit.text_encoder": "zoo_plugins.dmit.text:TextEncoder",
    },
)
