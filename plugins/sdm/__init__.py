"""SDM: semantic image synthesis via diffusion models (Wang et al. 2022)."""

from zoo.plugin import Architecture, Plugin

plugin = Plugin(
    api=1,
    architectures=[
        Architecture(
            "sdm",
            kind="image-synthesizer",
            model="zoo_plugins.sdm.model:SDM",
            config="zoo_plugins.sdm.config:SDMConfig",
            variants="zoo_plugins.sdm.config:VARIANTS",
            trainer="zoo_plugins.sdm.trainer:SDMTrainer",
            official="zoo_plugins.sdm.official",
            options="zoo_plugins.sdm.config:SDMSampling",
            paper="Semantic Image Synthesis via Diffusion Models (2022), arXiv:2207.00050",
            can=("style:prior", "steps", "options"),
            parameters={
                f"{name}{stage}": count
                for name, count in {
                    "ade20k": 660_608_518, "celeba": 653_062_918, "cityscapes": 653_984_518, "coco": 662_451_718,
                }.items()
                for stage in ("", "-stage2")
            } | {"celeba-64": 5_492_486},
            title="A diffusion model whose decoder reads the map in every norm, with classifier-free guidance",
        )
    ],
)  # fmt: skip
