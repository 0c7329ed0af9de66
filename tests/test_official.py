"""Detection of the authors' checkpoints by keys and shapes: every system claims its own files, all of them, and no others."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from official_claims import claims, file_shapes, key_lists, networks

from zoo.checkpoints.variants import is_partial
from zoo.registry import Match, registry
from zoo_plugins.scgan import official as scgan

OWN = (
    "mask_vae",
    "face_parser",
    "segvae",
    "scgan",
    "spade",
    "clvae",
    "dmit",
    "munit",
    "oasis",
    "sean",
    "clade",
    "inade",
    "pix2pixhd",
    "crn",
    "cimle",
    "cc_fpse",
    "groupdnet",
    "sdm",
    "sims",
    "sg2im",
    "maskgan",
)
MULTISCALE = frozenset({"spade", "scgan", "clvae", "clade", "inade", "groupdnet"})
THREE_LAYERS = MULTISCALE | {"sean"}  # of at most 19 planes and a photo
ENCODER = frozenset({"spade", "scgan", "clade", "cc-fpse"})
FPSE = frozenset({"scgan", "cc-fpse"})


@pytest.fixture(scope="module")
def golden(shared: Path) -> Path:
    return shared / "golden"


# --- the authors' networks at full size ------------------------------------------------------------------------------

EXPECTED: dict[str, dict[str, tuple[frozenset[str], str]]] = {
    "mask_vae": {
        "mask-vae:": (frozenset({"mask-vae"}), "mask-vae/celeba"),
        "training only": (THREE_LAYERS | {"mask-vae"}, ""),
        "CA2SIS": (frozenset({"ca2sis"}), "ca2sis/celeba"),
    },
    "face_parser": {"official_keys": (frozenset({"face-parser"}), "face-parser/celeba")},
    "segvae": {
        "humanparsing": (frozenset({"segvae"}), "segvae/humanparsing"),
        "bn_nosn": (frozenset({"segvae"}), ""),
        "official_keys": (frozenset({"segvae"}), "segvae/celeba"),
    },
    "scgan": {
        "celeba/<epoch>_net_D": (MULTISCALE, "scgan/celeba"),
        "net_D": (FPSE, ""),
        "net_E": (ENCODER, "scgan/celeba"),
        "scgan_celeba/": (frozenset({"scgan"}), "scgan/celeba"),
        "scgan_ade20k/": (frozenset({"scgan"}), "scgan/ade20k"),
        "scgan_coco/": (frozenset({"scgan"}), "scgan/coco"),
    },
    "spade": {"net_D": (MULTISCALE, ""), "net_E": (ENCODER, "")}
    | {
        f"/{name.replace('-', '_')}/latest_net_G": (frozenset({"spade"}), f"spade/{name}")
        for name in ("coco", "ade20k", "cityscapes", "facades", "coco-vae", "ade20k-vae", "cityscapes-vae")
    },
    "clade": {"net_D": (MULTISCALE, ""), "net_E": (ENCODER, "")}
    | {
        f"/{name}/latest_net_G": (frozenset({"clade"}), f"clade/{name.replace('+', '-')}")
        for name in ("coco", "ade20k", "cityscapes", "coco+icpe", "ade20k+icpe", "cityscapes+icpe", "ade20k+vae")
    },
    "inade": {"net_D": (MULTISCALE, ""), "net_E": (frozenset({"inade"}), "")}
    | {
        f"/{name}/latest_net_G": (frozenset({"inade"}), f"inade/{name.replace('+', '-')}")
        for name in ("ade20k", "celeba", "cityscapes", "deepfashion", "deepfashion+sketch")
    },
    "pix2pixhd": {
        "label2city_512p/G": (frozenset({"pix2pixhd"}), "pix2pixhd/cityscapes-512"),
        "label2city_512p_feat/G": (frozenset({"pix2pixhd"}), "pix2pixhd/cityscapes-512-feat"),
        "label2city_512p_feat/E": (frozenset({"pix2pixhd"}), "pix2pixhd/cityscapes-512-feat"),
        "label2city_1024p/G": (frozenset({"pix2pixhd"}), "pix2pixhd/cityscapes-1024"),
        "label2city_1024p_feat/G": (frozenset({"pix2pixhd"}), "pix2pixhd/cityscapes-1024-feat"),
        "rgb_to_rgb_no_instance": (frozenset({"pix2pixhd"}), ""),
        "/": (frozenset({"pix2pixhd"}), ""),
    },
    "crn": {
        "result_256p": (frozenset({"crn"}), "crn/cityscapes-256"),
        "result_512p": (frozenset({"crn"}), "crn/cityscapes-512"),
        "result_1024p": (frozenset({"crn"}), "crn/cityscapes-1024"),
        "result_GTA": (frozenset({"crn"}), "crn/gta5-256"),
    },
    "cc_fpse": {
        "/ade20k_": (frozenset(), ""),  # lists of what differs from coco_vae
        "/cityscapes_": (frozenset(), ""),
        "coco_vae/G": (frozenset({"cc-fpse"}), "cc-fpse/coco"),
        "coco_vae/E": (ENCODER, ""),
        "coco_vae/D": (FPSE, ""),
    },
    "groupdnet": {"net_D": (MULTISCALE, "")}
    | {
        f"{n}/latest_net_{letter}": (frozenset({"groupdnet"}), f"groupdnet/{n}")
        for n in ("deepfashion", "cityscapes", "ade20k")
        for letter in "GE"
    },
    "sims": {
        "transform": (frozenset({"sims"}), "sims/cityscapes-512"),
        "order": (frozenset({"sims"}), "sims/cityscapes-512"),
        "synthesis_256_512": (frozenset({"sims"}), "sims/cityscapes-256"),
        "synthesis_512": (frozenset({"sims"}), "sims/cityscapes-512"),
        "synthesis_1024": (frozenset({"sims"}), "sims/cityscapes-1024"),
    },
    "maskgan": {
        "net_G": (frozenset({"maskgan"}), "maskgan/celeba"),
        "net_B": (frozenset({"maskgan"}), ""),
        "net_D": (frozenset({"maskgan", "pix2pixhd"}), ""),
        "VAE": (frozenset({"maskgan-vae"}), "maskgan-vae/celeba"),
    },
    "cimle": {"gta_demo": (frozenset({"cimle"}), "cimle/gta5")},
    "sg2im": {
        "coco64_no_gconv/model_state": (frozenset({"sg2im"}), "sg2im/coco64-no-gconv"),
        "no_masks": (frozenset({"sg2im"}), ""),
        "six_modules": (frozenset({"sg2im"}), ""),
        "coco64/model_state": (frozenset({"sg2im"}), "sg2im/coco64"),
        "vg64/model_state": (frozenset({"sg2im"}), ""),
        "/": (frozenset({"sg2im"}), ""),
    },
    "clvae": {"net_D": (MULTISCALE, ""), "net_E": (frozenset({"clvae"}), "")}
    | {f"/{n}/latest_net_G": (frozenset({"clvae"}), f"clvae/{n}") for n in ("ade20k", "deepfashion", "gta5")},
    "oasis": {
        f"/{n}/{file}": (frozenset({"oasis"}), f"oasis/{n}")
        for n in ("ade20k", "coco", "cityscapes")
        for file in ("G.pth", "D.pth")
    }
    | {"/ade20k_": (frozenset(), "")},  # lists of what differs from ade20k
    "dmit": {
        "cub_text": (frozenset(), ""),  # the text encoder, trained beforehand
        "season_transfer": (frozenset({"dmit"}), "dmit/yosemite"),
        "semantic_image_synthesis": (frozenset({"dmit"}), "dmit/birds"),
    },
    "munit": {
        "unit_gen": (frozenset(), ""),  # of the bundled UNIT, which is another system
        "gen_%08d": (frozenset({"munit"}), "munit/edges2shoes"),
        "dis_%08d": (frozenset({"munit"}), "munit/edges2shoes"),
        "vgg16": (frozenset(), ""),
    },
    "sdm": {"/ade20k": (frozenset({"sdm"}), "sdm/ade20k"), "other_configs": (frozenset(), "")},
    "sean": {"net_D": (THREE_LAYERS, "sean/celeba"), "net_G": (frozenset({"sean"}), "sean/celeba")},
}


@pytest.mark.parametrize("system", OWN)
def test_every_official_network_is_claimed_by_its_owners(golden: Path, system: str) -> None:
    """Key by key and shape by shape; the config is the variant's, but for the fields that no shape tells."""
    lists = key_lists(golden, system)
    seen = set()
    for where, shapes in lists.items():
        mark, (expected, variant) = next((m, e) for m, e in EXPECTED[system].items() if m in where)
        seen.add(mark)
        found = claims(shapes)
        assert {n for n, m in found.items() if m.complete} == expected, where
        counted = {k: v for k, v in shapes.items() if k != "epoch"}
        for name in expected:
            assert found[name].matched == len(counted) and found[name].ambiguous is not None
        if variant:
            match = found[variant.partition("/")[0]]
            _same_config(match, variant)
    assert seen == set(EXPECTED[system])


def _same_config(match: Match, variant: str) -> None:
    """The match's config is the variant's outside the ambiguous fields; a network's file tells no fields of other networks."""
    config = registry().variant(variant)[2].config
    read = type(config)(**match.config)
    told = {f.name for f in dataclasses.fields(config)} - set(match.ambiguous)
    if is_partial(match.role):
        told &= set(match.config)
    assert {f: getattr(read, f) for f in told} == {f: getattr(config, f) for f in told}, (variant, match.config)
    # the data sets of the papers are told by their number of classes
    assert read.label_space == config.label_space or match.role == "encoder"


# --- golden weights ---------------------------------------------------------------------------------------------------

FILES = {
    "mask_vae/A/weights.safetensors": {"mask-vae": "generator"},
    "mask_vae/A/official_checkpoint_latest_net_G.pth": {"mask-vae": "generator"},
    "mask_vae/C/weights.safetensors": {"mask-vae": "generator"},
    "mask_vae/C/weights_D.safetensors": dict.fromkeys(THREE_LAYERS | {"mask-vae"}, "discriminator"),
    "face_parser/A_unet/weights.safetensors": {"face-parser": "parser"},
    "face_parser/C_step/weights.safetensors": {"face-parser": "parser"},
    "segvae/A/weights.safetensors": {"segvae": "checkpoint"},
    "segvae/A/official_checkpoint.pth": {"segvae": "checkpoint"},
    "segvae/C_losses/weights.safetensors": {"segvae": "checkpoint"},
    "segvae/E_bn_nosn/weights.safetensors": {"segvae": "checkpoint"},
    "scgan/A_celeba256/weights.safetensors": {"scgan": "generator"},
    "scgan/A_celeba256/weights_E.safetensors": dict.fromkeys(ENCODER, "encoder"),
    "scgan/A_celeba256/weights_D.safetensors": dict.fromkeys(MULTISCALE, "discriminator"),
    "scgan/A_celeba256/official_checkpoint_latest_net_G.pth": {"scgan": "generator"},
    "scgan/B_coco128/weights.safetensors": {"scgan": "generator"},
    "scgan/C2_losses_fpse/weights_D.safetensors": dict.fromkeys(FPSE, "discriminator"),
    "groupdnet/A2_ade20k_c5/official_checkpoint_latest_net_G.pth": {"groupdnet": "generator"},
    "groupdnet/A2_ade20k_c5/official_checkpoint_latest_net_E.pth": {"groupdnet": "encoder"},
    "cc_fpse/B_normal_novae_celeba/official_checkpoint_latest_net_G.pth": {"cc-fpse": "generator"},
    "cc_fpse/B_normal_novae_celeba/official_checkpoint_latest_net_D.pth": dict.fromkeys(FPSE, "discriminator"),
    "spade/A_normal_celeba/official_checkpoint_latest_net_G.pth": {"spade": "generator"},
    "dmit/A_season/official_checkpoint_dec_latest.pth": {"dmit": "decoder"},
    "dmit/A_season/official_checkpoint_enc_content_latest.pth": {"dmit": "content_encoder"},
    "dmit/A_season/official_checkpoint_enc_style_latest.pth": {"dmit": "style_encoder"},
    "munit/A_translate/official_checkpoint_gen_00010000.pt": {"munit": "generator"},
    "munit/A_translate/official_checkpoint_dis_00010000.pt": {"munit": "discriminator"},
    "oasis/A_celeba_ks1/official_checkpoint_best_EMA.pth": {"oasis": "generator"},
    "clade/B_cityscapes_more_inst_icpe/official_checkpoint_latest_net_G.pth": {"clade": "generator"},
    "clade/B_cityscapes_more_inst_icpe/official_checkpoint_latest_net_D.pth": dict.fromkeys(
        MULTISCALE, "discriminator"
    ),
    "inade/A_celeba_encoder/official_checkpoint_latest_net_G.pth": {"inade": "generator"},
    "inade/A_celeba_encoder/official_checkpoint_latest_net_E.pth": {"inade": "encoder"},
    "inade/A_celeba_encoder/official_checkpoint_latest_net_D.pth": dict.fromkeys(MULTISCALE, "discriminator"),
    "pix2pixhd/A_global_edges_gta5/official_checkpoint_latest_net_G.pth": {"pix2pixhd": "generator"},
    "pix2pixhd/A_global_edges_gta5/official_checkpoint_latest_net_D.pth": {"pix2pixhd": "discriminator"},
    "maskgan/A_dmn/official_checkpoint_latest_net_G.pth": {"maskgan": "generator"},
    "maskgan/C_losses/official_checkpoint_latest_net_B.pth": {"maskgan": "blender"},
    "maskgan/C_losses/official_checkpoint_latest_net_D.pth": dict.fromkeys(("maskgan", "pix2pixhd"), "discriminator"),
    "maskgan/B_maskvae/weights.safetensors": {"maskgan-vae": "generator"},
    "clvae/A_deepfashion_more/official_checkpoint_latest_net_G.pth": {"clvae": "generator"},
    "clvae/A_deepfashion_more/official_checkpoint_latest_net_E.pth": {"clvae": "encoder"},
    "clvae/A_deepfashion_more/official_checkpoint_latest_net_D.pth": dict.fromkeys(MULTISCALE, "discriminator"),
    "sdm/A_celeba64/weights.safetensors": {"sdm": "unet"},
    "sdm/C_train/official_checkpoint_ema_0.9999_000002.pt": {"sdm": "unet"},
    "sims/A_order/weights.safetensors": {"sims": "order"},
    "sims/A_transform/weights.safetensors": {"sims": "transform"},
    "sims/A_synthesis_512style/weights.safetensors": {"sims": "synthesis"},
    "sims/C_synthesis_1024style/weights.safetensors": {"sims": "synthesis"},
    "sg2im/A_coco64/weights.safetensors": {"sg2im": "generator"},
    "sg2im/C_losses/weights_D_obj.safetensors": {"sg2im": "object-discriminator"},
    "sg2im/C_losses/weights_D_img.safetensors": {"sg2im": "picture-discriminator"},
    "sean/A_celeba96/weights.safetensors": {"sean": "generator"},
    "sean/C_losses/official_checkpoint_latest_net_G.pth": {"sean": "generator"},
    "sean/C_losses/official_checkpoint_latest_net_D.pth": dict.fromkeys(THREE_LAYERS, "discriminator"),
}


@pytest.mark.parametrize("file", FILES)
def test_golden_files(golden: Path, file: str) -> None:
    found = claims(file_shapes(golden / file))
    assert {name: match.role for name, match in found.items() if match.complete} == FILES[file]


@pytest.mark.parametrize(
    ("system", "least"), [("spade", 6), ("clvae", 6), ("clade", 3), ("inade", 3), ("pix2pixhd", 6)]
)
def test_golden_files_of_several_networks(golden: Path, system: str, least: int) -> None:
    """Files of all networks, apart; small sizes, `most` doublings, 1x1 kernels, edges, no batch norm."""
    count = 0
    roles = {"netG": "generator", "netE": "encoder", "netIE": "encoder", "netD": "discriminator"}
    for path in sorted((golden / system).glob("[A-C]*/weights.safetensors")):
        for name, shapes in networks(file_shapes(path)).items():
            if name in roles:
                match = claims(shapes)[system]
                assert match.complete and match.role == roles[name], (path, name, match)
                count += 1
    assert count >= least


def test_all_discriminators_of_scgan(golden: Path) -> None:
    shapes = file_shapes(golden / "scgan/E_discriminators/weights.safetensors")
    names = sorted({key.partition("/")[0] for key in shapes})
    assert names == ["fpse", "fpse_smooth", "fpsem", "multiscale", "routing", "selfrouting", "srouting"]
    for name in names:
        one = {k.partition("/")[2]: v for k, v in shapes.items() if k.startswith(f"{name}/")}
        match = scgan.detect(one)
        assert match is not None and match.complete and match.role == "discriminator", (name, match)
        assert match.config == {}, "19 classes, three candidates"
