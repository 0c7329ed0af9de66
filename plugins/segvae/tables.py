"""Tables 1 to 3 of the paper, as `zoo reproduce segvae/table1` (2, 3) runs them (docs/papers/segvae.md, "Metrics"). No torch in here."""

from __future__ import annotations

from typing import Any

from zoo.plugin import Claim, Column, Row, Table, TableData

PEOPLE, FACES = "humanparsing", "celebamask-hq"
PAPER = "Controllable Image Synthesis via SegVAE (ECCV 2020)"
DATA = (
    TableData(
        PEOPLE, "HumanParsing", stand_ins=("ccp",),
        paper="about 17,000 maps less those of odd proportions, cut to boxes, 80/10/10, 128 px",
    ),
    TableData(FACES, "CelebAMask-HQ", paper="30,000 maps, 80/10/10, 128 px"),
)  # fmt: skip
TRAINING = "Adam 5e-5, batch 24, lambda_KL 1e-4 (people) and 1e-7 (faces), no length stated"
FID = Column(
    "fid", "FID", "fid", "image", "lower", painted=True,
    protocol="FID (official Inception) of pictures that the authors' own SPADE, trained on each set, paints of the maps; which photos and how"
    " many pictures is not said; +- over an unstated number of repeats",
    difference="maps of the held-out label sets through the embedded painter named below, one picture a map in a drawn style, against the"
    " held-out photos",
)  # fmt: skip
DIVERSITY = Column(
    "diversity", "Diversity", "autoencoder_diversity", "drawn", "higher", real="real",
    protocol="distance of an auto-encoder's inner features between 3,000 pairs of generated maps; its layers, norm and training are not said",
    difference="our auto-encoder of real maps",
)  # fmt: skip
COMPATIBILITY = Column(
    "compatibility", "Compat. error", "compatibility_error", "drawn", "lower", real="real",
    protocol="error of a shape predictor trained on real maps (one class out of all others) on generated ones; the measure is not said",
    difference="our shape predictor",
)  # fmt: skip
RECONSTRUCTION = Column(
    "reconstruction", "Recon. error", "reconstruction_error", "drawn", "lower", real="real",
    protocol="error of the auto-encoder of real maps on generated ones; the measure is not said", difference="our auto-encoder",
)  # fmt: skip
# the recipe of the zoo's own small models: with the official rate, start and L1 nothing is learned at budgets of minutes
NETWORK: dict[str, Any] = {
    "network.size": 64, "ngf": 16, "shape_dim": 96, "hidden_dim": 64, "embed_dim": 16, "z_dim": 32, "spectral": False, "init_gain": 1.0,
}  # fmt: skip
RECIPE: dict[str, Any] = {
    "batch_size": 8, "lr": 2e-3, "betas": (0.9, 0.99), "schedule": "cosine", "lambda_kl": 3e-5, "shape_loss": "bce", "shape_balance": 0.5,
}  # fmt: skip
SMALL: dict[str, dict[str, Any]] = {
    **dict.fromkeys(("segvae", "cvae-sep", "cvae-global"), NETWORK | RECIPE),
    "cgan": {"side": 64, "width": 16, "attention": 0, "ndf": 16, "attention_d": 0, "batch_size": 16, "lr_g": 4e-4, "ema": 0.99},
    "sg2im": {
        "embedding_dim": 32, "gconv_dim": 32, "gconv_hidden_dim": 64, "gconv_layers": 2, "noise_dim": 8,
        "refinement_dims": (64, 48, 32, 24, 16), "batch_size": 8, "lr": 4e-4, "lambda_mask": 1.0,
    },
}  # fmt: skip
NOTES = (
    "The small form has 64 px maps and our small models' recipe (binary cross entropy weighted by class, no spectral norm, a cosine rate);"
    " all rows of SegVAE and C-VAE share it.",
    "A fitted prior of all classes, which our published models have, is left out: the learned prior (or the Gaussian of its ablation) draws.",
)
PAINTER = {FACES: "spade-celeba", PEOPLE: "clvae-ccp"}
SG2IM = "label sets as scene graphs without relations, boxes predicted (the paper gives sg2im the true boxes)"


def systems(arch: str, variant: str = "") -> dict[str, str]:
    """A system on both data sets."""
    return {PEOPLE: f"{arch}/humanparsing{variant}", FACES: f"{arch}/celeba{variant}"}


def _figures(*, people: dict[str, Any], faces: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {PEOPLE: people, FACES: faces}


def _realism(
    people: tuple[float, float],
    faces: tuple[float, float],
    *,
    diversity: tuple[tuple[float, float], tuple[float, float]] | None = None,
) -> dict[str, dict[str, Any]]:
    """FID and, where the paper has it, diversity."""
    figures = _figures(people={"fid": people}, faces={"fid": faces})
    if diversity:
        for name, value in zip((PEOPLE, FACES), diversity, strict=True):
            figures[name]["diversity"] = value
    return figures


OURS = Row("Ours", systems("segvae"), paper=_realism(
    (39.6496, 0.3543), (28.8221, 0.2732), diversity=((0.2072, 0.053), (0.1575, 0.043))
))  # fmt: skip
REAL = Row("GT", paper=_realism((33.1562, 0.3801), (22.5981, 0.0870), diversity=((0.2098, 0.050), (0.1603, 0.045))))
OTHERS = ("C-GAN", "C-VAE_sep", "C-VAE_global", "sg2im-orig", "sg2im", "Ours w/o LSTM", "Ours w/o Learned Prior")

TABLE_1 = Table(
    title="Table 1: realism and diversity of generated maps",
    paper=PAPER,
    data=DATA,
    columns=(FID, DIVERSITY),
    rows=(
        Row("C-GAN", systems("cgan"), paper=_realism((171.1293, 0.3359), (76.0115, 0.1981)), note="a SAGAN conditioned on label sets"),
        Row(
            "C-VAE_sep", systems("cvae-sep"), note="SegVAE's networks with the class as the only context, no LSTM, a Gaussian prior",
            paper=_realism((85.0505, 0.3052), (39.7445, 0.2254), diversity=((0.1781, 0.040), (0.1566, 0.033))),
        ),
        Row(
            "C-VAE_global", systems("cvae-global"), note="the same with the label set as a second context",
            paper=_realism((83.8214, 0.6747), (36.2903, 0.2084), diversity=((0.1730, 0.034), (0.1582, 0.031))),
        ),
        Row(
            "sg2im-orig", systems("sg2im"), own_pictures=True, note=SG2IM,
            paper=_realism((207.0786, 0.3324), (208.8142, 0.1876)),
        ),
        Row(
            "sg2im", systems("sg2im"), note=SG2IM,
            paper=_realism((56.7421, 0.2206), (34.7316, 0.3071), diversity=((0.2064, 0.050), (0.1476, 0.045))),
        ),
        Row(
            "Ours w/o LSTM", systems("segvae"), {"lstm": False}, note="heads on the prior's embedding",
            paper=_realism((50.8830, 0.2374), (34.5073, 0.2156), diversity=((0.2024, 0.045), (0.1535, 0.034))),
        ),
        Row(
            "Ours w/o Learned Prior", systems("segvae"), {"learned_prior": False}, note="z from N(0, I), KL to N(0, I)",
            paper=_realism((44.6217, 0.2881), (33.8060, 0.3167), diversity=((0.1625, 0.054), (0.1492, 0.038))),
        ),
        OURS,
        REAL,
    ),
    claims=(
        Claim("Ours has the lowest FID of all that is generated", "fid", "Ours", OTHERS),
        Claim("the LSTM lowers the FID", "fid", "Ours", ("Ours w/o LSTM",)),
        Claim("the learned prior lowers the FID", "fid", "Ours", ("Ours w/o Learned Prior",)),
        Claim("the learned prior raises the diversity", "diversity", "Ours", ("Ours w/o Learned Prior",)),
        Claim("the label set as a context lowers the FID of the C-VAE", "fid", "C-VAE_global", ("C-VAE_sep",)),
        Claim("real maps have a lower FID than generated ones", "fid", "GT", ("Ours",)),
    ),
    small=SMALL, painter=PAINTER, training=TRAINING, notes=NOTES,
)  # fmt: skip


def _errors(people: Any, faces: Any) -> dict[str, dict[str, Any]]:
    names = ("compatibility", "reconstruction")
    return _figures(people=dict(zip(names, people, strict=True)), faces=dict(zip(names, faces, strict=True)))


TABLE_2 = Table(
    title="Table 2: compatibility and reconstructability of generated maps",
    paper=PAPER,
    data=DATA,
    columns=(COMPATIBILITY, RECONSTRUCTION),
    rows=(
        Row("C-VAE_sep", systems("cvae-sep"), paper=_errors(((0.7823, 0.0161), (0.6857, 0.010)), ((0.1029, 0.0017), (0.1165, 0.003)))),
        Row("C-VAE_global", systems("cvae-global"), paper=_errors(((0.7345, 0.0141), (0.6186, 0.018)), ((0.1015, 0.0040), (0.1142, 0.003)))),
        Row("sg2im", systems("sg2im"), paper=_errors(((0.6983, 0.0176), (0.5434, 0.012)), ((0.0844, 0.0020), (0.1334, 0.003))), note=SG2IM),
        Row("Ours", systems("segvae"), paper=_errors(((0.6174, 0.0147), (0.5663, 0.011)), ((0.0754, 0.0013), (0.0840, 0.001)))),
    ),
    claims=(
        Claim("Ours has the lowest compatibility error", "compatibility", "Ours"),
        Claim("Ours has the lowest reconstruction error", "reconstruction", "Ours", data=(FACES,)),
        Claim("sg2im has the lowest reconstruction error, Ours the second", "reconstruction", "sg2im", data=(PEOPLE,)),
        Claim("Ours is easier to reconstruct than both C-VAE", "reconstruction", "Ours", ("C-VAE_sep", "C-VAE_global")),
    ),
    small=SMALL, training=TRAINING, notes=NOTES,
)  # fmt: skip

ORDERS = {
    1: ("Face or body, then features or clothes, then accessories (Ours)", OURS.paper),
    2: (
        "Features or clothes first, then face or body",
        _realism((39.9008, 0.5263), (30.6547, 0.1267), diversity=((0.2062, 0.0494), (0.1517, 0.0376))),
    ),
    3: (
        "Accessories first, then face or body",
        _realism((40.2909, 0.2195), (32.0325, 0.1294), diversity=((0.2043, 0.0521), (0.1489, 0.0363))),
    ),
}
FIRST, SECOND, THIRD = (f"{number} {title}" for number, (title, _) in ORDERS.items())
TABLE_3 = Table(
    title="Table 3: the order in which classes are drawn",
    paper=PAPER,
    data=DATA,
    columns=(FID, DIVERSITY),
    rows=tuple(
        Row(f"{n} {title}", systems("segvae"), {} if n == 1 else {"order": (f"order-{n}",)}, paper=figures,
            note="" if n == 1 else "inside a group the order is that of order 1")
        for n, (title, figures) in ORDERS.items()
    ),
    claims=(
        Claim("order 1 has the lowest FID", "fid", FIRST, (SECOND, THIRD)),
        Claim("order 1 has the highest diversity", "diversity", FIRST, (SECOND, THIRD)),
        Claim("orders 1 and 2 perform alike on people (FID within 1 %)", "fid", FIRST, (SECOND,), equal=0.01, data=(PEOPLE,)),
        Claim("order 3 is the worst: FID above that of order 2", "fid", SECOND, (THIRD,)),
    ),
    small=SMALL, painter=PAINTER, training=TRAINING, notes=NOTES,
)  # fmt: skip
