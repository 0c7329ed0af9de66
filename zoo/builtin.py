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
        "toy-faces": "zoo.data.toy_faces:ToyFaces",
    },
    metrics={
        "detail": "zoo.evaluation.images:DETAIL",
        "fid": "zoo.evaluation.images:FID",
        "kid": "zoo.evaluation.images:KID",
        "l1": "zoo.evaluation.images:L1",
        "layout": "zoo.evaluation.drawn:LAYOUT",
        "memorising": "zoo.evaluation.drawn:MEMORISING",
        "odd_colours": "zoo.evaluation.images:ODD_COLOURS",
        "parser_agreement": "zoo.evaluation.reading:AGREEMENT",
        "reconstruction": "zoo.evaluation.drawn:RECONSTRUCTION",
        "requests": "zoo.evaluation.drawn:REQUESTS",
        "segmentation": "zoo.evaluation.reading:SEGMENTATION",
        "style_diversity": "zoo.evaluation.images:STYLE_DIVERSITY",
    },
)
