"""The contract of the zoo, held by every first-party architecture and by the test plugin `pets`, each as small as it can be."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

import pytest
from thirdparty import write_metadata
from torch import Tensor

from zoo import cards, registry
from zoo.families.spade import official_keys
from zoo.interfaces.models import Model
from zoo.testing import ModelContract
from zoo_plugins.ca2sis import official as ca2sis
from zoo_plugins.cc_fpse import official as cc_fpse
from zoo_plugins.clade import official as clade
from zoo_plugins.clvae import official as clvae
from zoo_plugins.crn import official as crn
from zoo_plugins.dmit import official as dmit
from zoo_plugins.groupdnet import official as groupdnet
from zoo_plugins.inade import official as inade
from zoo_plugins.mask_vae import official as mask_vae
from zoo_plugins.maskgan import official as maskgan
from zoo_plugins.maskgan import vae_official as maskgan_vae
from zoo_plugins.munit import official as munit
from zoo_plugins.munit.model import MUNIT, NAMES
from zoo_plugins.oasis import official as oasis
from zoo_plugins.pix2pixhd import official as pix2pixhd
from zoo_plugins.scgan import official as scgan
from zoo_plugins.sdm import official as sdm
from zoo_plugins.sdm.config import SDMSampling
from zoo_plugins.sean import official as sean
from zoo_plugins.segvae import official as segvae
from zoo_plugins.sims import official as sims

GAN = {"perceptual": "none", "ndf": 4, "n_layers_d": 3}


def renamed(prefix: str, names: Any, model: Model) -> dict[str, Tensor]:
    """The tensors under `prefix.` by their official names; names: (role, keys) -> {ours: theirs}."""
    state = {k.removeprefix(f"{prefix}."): v for k, v in model.state_dict().items() if k.startswith(f"{prefix}.")}
    theirs = names(prefix, state)
    return {theirs[key]: value for key, value in state.items()}


class Gan(ModelContract):
    """What SPADE's descendants share: networks that are named by their official files."""

    training: ClassVar[Mapping[str, Any]] = GAN
    official_names: ClassVar[Any] = staticmethod(official_keys.official_names)

    def official(self, model: Model) -> Mapping[str, Mapping[str, Tensor]]:
        roles = [role for role in ("generator", "encoder") if getattr(model, role) is not None]
        return {role: renamed(role, self.official_names, model) for role in roles}


class TestMaskAutoencoder(ModelContract):
    architecture = "mask-autoencoder"
    config: ClassVar[Mapping[str, Any]] = {"label_space": "celebamask-hq", "side": 32, "width": 8, "code": 8}


class TestShapePredictor(ModelContract):
    architecture = "shape-predictor"
    config: ClassVar[Mapping[str, Any]] = {"label_space": "celebamask-hq", "side": 32, "width": 8}


class TestMobileParser(ModelContract):
    architecture = "mobile-parser"
    config: ClassVar[Mapping[str, Any]] = {"label_space": "celebamask-hq", "side": 32, "width": 8}
    training: ClassVar[Mapping[str, Any]] = {"backbone": "none"}


# --- pictures of maps -------------------------------------------------------------------------------------------------


class TestScgan(Gan):
    architecture = "scgan"
    config: ClassVar[Mapping[str, Any]] = {
        "resolution": 32, "ngf": 2, "nff": 2, "nrf": 2, "spade_hidden": 4, "z_dim": 6, "nef": 2, "encoder_size": 32,
    }  # fmt: skip
    official_names = staticmethod(scgan.official_names)


class TestSpade(Gan):
    architecture = "spade"
    config: ClassVar[Mapping[str, Any]] = {
        "label_space": "celebamask-hq", "resolution": 32, "ngf": 2, "spade_hidden": 4, "use_vae": True, "z_dim": 6, "nef": 2,
        "encoder_size": 32,
    }  # fmt: skip


class TestSpadeWithoutStyle(TestSpade):
    """Without the encoder, with edges between instances."""

    config: ClassVar[Mapping[str, Any]] = {**TestSpade.config, "use_vae": False, "edges": True}


class TestFiner(Gan):
    """Grown by a block, without a base: all of it is in its file."""

    architecture = "spade-finer"
    config: ClassVar[Mapping[str, Any]] = {**TestSpade.config, "resolution": 64}

    def official(self, model: Model) -> Mapping[str, Mapping[str, Tensor]]:
        return {}


class TestClade(Gan):
    architecture = "clade"
    config: ClassVar[Mapping[str, Any]] = {
        "label_space": "celebamask-hq", "resolution": 32, "ngf": 2, "use_vae": True, "z_dim": 6, "nef": 2, "encoder_size": 32,
    }  # fmt: skip
    official_names = staticmethod(clade.official_names)


class TestCladeIcpe(TestClade):
    """With positions and edges, without style."""

    config: ClassVar[Mapping[str, Any]] = {
        **TestClade.config,
        "resolution": 64,
        "use_vae": False,
        "edges": True,
        "positions": True,
    }


class TestClvae(Gan):
    architecture = "clvae"
    config: ClassVar[Mapping[str, Any]] = {
        "label_space": "celebamask-hq", "resolution": 32, "ngf": 2, "spade_hidden": 4, "z_dim": 6, "z_dim_local": 4, "nef": 2,
        "encoder_size": 128,
    }  # fmt: skip
    official_names = staticmethod(clvae.official_names)
    inference_tolerance = 5e-5  # rounding alone (none is left in float64): random weights are steeper than trained ones


class TestOasis(Gan):
    architecture = "oasis"
    config: ClassVar[Mapping[str, Any]] = {
        "label_space": "celebamask-hq", "resolution": 64, "ngf": 2, "spade_hidden": 4, "z_dim": 6,
    }  # fmt: skip
    official_names = staticmethod(oasis.official_names)


class TestOasisWithoutNoise(TestOasis):
    """Nothing random: no style."""

    config: ClassVar[Mapping[str, Any]] = {**TestOasis.config, "use_noise": False}


class TestInade(Gan):
    architecture = "inade"
    config: ClassVar[Mapping[str, Any]] = {
        "label_space": "celebamask-hq", "resolution": 32, "ngf": 2, "z_dim": 6, "noise_dim": 4, "instances": 2,
    }  # fmt: skip
    training: ClassVar[Mapping[str, Any]] = {**GAN, "feature_layers_from": 1}
    official_names = staticmethod(inade.official_names)


class TestInadeWithoutEncoder(TestInade):
    """Codes from the prior alone."""

    config: ClassVar[Mapping[str, Any]] = {**TestInade.config, "use_vae": False}


class TestCcfpse(Gan):
    """`unused`: batch norms of the authors' checkpoints that nothing reads."""

    architecture = "cc-fpse"
    config: ClassVar[Mapping[str, Any]] = {
        "label_space": "celebamask-hq", "resolution": 64, "ngf": 2, "hidden": 4, "z_dim": 6, "nef": 2, "encoder_size": 64,
    }  # fmt: skip
    official_names = staticmethod(cc_fpse.official_names)
    dead_parameters = frozenset({"model.generator.*unused.*"})


class TestCcfpseWithoutStyle(TestCcfpse):
    """Without the encoder, with edges between instances."""

    config: ClassVar[Mapping[str, Any]] = {**TestCcfpse.config, "use_vae": False, "edges": True}


class TestGroupdnet(Gan):
    """`up_4`: a block of the authors' ADE20K checkpoints that nothing reads."""

    architecture = "groupdnet"
    config: ClassVar[Mapping[str, Any]] = {
        "label_space": "celebamask-hq", "network": "ade20k", "resolution": 64, "ngf": 2, "encoder_width": 19, "upsampling": "normal",
    }  # fmt: skip
    official_names = staticmethod(groupdnet.official_names)
    dead_parameters = frozenset({"model.generator.up_4.*"})


class TestCa2sis(ModelContract):
    architecture = "ca2sis"
    config: ClassVar[Mapping[str, Any]] = {
        "resolution": 32, "layout_side": 16, "latent": 16, "width": 16, "widths": (16, 8, 8, 8), "groups": 4, "heads": (2, 2, 2, 1),
        "head_sizes": (8, 8, 8, 8), "self_attention": 1, "style_features": 1, "style_layers": 3, "style_dim": 5,
    }  # fmt: skip
    training: ClassVar[Mapping[str, Any]] = GAN

    def official(self, model: Model) -> Mapping[str, Mapping[str, Tensor]]:
        return {"generator": {ca2sis.official_name(k): v for k, v in model.state_dict().items()}}


class TestSean(ModelContract):
    """Of few classes and four pixels at the coarsest scale, so that two training steps show the classes everywhere."""

    architecture = "sean"
    config: ClassVar[Mapping[str, Any]] = {
        "label_space": "pascal-person-part", "resolution": 128, "ngf": 2, "spade_hidden": 4, "style_dim": 12, "style_width": 2,
    }  # fmt: skip
    training: ClassVar[Mapping[str, Any]] = {**GAN, "batch_size": 3}
    # a norm without style has the two numbers that would mix one in; no sample shows the last class, and there are 19 layers for seven
    dead_parameters = frozenset(
        {"model.generator.up_3.norm_?.blending_*", *(f"model.generator.*.style.regions.{i}.*" for i in range(6, 19))}
    )

    def official(self, model: Model) -> Mapping[str, Mapping[str, Tensor]]:
        state = model.state_dict()
        names = sean.official_names("generator", state)
        return {"generator": {names[k]: v for k, v in state.items()}}


class TestPix2pixhd(ModelContract):
    architecture = "pix2pixhd"
    config: ClassVar[Mapping[str, Any]] = {
        "label_space": "celebamask-hq", "edges": True, "resolution": 32, "aspect_ratio": 1.0, "ngf": 4, "n_downsample_global": 2,
        "n_blocks_global": 1, "features": "instance", "instances": 3, "nef": 2, "n_downsample_e": 1,
    }  # fmt: skip
    training: ClassVar[Mapping[str, Any]] = GAN | {"n_clusters": 2}

    def official(self, model: Model) -> Mapping[str, Mapping[str, Tensor]]:
        roles = [role for role in ("generator", "encoder") if getattr(model, role) is not None]
        return {role: renamed(role, pix2pixhd.official_names, model) for role in roles}


class TestPix2pixhdLocal(TestPix2pixhd):
    """With a local enhancer, without features: the picture is a function of the map."""

    config: ClassVar[Mapping[str, Any]] = {
        **TestPix2pixhd.config, "generator": "local", "n_blocks_local": 1, "features": "none",
    }  # fmt: skip


class TestMaskgan(ModelContract):
    architecture = "maskgan"
    config: ClassVar[Mapping[str, Any]] = {
        "resolution": 32, "ngf": 4, "n_downsample_global": 2, "n_blocks_global": 2, "style_width": 2,
    }  # fmt: skip
    training: ClassVar[Mapping[str, Any]] = GAN

    def official(self, model: Model) -> Mapping[str, Mapping[str, Tensor]]:
        return {"generator": renamed("generator", maskgan.official_names, model)}


class TestMaskganEditing(TestMaskgan):
    """Stage 2: its maps edited by the published mask-vae, the blender beside the discriminator."""

    training: ClassVar[Mapping[str, Any]] = {**GAN, "stage": 2, "mask_vae": "mask-vae-celeba", "blender_width": 2}


class TestCrn(ModelContract):
    architecture = "crn"
    config: ClassVar[Mapping[str, Any]] = {
        "label_space": "celebamask-hq", "resolution": 32, "aspect_ratio": 1.0, "widths": (8, 8, 6, 6), "outputs": 3,
    }  # fmt: skip
    training: ClassVar[Mapping[str, Any]] = {"perceptual": "none"}

    def official(self, model: Model) -> Mapping[str, Mapping[str, Tensor]]:
        keys = {k.removeprefix("generator."): v for k, v in model.state_dict().items()}
        kernels = {k: v.permute(2, 3, 1, 0).contiguous() if v.dim() == 4 else v for k, v in keys.items()}
        return {"generator": {crn.official_name(k): v for k, v in kernels.items()}}


class TestCrnOfOnePicture(TestCrn):
    config: ClassVar[Mapping[str, Any]] = {**TestCrn.config, "outputs": 1}


class TestCimle(TestCrn):
    architecture = "cimle"
    config: ClassVar[Mapping[str, Any]] = {
        "label_space": "celebamask-hq", "resolution": 32, "aspect_ratio": 1.0, "widths": (8, 8, 6, 6), "noise": 3, "encoder_width": 5,
    }  # fmt: skip
    training: ClassVar[Mapping[str, Any]] = {"perceptual": "none", "candidates": 2, "epoch_images": 3, "epoch_items": 4}


class TestSdm(ModelContract):
    """With guidance and borders of labels; attention at two levels of three."""

    architecture = "sdm"
    config: ClassVar[Mapping[str, Any]] = {
        "label_space": "celebamask-hq", "edges": "labels", "resolution": 16, "width": 8, "channel_mult": (1, 1, 2), "attention": (2, 4),
        "res_blocks": 1, "head_channels": 4, "groups": 4, "spade_hidden": 8,
    }  # fmt: skip
    options = SDMSampling(steps=4)

    def official(self, model: Model) -> Mapping[str, Mapping[str, Tensor]]:
        return {"unet": renamed("unet", sdm.official_names, model)}


class TestSdmOfFixedVariance(TestSdm):
    """DDIM with noise; convolutions halve and double, the time is added, three output channels, another order of attention."""

    config: ClassVar[Mapping[str, Any]] = {
        **TestSdm.config, "edges": "instances", "resblock_updown": False, "scale_shift": False, "learn_sigma": False, "new_attention_order": True,
        "diffusion_steps": 50, "noise_schedule": "cosine", "dropout": 0.1,
    }  # fmt: skip
    options = SDMSampling(spacing="ddim5", sampler="ddim", eta=0.5, guidance=2.0)


class TestSims(ModelContract):
    """With the authors' slips, a doubling, and a void class."""

    architecture = "sims"
    config: ClassVar[Mapping[str, Any]] = {
        "resolution": 128, "aspect_ratio": 1.0, "scale": 1, "widths": (6, 6, 8, 8), "transform_widths": (4, 4, 6, 8),
        "order_widths": (4, 4, 6, 8, 12), "segment_pixels": 20, "bands": (3, 6, 4, 8),
    }  # fmt: skip
    training: ClassVar[Mapping[str, Any]] = {"perceptual": "none", "order_lr": 1e-4, "growth": ()}

    def official(self, model: Model) -> Mapping[str, Mapping[str, Tensor]]:
        files: dict[str, dict[str, Tensor]] = {role: {} for role in sims.ROLES}
        for key, value in model.state_dict().items():
            role, _, name = key.partition(".")
            turned = value.T if value.dim() == 2 else value.permute(2, 3, 1, 0) if value.dim() == 4 else value
            files[role][sims.official_name(name)] = turned.contiguous()
        return files


class TestSimsOfFaces(TestSims):
    """As the authors mean it, no doubling, every class a segment's."""

    config: ClassVar[Mapping[str, Any]] = {
        **TestSims.config, "label_space": "celebamask-hq", "void": "", "resolution": 64, "scale": 0, "parity": False,
        "order_columns": 1.0, "ragged": ("hair",), "standing": ("hat",),
    }  # fmt: skip


# --- maps of label sets -----------------------------------------------------------------------------------------------


class TestMaskVae(ModelContract):
    architecture = "mask-vae"
    config: ClassVar[Mapping[str, Any]] = {
        "latent": 16, "encoder_side": 16, "encoder_widths": (32, 24), "decoder_width": 16, "decoder_widths": (16, 8), "groups": 4,
    }  # fmt: skip
    training: ClassVar[Mapping[str, Any]] = {"prior_components": 4, "adversarial": True, "ndf": 8}

    def official(self, model: Model) -> Mapping[str, Mapping[str, Tensor]]:
        return {"generator": {mask_vae.official_name(k): v for k, v in model.state_dict().items()}}


class TestMaskganVae(ModelContract):
    architecture = "maskgan-vae"
    config: ClassVar[Mapping[str, Any]] = {"ngf": 3, "ndf": 3, "latent": 6, "halvings": 3}

    def official(self, model: Model) -> Mapping[str, Mapping[str, Tensor]]:
        names = maskgan_vae.official_names(list(model.state_dict()))
        return {"generator": {names[k]: v for k, v in model.state_dict().items()}}


class TestSegvae(ModelContract):
    architecture = "segvae"
    config: ClassVar[Mapping[str, Any]] = {"size": 16, "ngf": 4, "shape_dim": 12, "hidden_dim": 8, "z_dim": 6}

    def official(self, model: Model) -> Mapping[str, Mapping[str, Tensor]]:
        stages = len(model.config.stages)
        return {"checkpoint": {segvae.official_name(k, stages): v for k, v in model.state_dict().items()}}


class TestCvaeSep(ModelContract):
    architecture = "cvae-sep"
    config = TestSegvae.config


class TestCvaeGlobal(ModelContract):
    architecture = "cvae-global"
    config = TestSegvae.config


class TestSg2im(ModelContract):
    """With relations, so that all of the graph network is in use."""

    architecture = "sg2im"
    variant = "celeba"
    config: ClassVar[Mapping[str, Any]] = {
        "height": 32, "width": 32, "mask_size": 8, "embedding_dim": 6, "gconv_dim": 8, "gconv_hidden_dim": 10, "gconv_layers": 3,
        "refinement_dims": (8, 6, 4), "noise_dim": 2,
    }  # fmt: skip
    training: ClassVar[Mapping[str, Any]] = {
        "d_object": "C4-4-2,C4-6-2", "d_picture": "C4-4-2,C4-6-2", "crop_size": 16, "relations": True, "lambda_predicate": 0.1,
    }  # fmt: skip
    # the last row is nobody's, and the authors' picture discriminator never calls its last layer
    dead_parameters = frozenset({"pictures.classifier.*"})

    def build(self) -> Model:
        """With masks that are seen: what is drawn at random lies below a half everywhere."""
        model: Any = super().build()
        model.generator.mask_net[-1].bias.fill_(1.0)
        return model

    def official(self, model: Model) -> Mapping[str, Mapping[str, Tensor]]:
        return {"generator": {k.removeprefix("generator."): v for k, v in model.state_dict().items()}}


class TestSg2imImage(TestSg2im):
    architecture = "sg2im-image"


# --- label sets to pictures, pictures to maps -------------------------------------------------------------------------


class TestCgan(ModelContract):
    architecture = "cgan"
    config: ClassVar[Mapping[str, Any]] = {"side": 32, "width": 4, "z_dim": 8, "embed_dim": 8, "attention": 16}
    training: ClassVar[Mapping[str, Any]] = {"ndf": 4, "attention_d": 16}


class TestFaceParser(ModelContract):
    architecture = "face-parser"
    config: ClassVar[Mapping[str, Any]] = {"side": 32, "feature_scale": 32}

    def official(self, model: Model) -> Mapping[str, Mapping[str, Tensor]]:
        return {"parser": {k.removeprefix("unet."): v for k, v in model.state_dict().items()}}


class TestLiteParser(ModelContract):
    architecture = "lite-parser"
    config: ClassVar[Mapping[str, Any]] = {"side": 32, "widths": (8, 8, 8, 8)}
    training: ClassVar[Mapping[str, Any]] = {"pretrained": False}


# --- photos to photos of another domain -------------------------------------------------------------------------------


class TestMunit(ModelContract):
    architecture = "munit"
    config: ClassVar[Mapping[str, Any]] = {"resolution": 32, "dim": 2, "mlp_dim": 6, "style_dim": 3, "n_res": 1}
    training: ClassVar[Mapping[str, Any]] = {
        "ndf": 2, "n_layer": 2, "num_scales": 2, "load_size": 32, "recon_x_cyc_w": 1.0, "batch_size": 4,
    }  # fmt: skip

    def official(self, model: Model) -> Mapping[str, Mapping[str, Tensor]]:
        assert isinstance(model, MUNIT)
        parts = {n: munit.written(model.generators[n], model.generators[n].state_dict()) for n in NAMES}
        return {"generator": {f"{name}.{key}": value for name, part in parts.items() for key, value in part.items()}}


class TestDmit(ModelContract):
    """Of three domains."""

    architecture = "dmit"
    config: ClassVar[Mapping[str, Any]] = {
        "channels": ("A", "B", "C"), "resolution": 32, "width": 4, "style_dim": 3, "content_blocks": 1, "style_blocks": 3, "decoder_blocks": 1,
    }  # fmt: skip
    training: ClassVar[Mapping[str, Any]] = {"batch_size": 3, "ndf": 4, "content_disblocks": 2, "image_disblocks": 2}

    def official(self, model: Model) -> Mapping[str, Mapping[str, Tensor]]:
        return {role: renamed(role, dmit.official_names, model) for role in list(dmit.FILES.values())[:3]}


class TestDmitOfBatchNorms(TestDmit):
    """CBBN, nearest doublings, one discriminator of pictures, averaged weights."""

    config: ClassVar[Mapping[str, Any]] = {
        **TestDmit.config,
        "channels": ("A", "B"),
        "norm": "cbbn",
        "upsampling": "nearest",
    }
    training: ClassVar[Mapping[str, Any]] = {
        **TestDmit.training, "batch_size": 4, "same_discriminator": True, "lambda_div": 0.0, "lambda_cyc": 0.0, "ema": 0.5,
        "image_gan_mode": "ls",
    }  # fmt: skip

    def official(self, model: Model) -> Mapping[str, Mapping[str, Tensor]]:
        def names(role: str, keys: Any) -> Any:
            return dmit.official_names(role, keys, upsampling="nearest")

        return {role: renamed(role, names, model) for role in list(dmit.FILES.values())[:3]}


class TestScganUnpaired(ModelContract):
    """Our reading; with the way back."""

    architecture = "scgan-unpaired"
    config: ClassVar[Mapping[str, Any]] = {
        "resolution": 32, "ngf": 2, "nff": 2, "nrf": 2, "spade_hidden": 4, "z_dim": 6, "nef": 2, "encoder_size": 32,
    }  # fmt: skip
    training: ClassVar[Mapping[str, Any]] = {**GAN, "batch_size": 4, "lambda_cyc": 10.0}


# --- a third party's --------------------------------------------------------------------------------------------------


@pytest.fixture(scope="class")
def pets(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """`tests/pets` as an installed plugin."""
    site = tmp_path_factory.mktemp("site")
    write_metadata(site, "pets-dist", "pets:plugin")
    sys.path.insert(0, str(site))
    importlib.invalidate_caches()
    _forget()
    yield
    sys.path.remove(str(site))
    _forget()


def _forget() -> None:
    registry.reset()
    cards.all_cards.cache_clear()


@pytest.mark.usefixtures("pets")
class TestPetMaps(ModelContract):
    architecture = "pet-maps"
    config: ClassVar[Mapping[str, Any]] = {"side": 16}
    data = "drawn-pets:8"

    def official(self, model: Model) -> Mapping[str, Mapping[str, Tensor]]:
        return {"generator": {"pet_map": model.state_dict()["planes.scores"]}}


@pytest.mark.usefixtures("pets")
class TestPetPaint(ModelContract):
    architecture = "pet-paint"
    config: ClassVar[Mapping[str, Any]] = {"side": 16}
