"""SegVAE: a label set becomes a semantic map, one class after the other, each drawn by a conditional VAE. ECCV 2020.

With its ablations (config fields) and the baselines C-VAE_sep and C-VAE_global of its Table 1.
"""

from zoo.plugin import Architecture, Plugin

PARAMETERS = {
    "segvae": {
        "celeba": 40_123_713,
        "celeba-paper": 40_123_713,
        "celeba-no-lstm": 38_743_617,
        "celeba-no-prior": 39_268_673,
        "humanparsing": 40_122_369,
        "humanparsing-paper": 40_122_369,
        "celeba-128": 3_173_969,
        "ccp-128": 3_173_777,
    },
    "cvae-sep": {
        "celeba": 34_187_585,
        "humanparsing": 34_187_073,
    },
    "cvae-global": {
        "celeba": 38_403_969,
        "humanparsing": 38_403_201,
    },
}
"""Numbers that training moves, by variant."""


def _architecture(
    name: str, config: str, variants: str, title: str, default: str | None, official: str | None
) -> Architecture:
    return Architecture(
        name,
        kind="mask-generator",
        model="zoo_plugins.segvae.model:SegVAE",
        config=f"zoo_plugins.segvae.config:{config}",
        variants=f"zoo_plugins.segvae.config:{variants}",
        trainer="zoo_plugins.segvae.trainer:SegVAETrainer",
        official=official,
        paper="Controllable Image Synthesis via SegVAE (ECCV 2020)",
        can=("reconstruct", "layers", "edit:add", "edit:remove", "edit:redraw", "options"),
        default=default,
        options="zoo_plugins.segvae.config:SegVAEOptions",
        title=title,
        parameters=PARAMETERS[name],
    )


plugin = Plugin(
    api=1,
    architectures=[
        _architecture(
            "segvae",
            "SegVAEConfig",
            "VARIANTS",
            "SegVAE: label set to map, class by class, with a learned prior; add, remove, redraw parts",
            "segvae-celeba",
            "zoo_plugins.segvae.official",
        ),
        _architecture(
            "cvae-sep",
            "CvaeSepConfig",
            "CVAE_SEP_VARIANTS",
            "C-VAE_sep: each class drawn on its own (SegVAE's baseline)",
            None,
            None,
        ),
        _architecture(
            "cvae-global",
            "CvaeGlobalConfig",
            "CVAE_GLOBAL_VARIANTS",
            "C-VAE_global: each class drawn on its own, given the label set (SegVAE's baseline)",
            None,
            None,
        ),
    ],
    tables={f"table{n}": f"zoo_plugins.segvae.tables:TABLE_{n}" for n in (1, 2, 3)},
)
