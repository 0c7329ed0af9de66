"""judges: networks that measure and never generate: a mask auto-encoder, a shape predictor, and a parser that no loss may use."""

from __future__ import annotations

from zoo.plugin import Architecture, Plugin

CONFIG = "zoo_plugins.judges.config"

plugin = Plugin(
    api=1,
    architectures=[
        Architecture(
            "mask-autoencoder",
            kind="map-judge",
            model="zoo_plugins.judges.autoencoder:MaskAutoencoder",
            config=f"{CONFIG}:MaskAutoencoderConfig",
            variants=f"{CONFIG}:AUTOENCODERS",
            trainer="zoo_plugins.judges.trainers:AutoencoderTrainer",
            paper="SegVAE (ECCV 2020), section 4.2: the judge of its diversity and reconstruction error; the network is ours",
            can=("codes",),
            default="mask-autoencoder-celeba",
            parameters={"celeba-128": 585_200, "ccp-128": 584_160},
            title="Auto-encoder of label maps: how unlike two maps are, and how unlike real ones a map is",
        ),
        Architecture(
            "shape-predictor",
            kind="map-judge",
            model="zoo_plugins.judges.predictor:ShapePredictor",
            config=f"{CONFIG}:ShapePredictorConfig",
            variants=f"{CONFIG}:PREDICTORS",
            trainer="zoo_plugins.judges.trainers:PredictorTrainer",
            paper="SegVAE (ECCV 2020), section 4.2: the judge of its compatibility error; the network is ours",
            can=(),
            default="shape-predictor-celeba",
            parameters={"celeba-128": 465_360, "ccp-128": 464_720},
            title="The shape of one class from those of all others: whether the parts of a map go together",
        ),
        Architecture(
            "mobile-parser",
            kind="mask-parser",
            model="zoo_plugins.judges.parser:MobileParser",
            config=f"{CONFIG}:MobileParserConfig",
            variants=f"{CONFIG}:PARSERS",
            trainer="zoo_plugins.judges.trainers:MobileParserTrainer",
            paper="ours: MobileNetV2 (CVPR 2018) below a feature pyramid (CVPR 2017)",
            can=("judge",),
            default="mobile-parser-celeba",
            parameters={"celeba-128": 614_211, "ccp-128": 614_162},
            title="Photo to label map, held back from every loss so that it may judge pictures",
        ),
    ],
)
