"""Cuts the cases that travel with the repository out of the recorded ones: `python tests/golden/travel.py [SHARED] [OUT]`.

A travelling case has the form of the recorded one, so `replay` runs it as it is, and stays below `LIMIT` bytes. What is in it was
recorded from the authors' code: whole tensors, or rows and pixels of them under names that say so (`_sK`: every K-th row and column).
Where the weights alone are larger, a part of the network travels, in one of two ways: a case of single layers has some of its layers; of
a case of a whole network the layers that were cut have NaN in place of weights, and the recorded outputs of theirs that others read
are inputs (`stand_ins`). The same files come out bit by bit every time.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from safetensors.torch import load_file, save_file
from torch import Tensor

LIMIT = 400_000
"""Bytes of all files of a system together."""
DATA = Path(__file__).with_name("data")
Index = tuple[Any, ...]
EVERY_4TH: Index = (..., slice(None, None, 4), slice(None, None, 4))
EVERY_8TH: Index = (..., slice(None, None, 8), slice(None, None, 8))
FIRST: Index = (slice(0, 1),)
TWO_ROWS: Index = (slice(0, 2),)
FIRST_COLUMN: Index = (slice(None), *FIRST)


DISCRIMINATORS = (
    "multiscale_pred_0", "multiscale_pred_1", "multiscale_feat_0_2", "multiscale_feat_1_2",
    "fpse_pred_0", "fpse_pred_1", "fpse_pred_2", "fpse_feat_0", "fpse_feat_3",
)  # fmt: skip
"""Outputs whose first row is for the fake alone."""

MAPS_OF_OASIS = "(?:mixed|only_unknown|single_class|unknown_plus_one)"
"""Crafted maps of its losses."""


class Cut(NamedTuple):
    """What of one recorded case travels. Names of tensors are regular expressions, which must fit the whole name.

    source: `<system>/<case>` below shared/golden. replay: the system that `replay` is called with. inputs, results: tensors of
    `io.safetensors`. parts: new name -> (recorded name, index). weights: official keys. stand_ins: names among the inputs.
    """

    source: str
    replay: str
    inputs: tuple[str, ...] = ()
    results: tuple[str, ...] = ()
    parts: Mapping[str, tuple[str, Index]] = MappingProxyType({})
    weights: tuple[str, ...] = ()
    stand_ins: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        return self.source.split("/")[1]


def sample_of_segvae(*names: str) -> dict[str, tuple[str, Index]]:
    """The first sample of the case; tensors of all steps have the step in front of it."""
    steps = ("feat", "noise_prior", "z_prior", "mu_prior", "logvar_prior")
    return {f"labelset.{n}": (f"labelset.{n}", FIRST_COLUMN if n in steps else FIRST) for n in names}


CUTS: dict[str, tuple[Cut, ...]] = {
    "ca2sis": (
        Cut(
            "mask_vae/E_ca2sis",
            "mask_vae",
            parts={"label": ("label", FIRST), "layout_codes": ("layout_codes", FIRST)},
        ),
    ),
    "clade": (
        Cut(
            "clade/E_units",
            "clade",
            inputs=(r"in/(?:x|x4|label_u8|instance_u8|dist|soft_seg|dist_toy_u8)",),
            results=(
                r"(?:eval|train)/(?:block_shortcut_inst_dist|light_instance_inst|affine_soft_argmax)",
                r"train/buffer/block_shortcut_inst_dist\..*",
                r"out/(?:edge_u8|dist_toy_.*)",
            ),
            weights=(r"(?:block_shortcut_inst_dist|light_instance_inst|affine_soft_argmax)\..*",),
        ),
    ),
    "clvae": (
        Cut(
            "clvae/A_deepfashion_more",
            "clvae",
            inputs=(r"in/(?:label_u8|classes|z_local|z_global)", "out/enc_layer5"),
            results=(r"out/enc_(?:classes|present|layer6|mu_global|logvar_global)", r"out/cse_[012]", "out/fc_out"),
            parts={
                "out/enc_mu_local_layer5": ("out/enc_mu_local", (slice(None), slice(None), 4)),
                "out/enc_logvar_local_layer5": ("out/enc_logvar_local", (slice(None), slice(None), 4)),
            },
            weights=(r"netE\.(?:layer6|fc_mu|fc_var|fc_mu5|fc_var5)\..*", r"netG\.(?:embedding|fc)\..*"),
            stand_ins=("out/enc_layer5",),
        ),
    ),
    "cc_fpse": (
        Cut(
            "cc_fpse/E_units",
            "cc_fpse",
            inputs=(r"in/(?:x|seg|kernels|cot)",),
            results=(
                r"(?:eval|train)/(?:block_identity|label_layer)",
                r"train/block_identity_grad_.*",
                r"train/buffer/(?:block_identity|label_layer)\..*",
                "eval/depthconv",
            ),
            weights=(r"(?:block_identity|label_layer)\..*",),
        ),
    ),
    "cimle": (
        Cut(
            "cimle/A_64p",
            "cimle",
            inputs=("in/label_u8",),
            results=(r"out/0/(?:noise_code_down_[48]|m4_conv2)",),
            parts={"in/noise": ("in/noise", FIRST)},
            weights=(r"g_(?:noise|4)_conv\d\..*",),
        ),
    ),
    "crn": (
        Cut(
            "crn/A_64p_k9",
            "crn",
            inputs=("in/label_u8",),
            results=(r"out/label_\d+", r"out/m\d.*"),
            weights=(r"g_.*",),
        ),
    ),
    "dmit": (
        Cut(
            "dmit/E_units",
            "dmit",
            inputs=(r"in/(?:x[56]|code5|coef|coef_t|dropmask_.*|captions|cap_lens)",),
            results=(
                r"(?:eval|train)/(?:conv|trconv|cbin|cbbn|layernorm|residual_dropout|conresidual_dropout|condown)",
                r"eval/(?:down|down_cbbn|up_.*|rnn_.*)",
                r"train/(?:conv|trconv|cbbn)_.*",
            ),
            weights=(
                r"(?:conv|trconv|cbin|cbbn|layernorm|residual_dropout|conresidual_dropout|condown|down|down_cbbn|up_\w+|rnn)/.*",
            ),
        ),
    ),
    "face_parser": (
        Cut(
            "face_parser/A_unet",
            "face_parser",
            inputs=("out/conv3", "out/up_concat1_s4"),
            results=(r"out/(?:conv4|center|up_concat[34]|logits_s4)",),
            weights=(r"(?:conv4|center|up_concat[34]|final)\..*",),
            stand_ins=("out/conv3", "out/up_concat1_s4"),
        ),
    ),
    "groupdnet": (
        Cut(
            "groupdnet/E_units",
            "groupdnet",
            inputs=(r"in/(?:x10|x24|lab5|lab6|inst5_u8)",),
            results=(
                r"(?:eval|train)/(?:cs_g3|ade_g6|blk_cs_shortcut)",
                r"train/buffer/(?:cs_g3|ade_g6|blk_cs_shortcut)\..*",
                r"out/(?:edge_u8|cityscapes_seg_interleaved_s4)",
            ),
            weights=(r"(?:cs_g3|ade_g6|blk_cs_shortcut)\..*",),
        ),
    ),
    "inade": (
        Cut(
            "inade/E_units",
            "inade",
            inputs=(r"in/(?:x|x4|xf|label_u8|instance_u8|sketch_u8|noise|soft_seg|soft_inst)",),
            results=(
                r"(?:eval|train)/(?:block_shortcut|ilade_syncbatch_sketch|ilade_soft|iconv_s1)",
                r"train/buffer/(?:block_shortcut|ilade_syncbatch_sketch)\..*",
                "out/edge_u8",
            ),
            weights=(r"(?:block_shortcut|ilade_syncbatch_sketch|ilade_soft|iconv_s1)\..*",),
        ),
    ),
    "mask_vae": (
        Cut(
            "mask_vae/A",
            "mask_vae",
            inputs=(r"recon\.(?:eps|h0|c0|z|up1)",),
            results=(r"recon\.(?:lstm_out|tokens|labels)",),
            parts={"recon.out_s4": ("recon.out", EVERY_4TH)},
            weights=(
                r"lstm\..*",
                r"decs\..*",
                r"resh_lin\..*",
                r"decs_conv\.decs\.[1-9].*",
                r"decs_conv\.out_conv\..*",
            ),
            stand_ins=("recon.z", "recon.up1"),
        ),
    ),
    "munit": (
        Cut(
            "munit/E_units",
            "munit",
            inputs=(r"in/(?:x5|x5_b1|x6|v4|style4|content12|adain_[bw]|coef6)",),
            results=(r"out/(?:cb_.*|layernorm_b\d|resblock_in|linear_.*|up_stage|mlp|decoder|assigned/.*|sn_.*)",),
            weights=(r"(?:cb_.*|layernorm|resblock_in|linear_.*|up_stage|mlp|decoder)/.*",),
        ),
    ),
    "maskgan": (
        Cut(
            "maskgan/E_units",
            "maskgan",
            inputs=(r"in/(?:adain|sft|cb|res|blend|D)_.*",),
            results=(r"out/(?:adain|sft|cb_\w+|res_\w+|blend|blend_alpha|D_\w+)",),
            weights=(r"(?!adain).*",),
        ),
    ),
    "oasis": (
        Cut(
            "oasis/E_units",
            "oasis",
            inputs=(
                r"gblock/in/.*",
                r"dblock_\w+/in/.*",
                rf"loss/in/(?:logits|label_{MAPS_OF_OASIS}_u8)",
                rf"labelmix/{MAPS_OF_OASIS}/(?:bits|classes)",
                r"labelmix_loss/in/.*",
                r"ema/in/.*",
                r"to_uint8/in",
            ),
            results=(
                r"(?:gblock|dblock_\w+)/(?:eval|train)",
                r"gblock/train_buffer/.*",
                r"dblock_\w+/train_buffer/.*",
                rf"loss/{MAPS_OF_OASIS}/.*",
                rf"labelmix/{MAPS_OF_OASIS}/mask_u8",
                r"labelmix_loss/grad_.*",
                r"ema/after3_.*",
                r"to_uint8/out_u8",
            ),
            weights=(r"gblock\..*", r"dblock_.*"),
        ),
    ),
    "pix2pixhd": (
        Cut(
            "pix2pixhd/B_local2_celeba",
            "pix2pixhd",
            inputs=("in/label_u8",),
            results=(r"out/netG\..*",),
            weights=(r"netG\..*",),
        ),
    ),
    "scgan": (
        Cut(
            "scgan/F_blocks_ops",
            "scgan",
            inputs=("x", "seg", "v_conv", "v_norm", r"SCC\|v_per_channel", r"Blur\|in", r"pool\|in\|.*"),
            results=(
                r"SCResnetBlock\|spectralsccsyncbatch3x3\|6-4\|.*",
                r"SCResnetBlock\|spectralsccinstance3x3\|6-6\|.*",
                r"SC[CN]\|out.*",
                r"Blur\|out",
                r"pool\|out\|.*",
                r"IterativeGaussian\|window.*",
            ),
            weights=(
                r"SCResnetBlock\|spectralsccsyncbatch3x3\|6-4/.*",
                r"SCResnetBlock\|spectralsccinstance3x3\|6-6/.*",
                r"SC[CN]/.*",
            ),
        ),
        Cut("scgan/C3_losses_misc", "scgan", inputs=("p0", "p1", "mu", "logvar")),
        Cut(
            "scgan/E_discriminators",
            "scgan",
            inputs=("label", "fake"),
            parts={name: (name, FIRST) for name in DISCRIMINATORS},
            weights=(r"(?:multiscale|fpse)/.*",),
        ),
    ),
    "sdm": (
        Cut(
            "sdm/E_units",
            "sdm",
            inputs=(r"in/(?:x|emb|seg_u8|m1|m2|l1|l2|px|inst_u8)",),
            results=(
                r"out/(?:spade_gn|spade_gn_zero|sdm_skip1x1|sdm_up|sdm_noscaleshift|res_down|attn_legacy|attn_new)",
                r"out/(?:temb_(?:7|8|8_float)|betas_(?:cosine_1000|linear_50)|normal_kl|disc_ll|edges_u8)",
                r"out/resp_(?:8|ddim25)/.*",
            ),
            weights=(r"(?:spade_gn|sdm_skip1x1|sdm_up|sdm_noscaleshift|res_down|attn_legacy|attn_new)/.*",),
        ),
        Cut(
            "sdm/S_sampling_8steps",
            "sdm",
            inputs=(r"in/toy_(?:label_u8|x_T)",),
            results=(
                r"out/toy/(?:ddpm_8|ddim_ddim25|ddpm_50_fixedlarge)/(?:sample|timestep_map)",
                r"out/toy/ddpm_sections_10,15,20/(?:sample|timestep_map)",
            ),
            parts={"in/toy_step_noise": ("in/toy_step_noise", (slice(0, 50),))},
        ),
    ),
    "sg2im": (
        Cut(
            "sg2im/E_units",
            "sg2im",
            inputs=(
                r"gconv/(?:edges|\w+_vecs)",
                r"layout/(?:boxes|masks|masks01|obj_to_img|vecs|grad_weight)",
                "refine/batch/layout",
            ),
            results=(
                r"gconv/(?:avg_batch|sum_none|net3)/.*",
                r"layout/(?:ac[01]/.*|grid)",
                r"refine/batch/.*(?:out|running_\w+)",
            ),
            weights=(r"gconv/(?:avg_batch|sum_none|net3)/.*", r"refine/batch/.*"),
        ),
    ),
    "sean": (
        Cut(
            "sean/E_units",
            "sean",
            inputs=(
                r"in/(?:x4|x6|img|label_u8|overlap_u8|style_codes)",
                r"in/noise/(?:ace_rgb|ace_spade5x5inst|bi_ACE_[01]|bp_ACE_[01s])",
            ),
            results=(
                r"(?:eval|train)/(?:ace_rgb|ace_spade5x5inst|block_identity|block_plain_nospectral|D_layers3.*)",
                r"eval/ace_rgb_(?:overlap|ui_mode)",
                r"train/buffer/(?:ace_rgb|ace_spade5x5inst|block_identity|block_plain_nospectral)\..*",
            ),
            weights=(r"(?:ace_rgb|ace_spade5x5inst|block_identity|block_plain_nospectral|D_layers3)/.*",),
        ),
    ),
    "segvae": (
        Cut(
            "segvae/E_bn_nosn",
            "segvae",
            parts={
                **sample_of_segvae("label_set", "noise_prior", "feat", "step0.embed_label_set", "step0.embed_y"),
                **sample_of_segvae(
                    "z_prior", "mu_prior", "logvar_prior", "h_prior_final", "c_prior_final", "label_map"
                ),
                **sample_of_segvae("step0.dec_layer_in"),
                "labelset.step0.feat": ("labelset.feat", (0, *FIRST)),
                "labelset.step0.dec_out_s8": ("labelset.step0.dec_out", (*FIRST, *EVERY_8TH)),
                "labelset.gen_s8": ("labelset.gen", (*FIRST, *EVERY_8TH)),
            },
            weights=(r"shapeD\..*", r"prior\..*", r"shapeE\.layer.*"),
            stand_ins=("labelset.feat", "labelset.step0.embed_label_set", "labelset.step0.embed_y"),
        ),
    ),
    "sims": (
        Cut(
            "sims/A_order",
            "sims",
            parts={
                name: (name, TWO_ROWS)
                for name in ("in/data_u8", "out/scores", *(f"out/g_selection_{n}" for n in ("conv5", "conv6", "pool6")))
            },
            weights=(".*",),
        ),
        Cut("sims/E_spatial_transformer", "sims", inputs=(r"\d/in/.*",), results=(r"\d/out/.*",)),
    ),
    "spade": (
        Cut(
            "spade/E_units",
            "spade",
            inputs=(r"in/(?:x6|label_u8|mu|logvar|instance_u8)",),
            results=(
                r"(?:eval|train)/(?:block_shortcut|spade_instance)",
                r"train/buffer/block_shortcut\..*",
                r"unit/.*",
            ),
            weights=(r"block_shortcut\..*", r"spade_instance\..*"),
        ),
    ),
}
"""Folder below `data` -> its cases."""


def chosen(names: Iterable[str], patterns: Iterable[str]) -> list[str]:
    """The names that fit a pattern. Raises ValueError for a pattern that fits none."""
    names, found = list(names), []
    for pattern in patterns:
        fit = [name for name in names if re.fullmatch(pattern, name)]
        if not fit:
            raise ValueError(f"no tensor is called {pattern}; expected one of {', '.join(names)}")
        found += fit
    return found


def tensors(cut: Cut, recorded: dict[str, Tensor]) -> dict[str, Tensor]:
    """What of `io.safetensors` travels."""
    found = {name: recorded[name] for name in chosen(recorded, (*cut.inputs, *cut.results))}
    return found | {name: recorded[source][index].contiguous() for name, (source, index) in cut.parts.items()}


def described(cut: Cut, case: dict[str, Any]) -> dict[str, Any]:
    """`case.json` without the list of shapes, which the files have, and with a word on what was cut."""
    kept = {k: v for k, v in case.items() if k not in ("shapes", "tensors_in_io")}
    kept = json.loads(json.dumps(kept).replace(" (see dossier)", ""))  # which does not travel
    parts = {name: source for name, (source, _) in cut.parts.items()}
    note = {"from": cut.source, "by": "tests/golden/travel.py", "weights": cut.weights, "parts": parts}
    return {**kept, "cut": {**note, "stand_ins": cut.stand_ins}}


def make(cut: Cut, golden: Path, folder: Path) -> None:
    """Writes a travelling case. golden: the folder of all recorded cases."""
    source = golden / cut.source
    folder.mkdir(parents=True, exist_ok=True)
    save_file(tensors(cut, load_file(source / "io.safetensors")), folder / "io.safetensors")
    if cut.weights:
        weights = load_file(source / "weights.safetensors")
        save_file({k: weights[k] for k in chosen(weights, cut.weights)}, folder / "weights.safetensors")
    case = json.loads((source / "case.json").read_text())
    (folder / "case.json").write_text(json.dumps(described(cut, case), indent=1) + "\n")


def make_all(golden: Path, out: Path) -> dict[str, int]:
    """Writes all travelling cases; bytes by system."""
    for system, cuts in CUTS.items():
        for cut in cuts:
            make(cut, golden, out / system / cut.name)
    return {system: size(out / system) for system in CUTS}


def size(folder: Path) -> int:
    """Bytes of all files in a folder."""
    return sum(f.stat().st_size for f in folder.rglob("*") if f.is_file())


if __name__ == "__main__":
    shared = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parents[3] / "shared"
    for system, count in make_all(shared / "golden", Path(sys.argv[2]) if len(sys.argv) > 2 else DATA).items():
        print(f"{system}: {count} of {LIMIT} bytes")
