"""What the core itself brings, as a plugin like any other: its label spaces and data sets. Importing it costs nothing."""

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
)
