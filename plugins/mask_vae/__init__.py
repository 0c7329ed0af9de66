"""mask-vae (Semantic-VAE): one VAE code per face part, an LSTM over the parts, a convolutional decoder. ICIAP 2023."""

from zoo.plugin import Architecture, Plugin

plugin = Plugin(
    api=1,
    architectures=[
        Architecture(
            "mask-vae",
            kind="mask-generator",
            model="zoo_plugins.mask_vae.model:SemanticVAE",
            config="zoo_plugins.mask_vae.config:MaskVaeConfig",
            variants="zoo_plugins.mask_vae.config:VARIANTS",
            trainer="zoo_plugins.mask_vae.trainer:MaskVaeTrainer",
            official="zoo_plugins.mask_vae.official",
            paper="Automatic Generation of Semantic Parts for Face Image Synthesis (ICIAP 2023)",
            can=("reconstruct", "edit:add", "edit:remove", "edit:redraw", "edit:perturb", "edit:interpolate"),
            default="mask-vae-celeba",
            parameters={
                "celeba": 25_230_386,
                "celeba-no-lstm": 20_630_322,
                "celeba-1-lstm": 21_156_658,
                "celeba-3-lstm": 22_209_330,
                "celeba-3-lstm-weighted": 22_209_330,
                "celeba-3-bilstm": 25_230_386,
                "celeba-128": 7_347_314,
            },
            title="Semantic-VAE: a code per part, drawn, perturbed or mixed, then decoded together",
        )
    ],
    tables={"table1": "zoo_plugins.mask_vae.tables:TABLE_1"},
)
