"""What the core itself brings, as a plugin like any other: its label spaces, data sets and metrics. Importing it costs nothing."""

from zoo import label_spaces
from zoo.registry.plugin import Plugin

plugin = Plugin(
    label_spaces={name: f"zoo.label_spaces:{name}" for name in label_spaces.names()},
    datasets={
        "ade20k": "zoo.data.scenes:ADE20K",
        "ccp": "zoo.data.people:ClothingCoParsing",
        "celebamask-hq": "zoo.data.celebamask:CelebAMaskHQ",
        "cityscapes": "zoo.data.scenes:Cityscapes",
        "coco-stuff": "zoo.data.scenes:COCOStuff",
        "deepfashion": "zoo.data.scenes:DeepFashion",
        "domains": "zoo.data.domains:Domains",
        "folder": "zoo.data.joined:open_folder",
        "gta5": "zoo.data.scenes:GTA5",
        "humanparsing": "zoo.data.people:HumanParsing",
        "shards": "zoo.data.sharded.source:Shards",
        "toy-faces": "zoo.data.toy_faces:ToyFaces",
    },
    metrics={
        "autoencoder_diversity": "zoo.evaluation.judged:AUTOENCODER_DIVERSITY",
        "compatibility_error": "zoo.evaluation.judged:COMPATIBILITY_ERROR",
        "detail": "zoo.evaluation.images:DETAIL",
        "feature_diversity": "zoo.evaluation.similarity:FEATURE_DIVERSITY",
        "feature_similarity": "zoo.evaluation.similarity:FEATURE_SIMILARITY",
        "fid": "zoo.evaluation.images:FID",
        "gt_similarity": "zoo.evaluation.similarity:GT_SIMILARITY",
        "inception_score": "zoo.evaluation.images:INCEPTION_SCORE",
        "judge": "zoo.evaluation.judged:JUDGE",
        "kid": "zoo.evaluation.images:KID",
        "l1": "zoo.evaluation.images:L1",
        "layout": "zoo.evaluation.drawn:LAYOUT",
        "lpips_diversity": "zoo.evaluation.similarity:LPIPS_DIVERSITY",
        "memorising": "zoo.evaluation.drawn:MEMORISING",
        "odd_colours": "zoo.evaluation.images:ODD_COLOURS",
        "parser_agreement": "zoo.evaluation.reading:AGREEMENT",
        "reconstruction": "zoo.evaluation.drawn:RECONSTRUCTION",
        "reconstruction_error": "zoo.evaluation.judged:RECONSTRUCTION_ERROR",
        "requests": "zoo.evaluation.drawn:REQUESTS",
        "segmentation": "zoo.evaluation.reading:SEGMENTATION",
        "style_diversity": "zoo.evaluation.images:STYLE_DIVERSITY",
        "top1_feature_similarity": "zoo.evaluation.similarity:TOP1_FEATURE_SIMILARITY",
        "top1_gt_similarity": "zoo.evaluation.similarity:TOP1_GT_SIMILARITY",
    },
)
