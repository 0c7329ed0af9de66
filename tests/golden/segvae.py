"""Replay of the golden cases of SegVAE: recorded weights through `official.py`, recorded noise, our steps, losses and optimizers.

Loaded by file path (see `replay.py`), so it imports nothing from its own folder. Whatever differs between cases is read from the case.
"""

from __future__ import annotations

import json
import re
import runpy
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from zoo.labels import numbered_space
from zoo.nn.spectral_fresh import FreshSpectralMixin
from zoo.registry import label_space
from zoo_plugins.segvae import losses, official
from zoo_plugins.segvae.config import CELEBA, HUMAN_PARSING, SegVAEConfig, SegVAETraining
from zoo_plugins.segvae.model import SegVAE
from zoo_plugins.segvae.steps import ClassStep, unroll
from zoo_plugins.segvae.trainer import SegVAETrainer

Result = dict[str, Tensor]
SPACES = {"celebamaskhq": ("celebamask-hq", CELEBA), "humanparsing": ("atr", HUMAN_PARSING)}


def _beside(name: str) -> Any:
    """The names of a module of this folder, run by its path."""
    return SimpleNamespace(**runpy.run_path(str(Path(__file__).with_name(f"{name}.py"))))


recorded = _beside("recorded")


def replay(case_dir: Path) -> Result:
    """Results of one case under their stored names; {} where a case stores no tensors."""
    if not (case_dir / "io.safetensors").exists():
        return {}
    case, io = json.loads((case_dir / "case.json").read_text()), recorded.load(case_dir / "io.safetensors")
    if not any(name.split(".")[-1] == "noise_prior" for name in io):
        return _beside("segvae_preprocess").replay_preprocess(case_dir)
    model = model_of(case_dir, case)
    if "noise_prior" in io:
        results: Result = {}
        threads = torch.get_num_threads()
        torch.set_num_threads(1)  # gradients that are 0 but for rounding (biases before norms) differ with the threads
        for mode in sorted({k.split(".")[0] for k in io if ".loss." in k}):
            with recorded.where_held():
                results |= _losses(model_of(case_dir, case), mode, case, io)
        torch.set_num_threads(threads)
    else:
        results = _inference(model, case, io)
    results |= _spectral(model, case)
    results |= {k: _strided(k, results) for k in io if re.fullmatch(r".+_s\d+", k) and k not in results}
    due = {k: v for k, v in results.items() if (k in io or "/" in k) and v is not None}
    return {k: v.to(io[k].dtype) if k in io else v for k, v in due.items() if k not in recorded.stand_ins(case)}


def _strided(name: str, results: Result) -> Tensor | None:
    """What `<name>_sK` means of the result <name>."""
    plain, stride = name.rsplit("_s", 1)
    return results[plain][..., :: int(stride), :: int(stride)] if plain in results else None


def config_of(case: dict[str, Any]) -> SegVAEConfig:
    """The case's config in our fields; official defaults where the case says nothing."""
    c = case.get("config", {})
    space, channels = SPACES.get(c.get("dataset", ""), ("", ()))
    order: tuple[str, ...] = ("order-1",)
    if len(channels) + 1 != c.get("label_nc", len(channels) + 1):
        space, channels = "numbered", tuple(f"label_{i}" for i in range(1, c["label_nc"]))
        order = channels
    if isinstance(case.get("order"), list):
        order = tuple(channels[i - 1] for i in case["order"])
    names = {"size": "size", "ngf": "ngf", "shape_dim": "shape_dim", "hidden_dim": "hidden_dim", "z_dim": "z_dim"}
    names |= {"enc_norm": "norm", "SN_eps": "sn_eps"}
    fields = {ours: c[theirs] for theirs, ours in names.items() if theirs in c}
    return SegVAEConfig(label_space=space, channels=channels, order=order, spectral=bool(c.get("use_sn", 1)), **fields)


def model_of(case_dir: Path, case: dict[str, Any]) -> SegVAE:
    """The case's weights in our network, in evaluation mode."""
    config, folder = config_of(case), case_dir
    if "weights_from" in case:
        folder = case_dir.parent / re.split(r"[\s/]", str(case["weights_from"]).strip())[0]
    numbered = config.label_space == "numbered"
    space = numbered_space(len(config.channels) + 1, background=True) if numbered else label_space(config.label_space)
    model = SegVAE(config, space)
    stages = len(config.stages)
    weights = load_file(folder / "weights.safetensors")
    weights = recorded.complete(case, weights, model.state_dict(), lambda key: official.official_name(key, stages))
    model.load_state_dict(official.convert({"checkpoint": weights}, config), strict=True)
    return model.eval()


def _layers(io: Result, classes: int) -> Tensor:
    """Multi-hot layers [B, N, R, R], or those of an integer label map, channel 0 emptied."""
    if "multihot" in io:
        return io["multihot"].float()
    label = io["label"].long()
    label = label[:, None] if label.dim() == 3 else label
    layers = torch.zeros(len(label), classes, *label.shape[-2:]).scatter_(1, label, 1.0)
    layers[:, 0] = 0.0
    return layers


def _noise(model: SegVAE, recorded: Tensor) -> Tensor:
    """Recorded draws [steps, B, Z] -> [B, C, Z] by channel."""
    by_channel = torch.empty_like(recorded).index_copy(0, torch.tensor(model.order) - 1, recorded)
    return by_channel.transpose(0, 1)


class Watch:
    """Collects what named modules put out, call by call."""

    def __init__(self, modules: dict[str, nn.Module]) -> None:
        self.seen: dict[str, list[Any]] = {name: [] for name in modules}
        self.handles = [m.register_forward_hook(self._keep(name)) for name, m in modules.items()]

    def _keep(self, name: str) -> Callable[..., None]:
        return lambda _module, _inputs, output: self.seen[name].append(output)

    def close(self) -> dict[str, list[Any]]:
        for handle in self.handles:
            handle.remove()
        return self.seen


def _watch(model: SegVAE) -> Watch:
    assert model.prior is not None and model.prior.lstm is not None and model.context.label_map is not None
    modules: dict[str, nn.Module] = {
        "embed_label_set": model.context.label_map.layers,
        "embed_y": model.context.target_map.layers,
        "post_conv": model.posterior.encoder,
        "lstm": model.prior.lstm,
    }
    modules |= {f"enc_layer{i + 1}": block for i, block in enumerate(model.context.encoder.blocks)}
    return Watch(modules)


def _finish(model: SegVAE, steps: list[ClassStep], pick: str) -> Tensor:
    """The soft shapes of all steps as [B, N, R, R], with the background by its rule."""
    side = model.config.size
    shapes = torch.zeros(len(steps[0].feat), len(steps) + 1, side, side)
    for step in steps:
        shape = step.shape(getattr(step, pick))
        if shape is not None:
            shapes[:, step.channel] = shape[:, 0].detach()
    return model.with_background(shapes)


def _codes(steps: list[ClassStep], head: str, suffix: str) -> Result:
    codes = [getattr(step, head) for step in steps]
    if any(code is None for code in codes):
        return {}
    fields = {"z": "z", "mu": "mu", "logvar": "log_var"}
    return {f"{k}_{suffix}": torch.stack([getattr(c, f) for c in codes]).detach() for k, f in fields.items()}


def _collect(model: SegVAE, steps: list[ClassStep], seen: dict[str, list[Any]]) -> Result:
    """Everything a pass can be asked for, under the names that the cases use."""
    results = {"feat": torch.stack([s.feat for s in steps]).detach(), "step0.feat": steps[0].feat.detach()}
    results |= _codes(steps, "prior", "prior") | _codes(steps, "posterior", "post")
    if seen["lstm"]:
        results["h_prior_final"], results["c_prior_final"] = (t.detach() for t in seen["lstm"][-1])
    if seen["post_conv"]:
        results["post_conv"] = torch.stack(seen["post_conv"]).detach()
    for name, outputs in seen.items():
        if name.startswith(("embed", "enc")) and outputs:
            results[f"step0.{name}"] = outputs[0].detach()
    return results


# --- inference -------------------------------------------------------------------------------------------------------


@torch.no_grad()
def _inference(model: SegVAE, case: dict[str, Any], io: Result) -> Result:
    """Every section: sampling from a label set, the code's mode "inference" on a map, its mode "train" without training."""
    results: Result = {}
    for section in sorted({k.split(".")[0] for k in io if "." in k}):
        text = str(case.get("sections", {}).get(section, ""))
        own = {k.split(".", 1)[1]: v for k, v in io.items() if k.startswith(section + ".")}
        whole = {"label_set", "multihot", "label"} & set(own)
        given = recorded.Recorded(own if whole else {**_inputs(text, io), **own})
        handles = _stand_in(model, case, section, own)
        with recorded.where_held():
            results |= {f"{section}.{k}": v for k, v in _section(model, text, own, given, case).items()}
        for handle in handles:
            handle.remove()
    return results


def _section(model: SegVAE, text: str, own: Result, given: Result, case: dict[str, Any]) -> Result:
    noise = _noise(model, given["noise_prior"])
    if "label_set" in given:
        return _sampled(model, given["label_set"], noise)
    forced = 'mode="train"' in text or "mode='train'" in text or "loss.KLD" in own
    layers = _layers(given, len(model.channels) + 1)
    if len(layers) != len(noise):
        raise recorded.Lacking("a map for every sample")  # that of another section
    noise_post = _noise(model, given["noise_post"]) if "noise_post" in given else None
    return _mapped(model, layers, noise, noise_post, case, forced=forced)


def _stand_in(model: SegVAE, case: dict[str, Any], section: str, own: Result) -> list[Any]:
    """In a case whose class and label-set planes have no weights: the recorded planes of step 0, and the recorded context codes from
    step 1 on. Hooks to remove."""
    given = {n.removeprefix(f"{section}.") for n in recorded.stand_ins(case) if n.startswith(f"{section}.")}
    places = {"step0.embed_label_set": model.context.label_map, "step0.embed_y": model.context.target_map}
    handles = [
        places[name].layers.register_forward_hook(lambda _m, _i, _out, name=name: own[name])
        for name in given & set(places)
    ]
    if "feat" in given:
        steps = iter(range(len(own["feat"])))

        def code(_module: nn.Module, _inputs: Any, computed: Tensor) -> Tensor:
            step = next(steps)
            return own["feat"][step] if step else computed

        handles.append(model.context.register_forward_hook(code))
    return handles


def _inputs(text: str, io: Result) -> Result:
    """What a section without inputs of its own is called with: those of the section that its text names, else of the only one
    with a map, else those that stand outside all sections."""
    named = re.findall(r"(\w+)\.(?:multihot|label|noise_\*)", text)
    withmap = sorted({k.split(".")[0] for k in io if k.endswith((".multihot", ".label"))})
    chosen = next((n for n in [*named, *withmap] if n in withmap), "")
    return {k.removeprefix(chosen + "."): v for k, v in io.items() if k.startswith(chosen)}


def _sampled(model: SegVAE, label_set: Tensor, noise: Tensor) -> Result:
    watch = _watch(model)
    steps = list(unroll(model, label_set, eps_prior=noise))
    results = _collect(model, steps, watch.close()) | _decoder(model, steps[0])
    results["gen"] = _finish(model, steps, "drawn")
    return results | {"label_map": results["gen"].argmax(1)}


def _decoder(model: SegVAE, step: ClassStep) -> Result:
    """The decoder's activations for the whole batch; the steps decode present samples alone."""
    assert step.prior is not None
    modules: dict[str, nn.Module] = {"dec_layer_in": model.decoder.input}
    modules |= {f"dec_layer{i + 1}": block for i, block in enumerate(model.decoder.blocks)}
    watch = Watch(modules)
    logits = model.decoder(step.feat, step.prior.z)
    return {f"step0.{k}": v[0] for k, v in watch.close().items()} | {"step0.dec_out": torch.sigmoid(logits)}


def _mapped(
    model: SegVAE, layers: Tensor, noise: Tensor, noise_post: Tensor | None, case: dict[str, Any], *, forced: bool
) -> Result:
    label_set = (layers.flatten(2).amax(2) > 0).float()
    watch = _watch(model)
    steps = list(unroll(model, label_set, truth=layers, forced=forced, eps_prior=noise, eps_posterior=noise_post))
    results = _collect(model, steps, watch.close())
    results["gen_prior"] = _finish(model, steps, "drawn")
    results["gen_label_map"] = results["gen_prior"].argmax(1)
    if noise_post is None:
        return results
    results["recon"] = _finish(model, steps, "rebuilt")
    results["recon_label_map"] = results["recon"].argmax(1)
    return results | (_terms(steps, layers, case) if forced else {})


# --- losses and one optimiser step -----------------------------------------------------------------------------------


def _terms(steps: list[ClassStep], layers: Tensor, case: dict[str, Any]) -> Result:
    """The losses of a teacher-forced pass: per class, averaged over the samples that have it, then summed."""
    nats, shape = layers.new_zeros(layers.shape[1]), layers.new_zeros(layers.shape[1])
    for step in steps:
        if step.rebuilt is None:
            continue
        q, p, share = step.posterior, step.prior, step.present / step.present.sum()
        assert q is not None and p is not None
        at = torch.tensor([step.channel])
        kl = losses.gaussian_kl(q.mu, q.log_var, p.mu, p.log_var)
        difference = losses.shape_difference(step.rebuilt, layers[:, step.channel, None])
        nats = nats.index_add(0, at, (kl * share).sum()[None])
        shape = shape.index_add(0, at, (difference * share).sum()[None])
    options, c = SegVAETraining(), case.get("config", {})
    kld = c.get("lambda_kl", options.lambda_kl) * nats.sum()
    recon = c.get("lambda_shape", options.lambda_shape) * shape.sum()
    named = {"loss.KLD": kld, "loss.recon_shape": recon, "loss.total": kld + recon}
    per_class = {"per_class.kld_unweighted": nats.detach(), "per_class.l1_unweighted": shape.detach()}
    return {k: v.reshape(1) for k, v in named.items()} | per_class


def _losses(model: SegVAE, mode: str, case: dict[str, Any], io: Result) -> Result:
    """One forward and backward in a mode; buffers and parameters afterwards (a step of the trainer's optimizers)."""
    model.train(mode == "train")
    layers = _layers(io, len(model.channels) + 1)
    noise, noise_post = _noise(model, io["noise_prior"]), _noise(model, io["noise_post"])
    with torch.enable_grad():
        results = _mapped(model, layers, noise, noise_post, case, forced=True)
        results["loss.total"].sum().backward()
    results |= {f"buffer_after.{_theirs(model, n)}": b.detach().clone() for n, b in _buffers(model)}
    grads = {_theirs(model, n): p.grad for n, p in model.named_parameters()}
    results |= {f"grad.{n}": g for n, g in grads.items() if g is not None}
    norms = case.get("grad_norms", {}).get(mode, {})
    zero = torch.zeros(())
    for optimizer in SegVAETrainer(model, SegVAETraining()).optimizers().values():
        optimizer.step()
    results |= {f"param_after_adam.{_theirs(model, n)}": p.detach() for n, p in model.named_parameters()}
    named = {f"{mode}.{k}": v.detach() for k, v in results.items()}
    found = {n: zero if grads.get(n) is None else torch.as_tensor(grads[n]).norm() for n in norms}
    return named | {f"grad_norms/{mode}/{n}": v for n, v in found.items()}


def _buffers(model: SegVAE) -> list[tuple[str, Tensor]]:
    return [(n, b) for n, b in model.named_buffers() if n in model.state_dict()]


def _theirs(model: SegVAE, key: str) -> str:
    return official.official_name(key, len(model.config.stages))


def _spectral(model: SegVAE, case: dict[str, Any]) -> Result:
    """The singular values that a case lists: one fresh iteration from u0, the exact one, and the stored log value."""
    results: Result = {}
    layers = {
        _theirs(model, f"{n}.weight").removesuffix(".weight"): m
        for n, m in model.named_modules()
        if isinstance(m, FreshSpectralMixin)
    }
    for name in case.get("spectral_norm", {}):
        layer = layers[name]
        with torch.no_grad():
            exact = torch.linalg.svdvals(layer.weight.flatten(1).double())[0]
            results[f"spectral_norm/{name}/eval_sigma"] = layer.sigma()
        results[f"spectral_norm/{name}/largest_singular_value"] = exact
        results[f"spectral_norm/{name}/sv0_buffer"] = layer.sv0[0]
    return results
