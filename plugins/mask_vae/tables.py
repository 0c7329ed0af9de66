"""Table 1 of the paper (docs/papers/mask_vae.md, "Table 1"), as `zoo reproduce mask-vae/table1` runs it. No torch in here."""

from __future__ import annotations

from zoo.plugin import Claim, Column, Row, Table, TableData

FACES = "celebamask-hq"
TITLES = {
    "celeba-no-lstm": ("w/o LSTM block", 68.49, 94.24, "the LSTM alone is left out, the feed-forward stays"),
    "celeba-1-lstm": ("1 LSTM w/o bidir. w/o weighted CE", 68.15, 93.85, "one layer, one direction; the shortcut is the identity"),
    "celeba-3-lstm": ("3 LSTMs w/o bidir. w/o weighted CE", 67.35, 90.91, "three layers of one LSTM, one direction"),
    "celeba-3-lstm-weighted": ("3 LSTMs w/o bidir.", 68.34, 90.94, "the same with the code's class weights"),
    "celeba-3-bilstm": ("3 LSTMs w/o weighted CE", 69.56, 92.12, ""),
    "celeba": ("Ours", 70.31, 92.39, ""),
}  # fmt: skip
READ = "one confusion matrix over all maps of the split, mean codes and zero LSTM states, 19 classes at 256 px"


def _row(variant: str, title: str, miou: float, accuracy: float, note: str) -> Row:
    return Row(title, {FACES: f"mask-vae/{variant}"}, paper={FACES: {"miou": miou, "accuracy": accuracy}}, note=note)


TABLE_1 = Table(
    title="Table 1: reconstruction of maps by the model and its simpler forms",
    paper="Automatic Generation of Semantic Parts for Face Image Synthesis (ICIAP 2023)",
    data=(TableData(FACES, "CelebAMask-HQ", paper="28,000 maps for training, 2,000 for testing, 256 px"),),
    columns=(
        Column(
            "miou", "mIoU", "reconstruction", "mean_code.miou_all", "higher", scale=100,
            protocol="mIoU of reconstructed test maps; which codes and states, and how classes are averaged, is not said",
            difference=f"{READ}; classes that neither occur nor are drawn are left out",
        ),
        Column(
            "accuracy", "Acc", "reconstruction", "mean_code.accuracy", "higher", scale=100,
            protocol="share of pixels of reconstructed test maps", difference=READ,
        ),
    ),
    rows=tuple(_row(variant, *facts) for variant, facts in TITLES.items()),
    claims=(
        Claim("Ours has the highest mIoU", "miou", "Ours"),
        Claim("the form without LSTM has the highest accuracy", "accuracy", "w/o LSTM block"),
        Claim(
            "mIoU falls when more LSTM layers of one direction are stacked", "miou", "1 LSTM w/o bidir. w/o weighted CE",
            ("3 LSTMs w/o bidir. w/o weighted CE",),
        ),
        Claim(
            "of the forms with three LSTM layers Ours has the highest accuracy", "accuracy", "Ours",
            ("3 LSTMs w/o bidir. w/o weighted CE", "3 LSTMs w/o bidir.", "3 LSTMs w/o weighted CE"),
        ),
        Claim("two directions raise mIoU", "miou", "Ours", ("3 LSTMs w/o bidir.",)),
        Claim("the weighted cross entropy raises mIoU", "miou", "Ours", ("3 LSTMs w/o weighted CE",)),
    ),
    small={
        "mask-vae": {
            "latent": 64, "encoder_side": 64, "encoder_widths": (256, 128), "decoder_width": 64, "decoder_widths": (64, 32, 32),
            "groups": 16, "batch_size": 8, "lr": 1e-3, "betas": (0.9, 0.99),
        },
    },
    training="rates, batch and length are not in the paper; the authors' code: Adam 1e-4, batch 1, 20 + 20 epochs of 28,000 maps",
    notes=("The small form has 64 px maps, a narrower network, batch 8 and a rate of 1e-3 with betas 0.9 and 0.99.",),
)  # fmt: skip
