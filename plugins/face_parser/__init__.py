"""face-parser: the U-Net that CelebAMask-HQ's authors published for reading a photo's label map."""

from __future__ import annotations

from zoo.plugin import Architecture, Plugin

plugin = Plugin(
    api=1,
    architectures=[
        Architecture(
            "face-parser",
            kind="mask-parser",
            model="zoo_plugins.face_parser.model:FaceParser",
            config="zoo_plugins.face_parser.config:FaceParserConfig",
            variants="zoo_plugins.face_parser.config:VARIANTS",
            trainer="zoo_plugins.face_parser.trainer:FaceParserTrainer",
            official="zoo_plugins.face_parser.official",
            paper="https://arxiv.org/abs/1907.11922",
            can=(),
            default="face-parser-celeba",
            parameters={
                "celeba": 1_944_355,
                "celeba-128": 1_944_355,
                "ccp-128": 1_944_338,
            },
            title="Photo to label map: the U-Net of CelebAMask-HQ (MaskGAN, CVPR 2020)",
        )
    ],
    networks={"face-parser.unet": "zoo_plugins.face_parser.unet:UNet"},
    losses={"face-parser.cross-entropy": "zoo_plugins.face_parser.losses:cross_entropy"},
)
