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
            parameters={
                "ade20k": 122_874_874,
                "deepfashion": 540_752_611,
                "gta5": 111_327_707,
                "gta5-no-class": 111_327_707,
                "gta5-no-layer": 111_278_907,
                "gta5-3-layers": 103_280_995,
                "gta5-5-layers": 108_947_891,
                "celeba-128": 4_168_443,
                "celeba-128-projected": 4_168_443,
                "celeba-128-matched": 4_168_443,
                "ccp-128-projected": 4_167_567,
                "ccp-128-matched": 4_167_567,
                "ccp-128": 4_167_567,
            },
            title="SPADE with a latent per class and per layer: the look of each part at five scales",
        )
    ],
    tables={f"table{n}": f"zoo_plugins.clvae.tables:TABLE_{n}" for n in (1, 2, 3, 4, 5)},
)
