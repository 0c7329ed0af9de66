"""Data sets written in the forms of other tools: `zoo data convert` (docs/maps.md). Each keeps every pixel but YOLO-seg, whose outlines
know no unlabeled pixels.

`base`: what a form is; `panoptic`, `voc`, `cityscapes`, `yolo`: one each; `outlines`: areas as polygons; `convert`: the loop over pairs.
"""

from __future__ import annotations

FORMATS = {
    "coco-panoptic": "zoo.data.formats.panoptic:CocoPanoptic",
    "voc": "zoo.data.formats.voc:Voc",
    "yolo-seg": "zoo.data.formats.yolo:YoloSeg",
    "cityscapes": "zoo.data.formats.cityscapes:Cityscapes",
}
