"""CLVAE: class- and layer-wise VAEs for semantic image synthesis and editing (Endo and Kanamori, Computer Graphics Forum 2020)."""

from zoo.plugin import Architecture, Plugin

plugin = Plugin(
    api=1,
    architectures=[
        Architecture(
            "clvae",
            kind="image-synthesizer",
            model="zoo_plugins.clvae.model:CLVAE",
            config="zoo_plugins.clvae.config:CLVAEConfig",
            variants="zoo_plugins.clvae.config:VARIANTS",
            trainer="zoo_plugins.clvae.trainer:CLVAETrainer",
            official="zoo_plugins.clvae.official",
            paper="Diversifying Semantic Image Synthesis and Editing via Class- and Layer-wise VAEs (CGF 39(7), 2020), arXiv:2106.13416",
            can=("style:prior", "style:mean", "style:photo", "style:partial"),
            default="clvae-celeba",
            title="SPADE with a latent per class and per layer: the look of each part at five scales",
        )
    ],
)
