"""Tables 1 and 3 to 7 of the paper, as `zoo reproduce scgan/table1` and so on runs them (docs/papers/scgan.md, "Our readings"). No torch here."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from zoo.plugin import Claim, Column, Row, Table, TableData

FACES, STREETS, ADE, COCO, SEASONS = "celebamask-hq", "cityscapes", "ade20k", "coco-stuff", "domains"
PAPER = "Image Synthesis via Semantic Composition (ICCV 2021)"
TRAINING = "Adam (0, 0.999), 1e-4 and 4e-4; 100 epochs on faces and COCO-Stuff, 200 on Cityscapes and ADE20K"
KIND = "random_style|image"
MIOU = Column(
    "miou", "mIoU", "parser_agreement", "|".join(f"{k}.miou_all" for k in KIND.split("|")), "higher", scale=100,
    protocol="a segmenter trained on real photos reads the pictures: DRN-D-105 (Cityscapes), UperNet-101 (ADE20K), DeepLabV2 (COCO-Stuff)",
    difference="another parser, named below", data=(STREETS, ADE, COCO),
)  # fmt: skip
ACCURACY = Column(
    "accuracy", "Acc", "parser_agreement", "|".join(f"{k}.accuracy" for k in KIND.split("|")), "higher", scale=100,
    protocol="pixel accuracy of the same segmenters", difference="another parser, named below", data=(STREETS, ADE, COCO),
)  # fmt: skip
FID = Column(
    "fid", "FID", "fid", KIND, "lower",
    protocol="FID (Inception) of the pictures of the validation maps against the validation photos",
    difference="pictures in drawn styles where the model has styles",
)  # fmt: skip
LPIPS = Column(
    "lpips", "LPIPS", "gt_similarity", "encoded_style|image", "lower", data=(FACES,), counterpart="feature_similarity",
    protocol="LPIPS to the photo; whether in the photo's own style is not said", difference="in the photo's own style where there is one",
)  # fmt: skip
NETWORK: dict[str, Any] = {
    "network.resolution": 64,
    "aspect_ratio": 1.0,
    "upsampling": "normal",
    "ngf": 8,
    "max_width": 64,
    "spade_hidden": 16,
}
RECIPE: dict[str, Any] = {
    "batch_size": 4, "lr": 4e-4, "ttur": False, "perceptual": "none", "lambda_l1": 10.0, "share_fake": True, "ndf": 16,
    "niter": 1_000_000, "niter_decay": 0, "preprocess": "resize",
}  # fmt: skip
SMALL: dict[str, dict[str, Any]] = {
    "scgan": NETWORK | RECIPE | {"nff": 4, "nrf": 8, "z_dim": 64, "nef": 8, "encoder_size": 128},
    "spade": NETWORK | RECIPE | {"n_layers_d": 3},
}
OTHERS: dict[str, str] = dict.fromkeys(("crn", "sims", "pix2pixhd", "cc-fpse"), "celeba-128")
NOTES = (
    "The small form has 64 px squares, capped widths, an L1 term to the photo, and no perceptual loss (the VGG's weights are no part of the"
    " zoo); every row shares it.",
)


def _all(faces: tuple[float, float] | None, streets: Any, ade: Any, coco: Any) -> dict[str, dict[str, Any]]:
    """FID and LPIPS of faces; mIoU, Acc and FID of scenes."""
    names = ("miou", "accuracy", "fid")
    found: dict[str, dict[str, Any]] = {
        n: dict(zip(names, f, strict=True)) for n, f in ((STREETS, streets), (ADE, ade), (COCO, coco)) if f
    }
    return found | ({FACES: {"fid": faces[0], "lpips": faces[1]}} if faces else {})


TABLE_1 = Table(
    title="Table 1: SC-GAN beside other systems on four data sets",
    paper=PAPER,
    data=(
        TableData(FACES, "CelebAMask-HQ", paper="512 px, splits of the data set"),
        TableData(STREETS, "Cityscapes", paper="256 x 512 px, 2,975 and 500 photos", split="val"),
        TableData(ADE, "ADE20K", paper="256 px, 20,210 and 2,000 photos", split="val"),
        TableData(COCO, "COCO-Stuff", paper="256 px, 118,000 and 5,000 photos", split="val"),
    ),
    columns=(MIOU, ACCURACY, FID, LPIPS),
    rows=(
        Row("CRN", {STREETS: "crn/cityscapes-256"}, paper=_all(None, (52.4, 77.1, 104.7), (22.4, 68.8, 73.3), (23.7, 40.4, 70.4))),
        Row("SIMS", {STREETS: "sims/cityscapes-256"}, paper=_all(None, (47.2, 75.5, 49.7), None, None)),
        Row("pix2pixHD", {STREETS: "pix2pixhd/cityscapes-512"}, paper=_all(
            (54.7, 0.529), (58.3, 81.4, 95.0), (20.3, 69.2, 81.8), (14.6, 45.7, 111.5)
        )),
        Row("SPADE", {FACES: "spade/celeba", STREETS: "spade/cityscapes", ADE: "spade/ade20k", COCO: "spade/coco"}, paper=_all(
            (42.2, 0.487), (62.3, 81.9, 71.8), (38.5, 79.9, 33.9), (37.4, 67.9, 22.6)
        )),
        Row("CC-FPSE", {STREETS: "cc-fpse/cityscapes", ADE: "cc-fpse/ade20k", COCO: "cc-fpse/coco"}, paper=_all(
            None, (65.6, 82.3, 54.3), (43.7, 82.9, 31.7), (41.6, 70.7, 19.2)
        )),
        Row("Ours", {FACES: "scgan/celeba", STREETS: "scgan/cityscapes", ADE: "scgan/ade20k", COCO: "scgan/coco"}, paper=_all(
            (19.2, 0.395), (66.9, 82.5, 49.5), (45.2, 83.8, 29.3), (42.0, 72.0, 18.1)
        )),
    ),
    claims=(
        Claim("Ours has the lowest FID", "fid", "Ours"),
        Claim("Ours has the highest mIoU", "miou", "Ours"),
        Claim("Ours has the highest accuracy", "accuracy", "Ours"),
        Claim("Ours has the lowest LPIPS", "lpips", "Ours"),
    ),
    small=SMALL | OTHERS, training=TRAINING,
    notes=(
        *NOTES, "Small forms of CRN, SIMS, pix2pixHD and CC-FPSE are the zoo's own variants celeba-128.",
        "The paper takes the baselines' released models (but SPADE on faces); here every row is trained."),
)  # fmt: skip

STREETS_ALONE = {c.key: replace(c, data=()) for c in (MIOU, ACCURACY, FID)}
STREET = (TableData(STREETS, "Cityscapes", paper="256 x 512 px, 2,975 and 500 photos", split="val"),)


def _ablation(title: str, changes: dict[str, Any], miou: float, fid: float | None = None, note: str = "") -> Row:
    figures = {"miou": miou} | ({"fid": fid} if fid is not None else {})
    return Row(title, {STREETS: "scgan/cityscapes"}, changes, paper={STREETS: figures}, note=note)


CONV = "three ordinary convolutions in a row for each SCC, each of which sees V; 67.3 M parameters with BN, as the paper says"
TABLE_3 = Table(
    title="Table 3: operators of the render generator",
    paper=PAPER,
    data=STREET,
    columns=(STREETS_ALONE["miou"], STREETS_ALONE["fid"]),
    rows=(
        _ablation("Conv+BN", {"norm": "spectralconvsyncbatch3x3"}, 62.6, 69.7, CONV),
        _ablation("Conv+SCN", {"norm": "spectralconvsccsyncbatch3x3"}, 63.1, 60.9, CONV),
        _ablation("SCC+BN", {"norm": "spectralsyncbatch3x3"}, 66.3, 54.0, "batch norm with a learned scale and shift"),
        _ablation("SCC+SCN", {}, 66.9, 49.5),
    ),
    claims=(
        Claim("SCC raises mIoU over convolutions, with BN", "miou", "SCC+BN", ("Conv+BN",)),
        Claim("SCC raises mIoU over convolutions, with SCN", "miou", "SCC+SCN", ("Conv+SCN",)),
        Claim("SCC lowers FID under convolutions, with BN", "fid", "SCC+BN", ("Conv+BN",)),
        Claim("SCC lowers FID under convolutions, with SCN", "fid", "SCC+SCN", ("Conv+SCN",)),
        Claim("SCN lowers FID under BN, with convolutions", "fid", "Conv+SCN", ("Conv+BN",)),
        Claim("SCN lowers FID under BN, with SCC", "fid", "SCC+SCN", ("SCC+BN",)),
        Claim("SCC and SCN together are the best in mIoU", "miou", "SCC+SCN"),
        Claim("SCC and SCN together are the best in FID", "fid", "SCC+SCN"),
    ),
    small=SMALL, training=TRAINING, notes=NOTES,
)  # fmt: skip

TABLE_4 = Table(
    title="Table 4: the loss of the semantic vector generator",
    paper=PAPER,
    data=STREET,
    columns=(STREETS_ALONE["miou"], STREETS_ALONE["fid"]),
    rows=(
        _ablation("w/o L_s", {"lambda_recon": 0.0}, 60.3, 82.5),
        _ablation("w/ L_s (l1)", {}, 66.9, 49.5),
        _ablation("w/ L_s (l2)", {"recon_loss": "l2"}, 63.4, 53.3),
        _ablation("w/ L_s (vgg)", {"recon_loss": "vgg", "perceptual": "vgg"}, 64.2, 51.8, "needs the VGG's weights"),
    ),
    claims=(
        Claim("L_s raises mIoU", "miou", "w/ L_s (l1)", ("w/o L_s",)),
        Claim("L_s lowers FID", "fid", "w/ L_s (l1)", ("w/o L_s",)),
        Claim("l1 is the best in mIoU", "miou", "w/ L_s (l1)"),
        Claim("l1 is the best in FID", "fid", "w/ L_s (l1)"),
    ),
    small=SMALL, training=TRAINING, notes=NOTES,
)  # fmt: skip

TABLE_5 = Table(
    title="Table 5: how many candidates SCC mixes",
    paper=PAPER,
    data=STREET,
    columns=(STREETS_ALONE["miou"],),
    rows=tuple(
        _ablation(f"n = {n}", {"n_conv": n, "n_norm": 4}, miou, note="candidates of the norm fixed to 4, as the paper says")
        for n, miou in ((8, 67.9), (4, 67.3), (2, 64.8), (1, 61.2))
    ),
    claims=(
        Claim("mIoU grows with the candidates: 8 over 4", "miou", "n = 8", ("n = 4",)),
        Claim("mIoU grows with the candidates: 4 over 2", "miou", "n = 4", ("n = 2",)),
        Claim("mIoU grows with the candidates: 2 over 1", "miou", "n = 2", ("n = 1",)),
    ),
    small=SMALL, training=TRAINING, notes=NOTES,
)  # fmt: skip

TABLE_6 = Table(
    title="Table 6: from features to semantic vectors",
    paper=PAPER,
    data=STREET,
    columns=(STREETS_ALONE["miou"], STREETS_ALONE["fid"]),
    rows=(
        _ablation("Sigmoid", {"weight_type": "sigmoid"}, 62.6, 57.6),
        _ablation("Tanh", {"weight_type": "tanh"}, 63.1, 56.8),
        _ablation("ReLU", {"weight_type": "relu"}, 61.7, 66.5),
        _ablation("None", {"weight_type": "identity"}, 60.2, 73.9),
        _ablation("Softmax", {}, 66.9, 49.5),
    ),
    claims=(
        Claim("softmax is the best in mIoU", "miou", "Softmax"),
        Claim("softmax is the best in FID", "fid", "Softmax"),
        Claim("any function is better than none, in mIoU", "miou", "ReLU", ("None",)),
        Claim("any function is better than none, in FID", "fid", "ReLU", ("None",)),
        Claim("bounded functions beat ReLU in mIoU (sigmoid)", "miou", "Sigmoid", ("ReLU",)),
        Claim("bounded functions beat ReLU in FID (sigmoid)", "fid", "Sigmoid", ("ReLU",)),
    ),
    small=SMALL, training=TRAINING, notes=NOTES,
)  # fmt: skip

TABLE_7 = Table(
    title="Table 7: unpaired translation from summer to winter",
    paper=PAPER,
    data=(TableData(SEASONS, "Yosemite summer to winter", paper="1,231 and 962 photos for training, 309 and 238 for testing, 256 px"),),
    columns=(
        Column(
            "fid", "FID", "fid", "to B|to winter", "lower",
            protocol="FID of translated test photos against test photos of winter",
            difference="every held-out photo that is not of the last domain becomes one of it, in a drawn style",
        ),
        Column(
            "is", "IS", "inception_score", "to B|to winter", "higher",
            protocol="Inception score of the translated photos", difference="",
        ),
    ),
    rows=(
        Row("MUNIT", {SEASONS: "munit/summer2winter"}, paper={SEASONS: {"fid": 118.225, "is": 2.537}}),
        Row("DMIT", {SEASONS: "dmit/yosemite"}, paper={SEASONS: {"fid": 87.969, "is": 2.884}}),
        Row(
            "Ours", {SEASONS: "scgan-unpaired/yosemite"}, paper={SEASONS: {"fid": 82.882, "is": 3.183}},
            note="nothing of it was released but one sentence",
        ),
    ),
    claims=(
        Claim("Ours has the lowest FID", "fid", "Ours"),
        Claim("Ours has the highest Inception score", "is", "Ours"),
    ),
    small={"munit": "small-64", "dmit": "photos-64", "scgan-unpaired": "photos-64"},
    training="256 px; lengths of the baselines are those of their authors",
    notes=("Small forms: the zoo's own variants munit/small-64, dmit/photos-64 and scgan-unpaired/photos-64.",),
)  # fmt: skip
