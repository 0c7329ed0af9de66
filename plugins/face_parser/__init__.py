"""face-parser: the U-Net that CelebAMask-HQ's authors published for reading a photo's label map; lite-parser: ours on pretrained
features."""

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
        ),
        Architecture(
            "lite-parser",
            kind="mask-parser",
            model="zoo_plugins.face_parser.model:LiteParser",
            config="zoo_plugins.face_parser.config:LiteParserConfig",
            variants="zoo_plugins.face_parser.config:LITE_VARIANTS",
            trainer="zoo_plugins.face_parser.trainer:LiteParserTrainer",
            paper="ours: EfficientNet-Lite0 (arXiv:1905.11946, without squeeze and swish) below a small decoder",
            can=(),
            default="lite-parser-celeba",
            parameters={"celeba-160": 2_920_275, "ccp-160": 2_920_242},
            title="Photo to label map: EfficientNet-Lite0 under a small decoder, ours",
        ),
    ],
    networks={
        "face-parser.unet": "zoo_plugins.face_parser.unet:UNet",
        "lite-parser.network": "zoo_plugins.face_parser.lite:LiteNet",
    },
    losses={"face-parser.cross-entropy": "zoo_plugins.face_parser.losses:cross_entropy"},
)
