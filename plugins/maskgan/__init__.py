"""MaskGAN: facial image manipulation by maps (Lee et al., CVPR 2020): a dense mapping network, and a VAE of maps."""

from zoo.plugin import Architecture, Plugin

PAPER = "MaskGAN: Towards Diverse and Interactive Facial Image Manipulation (CVPR 2020), arXiv:1907.11922"

plugin = Plugin(
    api=1,
    architectures=[
        Architecture(
            "maskgan",
            kind="image-synthesizer",
            model="zoo_plugins.maskgan.model:MaskGAN",
            config="zoo_plugins.maskgan.config:MaskGANConfig",
            variants="zoo_plugins.maskgan.config:VARIANTS",
            trainer="zoo_plugins.maskgan.trainer:MaskGANTrainer",
            official="zoo_plugins.maskgan.official",
            paper=PAPER,
            can=("style:prior", "style:mean", "style:photo"),
            parameters={"celeba": 89_702_595, "celeba-128": 3_843_555},
            title="Dense mapping network: a map painted in the style of a photo that comes with its own map",
        ),
        Architecture(
            "maskgan-vae",
            kind="mask-generator",
            model="zoo_plugins.maskgan.vae_model:MaskVAE",
            config="zoo_plugins.maskgan.vae_config:MaskVAEConfig",
            variants="zoo_plugins.maskgan.vae_config:VARIANTS",
            trainer="zoo_plugins.maskgan.vae_trainer:MaskVAETrainer",
            official="zoo_plugins.maskgan.vae_official",
            paper=PAPER,
            can=("reconstruct", "edit:remove", "edit:perturb", "edit:interpolate"),
            parameters={"celeba": 170_619_571, "celeba-128": 7_187_979},
            title="MaskVAE: one code for a whole map, drawn, perturbed or mixed, then decoded",
        ),
    ],
)
