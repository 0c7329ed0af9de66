"""The inference form of SegVAE (docs/papers/segvae.md, "Cost"): equal to the plain networks in evaluation mode, cheaper.

What is saved, all of it exactly: spectral norms (and batch norms) are folded into the weights; the first convolution, additive over
its planes, is kept as a running sum, to which a step adds the one canvas plane that changed; the target maps' responses are
tabulated, the label map's is computed once; steps that change nothing or that nobody reads run no encoder; the convolutions
to and from 1x1 are matrix products; weights are laid out for the CPU once, activations lie channels last.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from zoo.inference.packed import Packed, native, pack
from zoo.nn.spectral import fold_spectral
from zoo_plugins.segvae.networks import ContextEncoder, Posterior, Reads, ShapeDecoder, StridedEncoder, VectorMap
from zoo_plugins.segvae.products import (
    DoublingBlocks,
    FastPrior,
    RowLinear,
    StridedBlocks,
    plain_linear,
    worth_products,
)

if TYPE_CHECKING:
    from zoo_plugins.segvae.model import SegVAE

SLOPE = 0.2
ALONE = 1 << 18
"""From so many numbers on, samples are normalised one by one."""


class Activation(nn.Module):
    """LeakyReLU, after instance norm if `norm`; overwrites its input."""

    def __init__(self, norm: bool) -> None:
        super().__init__()
        self.norm = norm

    def forward(self, x: Tensor) -> Tensor:
        if not self.norm:
            return F.leaky_relu(x, SLOPE)
        if not native(x):
            return F.leaky_relu(F.instance_norm(x), SLOPE)
        b, c, h, w = x.shape
        if b > 1 and h * w * c >= ALONE and x.is_contiguous(memory_format=torch.channels_last):
            for sample in x.split(1):  # several passes over one sample, which stays in cache
                self(sample)
            return x
        rows = x.permute(0, 2, 3, 1).reshape(b, h * w, c)
        mean = rows.new_full((1, 1, h * w), 1 / (h * w)).expand(b, -1, -1)
        # twice: planes that are all but constant are common (early canvases), and one mean leaves a rounding of their size behind
        rows.sub_(torch.bmm(mean, rows)).sub_(torch.bmm(mean, rows))
        # by parts, and in place: what is slow about large planes is fresh memory
        variance = sum(torch.bmm(mean[..., : part.shape[1]], part.square()) for part in rows.split(1024, 1))
        assert isinstance(variance, Tensor)
        return F.leaky_relu_(rows.mul_(torch.rsqrt(variance + 1e-5)), SLOPE).view(b, h, w, c).permute(0, 3, 1, 2)


def _block(block: nn.Sequential) -> tuple[nn.Conv2d | nn.ConvTranspose2d, Activation]:
    """Convolution and activation of a block [convolution, norm?, LeakyReLU]; batch norm goes into the weights, and a bias that an
    instance norm takes away again is left out."""
    conv = block[0]
    assert isinstance(conv, nn.Conv2d | nn.ConvTranspose2d) and conv.bias is not None
    norm = block[1] if len(block) == 3 else None
    if isinstance(norm, nn.BatchNorm2d):
        assert norm.running_mean is not None and norm.running_var is not None
        scale = norm.weight * torch.rsqrt(norm.running_var + norm.eps)
        conv.weight.mul_(scale.view((-1, 1, 1, 1) if isinstance(conv, nn.Conv2d) else (1, -1, 1, 1)))
        conv.bias.sub_(norm.running_mean).mul_(scale).add_(norm.bias)
    elif norm is not None:
        conv.bias = None
    return conv, Activation(isinstance(norm, nn.InstanceNorm2d))


def _linear(weight: Tensor, bias: Tensor, kind: type[Packed] = Packed) -> nn.Module:
    """A packed linear layer with this weight [out, in] and bias [out]."""
    return kind(plain_linear(weight, bias))


class PlaneEncoder(nn.Module):
    """`StridedEncoder` in two halves: what each input plane adds to the first convolution's output, and all that follows.

    The sum before the first norm is kept as [B, (R/2)**2, f], pixels row-major; `centred`, without its mean over the pixels, which that
    norm takes away (early canvases are all but constant, and their means would cost digits).
    """

    planes: Tensor
    bias: Tensor

    def __init__(self, encoder: StridedEncoder, size: int, products: bool) -> None:
        """products: by `zoo_plugins.segvae.products`."""
        super().__init__()
        first, *others = (_block(block) for block in encoder.blocks)  # type: ignore[arg-type]
        conv, self.first = first
        self.centred = products
        self.side, self.out_features = size // 2, encoder.out.out_channels
        self.register_buffer("planes", conv.weight.detach().permute(1, 2, 3, 0).flatten(1, 2).contiguous())
        bias = conv.bias.detach() if conv.bias is not None else conv.weight.new_zeros(len(conv.weight))
        self.register_buffer("bias", bias.clone())
        # 4x4 to 1x1: a matrix product over the pixels of a channels-last tensor
        out, bias = encoder.out.weight.detach().permute(0, 2, 3, 1).flatten(1), encoder.out.bias.detach()  # type: ignore[union-attr]
        if products:
            self.first: nn.Module = nn.Identity()  # part of the blocks
            self.blocks: nn.Module = StridedBlocks([conv for conv, _ in others], self.side)  # type: ignore[misc]
            self.out = _linear(out, bias, RowLinear)
        else:
            self.blocks = nn.Sequential(*(nn.Sequential(pack(conv), act) for conv, act in others))
            self.out = _linear(out, bias)

    def add(self, total: Tensor, maps: Tensor, plane: int) -> None:
        """Add to `total` [B, (R/2)**2, f] what input plane number `plane` of values `maps` [B, R, R] gives, in place."""
        columns = F.unfold(maps[:, None].to(total.dtype), 3, padding=1, stride=2)
        if self.centred:
            columns -= columns.mean(2, keepdim=True)
        total.baddbmm_(columns.transpose(1, 2), self.planes[plane].expand(len(maps), -1, -1))

    def table(self, maps: Tensor, plane: int) -> Tensor:
        """Responses [n, (R/2)**2, f] to maps [n, R, R] of one plane, with the layer's bias."""
        total = (self.bias * (not self.centred)).expand(len(maps), self.side**2, -1).clone()
        self.add(total, maps, plane)
        return total

    def forward(self, total: Tensor) -> Tensor:
        """Sum over the planes [B, (R/2)**2, f] -> code [B, out]."""
        x = self.first(total.view(len(total), self.side, self.side, -1).permute(0, 3, 1, 2))
        return self.out(self.blocks(x).permute(0, 2, 3, 1).flatten(1))


def _class_maps(target_map: VectorMap, classes: int) -> Tensor:
    """The maps [N, R, R] of all that a target can be: row 0 no class, row c class c."""
    vectors = torch.eye(classes).to(next(target_map.parameters()))
    vectors[0] = 0
    return target_map(vectors)[:, 0]


def _row(target: Tensor) -> Tensor:
    """Rows of the class tables [B] for targets [B, N]."""
    return target.argmax(1) * target.any(1)


class FastContext(nn.Module):
    """`ContextEncoder` by planes; `start` begins a pass of steps."""

    table: Tensor
    codes: Tensor | None

    def __init__(self, context: ContextEncoder, order: tuple[int, ...], size: int, products: bool) -> None:
        super().__init__()
        self.order = order
        self.uses_canvas, self.label_map = context.uses_canvas, context.label_map
        classes = len(order) + 1
        self.label_plane = classes if self.uses_canvas else 0
        self.encoder = PlaneEncoder(context.encoder, size, products)
        maps = _class_maps(context.target_map, classes)
        self.register_buffer("table", self.encoder.table(maps, self.label_plane + int(self.label_map is not None)))
        # without canvas and label set a code depends on the class alone
        self.register_buffer("codes", self.encoder(self.table) if self.label_map is None else None)
        if self.label_map is not None:
            self.label_map.layers[2] = pack(self.label_map.layers[2])

    def labels(self, label_set: Tensor) -> Tensor:
        """What the label set adds: [B, (R/2)**2, f]."""
        total = self.table.new_zeros(len(label_set), *self.table.shape[1:])
        if self.label_map is not None:
            self.encoder.add(total, self.label_map(label_set)[:, 0], self.label_plane)
        return total

    def forward(self, canvas: Tensor, label_set: Tensor, target: Tensor) -> Tensor:
        """As `ContextEncoder.forward`."""
        if self.codes is not None:
            return self.codes[_row(target)]
        total = self.labels(label_set)
        for plane in range(1, canvas.shape[1] if self.uses_canvas else 0):
            self.encoder.add(total, canvas[:, plane], plane)
        return self.encoder(total + self.table[_row(target)])

    def start(self, label_set: Tensor, reads: Reads) -> FastCanvas:
        """The canvas of a pass, empty."""
        return FastCanvas(self, label_set, reads)


class FastCanvas:
    """`Canvas` as the running sum of the first convolution. Rows of the codes that nobody reads hold anything finite."""

    def __init__(self, context: FastContext, label_set: Tensor, reads: Reads) -> None:
        self.context = context
        present = (label_set > 0).tolist()  # the one wait for the device
        self.present = {c: [row[c] for row in present] for c in context.order}
        self.read = _read(self.present, context.order, reads)
        self.total = context.labels(label_set) if context.codes is None else None
        self.scratch: Tensor | None = None
        self.idle = context.table.new_zeros(len(label_set), context.encoder.out_features)
        self.idle_known = [False] * len(label_set)

    def draw(self, channel: int, shape: Tensor) -> None:
        """Put a shape [B, 1, R, R] on an empty channel."""
        if not self.context.uses_canvas or self.total is None:
            return
        after = self.context.order[self.context.order.index(channel) + 1 :]
        changed = shape.flatten(1).any(1).tolist()
        rows = [b for b, any_ in enumerate(changed) if any_ and any(self.read[c][b] for c in after)]
        for b in rows:
            self.idle_known[b] = False
        if len(rows) == len(shape):
            self.context.encoder.add(self.total, shape[:, 0], channel)
        else:
            for b in rows:
                self.context.encoder.add(self.total[b : b + 1], shape[b], channel)

    def code(self, channel: int, target: Tensor) -> Tensor:
        """Context codes [B, S] of the step that draws `channel` (its target follows from the label set)."""
        context, present = self.context, self.present[channel]
        if context.codes is not None:
            return context.codes[torch.tensor([channel * p for p in present], device=context.codes.device)]
        assert self.total is not None
        reads = self.read[channel]
        rows = [b for b, p in enumerate(present) if reads[b] and (p or not self.idle_known[b])]
        if not rows:
            return self.idle
        device = self.idle.device
        encoded = context.encoder(self._sum([(b, channel * present[b]) for b in rows]))
        everyone = len(rows) == len(present)
        codes = encoded
        if not everyone:
            codes = self.idle.to(encoded.dtype).index_copy(0, torch.tensor(rows, device=device), encoded)
        waiting = [b for b in rows if not present[b]]
        if waiting:
            index = torch.tensor(waiting, device=device)
            self.idle = self.idle.to(encoded.dtype).index_copy(0, index, codes[index])
            for b in waiting:
                self.idle_known[b] = True
        return codes

    def _sum(self, rows: list[tuple[int, int]]) -> Tensor:
        """The sum before the first norm for samples with a class (0: none) each, in memory that the next step uses again."""
        assert self.total is not None
        if self.scratch is None:
            self.scratch = torch.empty_like(self.total)
        for place, (sample, row) in enumerate(rows):
            torch.add(self.total[sample], self.context.table[row], out=self.scratch[place])
        return self.scratch[: len(rows)]


def _read(present: dict[int, list[bool]], order: tuple[int, ...], reads: Reads) -> dict[int, list[bool]]:
    """Of which samples each step's context code is read."""
    if reads.codes:
        return {c: [True] * len(row) for c, row in present.items()}
    decoded = {c: [p and (reads.decode is None or c in reads.decode) for p in row] for c, row in present.items()}
    if not reads.state:
        return decoded
    read: dict[int, list[bool]] = {}
    later = [False] * len(present[order[0]])
    for channel in reversed(order):
        later = [a or b for a, b in zip(later, decoded[channel], strict=True)]
        read[channel] = later
    return read


class FastPosterior(Posterior):
    """`Posterior` whose encoder works by planes."""

    table: Tensor

    def __init__(self, posterior: Posterior, classes: int, size: int, products: bool) -> None:
        nn.Module.__init__(self)  # not Posterior's: the networks are the given one's
        self.lstm, self.fuse, self.heads = posterior.lstm, posterior.fuse, posterior.heads
        self.planes = PlaneEncoder(posterior.encoder, size, products)
        self.register_buffer("table", self.planes.table(_class_maps(posterior.target_map, classes), 1))

    def code(self, shape: Tensor, target: Tensor) -> Tensor:
        total = self.table[_row(target)]
        self.planes.add(total, shape[:, 0], 0)
        return self.planes(total)


class FastDecoder(nn.Module):
    """`ShapeDecoder`: its first layer as a matrix product, its last as one over nine taps that are laid out afterwards."""

    taps: Tensor
    bias: Tensor

    def __init__(self, decoder: ShapeDecoder, products: bool) -> None:
        super().__init__()
        first, last = decoder.input, decoder.out
        assert first.bias is not None and last.bias is not None
        self.width = first.out_channels
        weight, bias = first.weight.detach().permute(2, 3, 1, 0).flatten(0, 2), first.bias.detach().repeat(16)
        blocks = [_block(block) for block in decoder.blocks]  # type: ignore[arg-type]
        if products:
            self.input = _linear(weight, bias, RowLinear)
            self.blocks: nn.Module = DoublingBlocks([conv for conv, _ in blocks], 4)  # type: ignore[misc]
        else:
            self.input = _linear(weight, bias)
            self.blocks = nn.Sequential(*(nn.Sequential(pack(conv), act) for conv, act in blocks))
        self.register_buffer("taps", last.weight.detach().flatten(1).t().contiguous())
        self.register_buffer("bias", last.bias.detach().clone())

    def forward(self, feat: Tensor, z: Tensor) -> Tensor:
        x = self.input(torch.cat([feat, z], dim=1)).view(len(z), 4, 4, self.width).permute(0, 3, 1, 2)
        return self._last(self.blocks(x))

    def _last(self, x: Tensor) -> Tensor:
        """3x3, stride 2: even pixels of a line take the middle tap, odd ones the last tap, and the first one of the next pixel."""
        b, c, h, w = x.shape
        taps = (self.taps @ x.permute(0, 2, 3, 1).reshape(-1, c).t()).view(3, 3, b, h, w)
        lines = taps.new_empty(3, b, h, 2, w)
        lines[:, :, :, 0], lines[:, :, :, 1] = taps[1], taps[2]
        lines[:, :, :-1, 1] += taps[0, :, :, 1:]
        out = taps.new_empty(b, h, 2, w, 2)
        out[..., 0], out[..., 1] = lines[1], lines[2]
        out[..., :-1, 1] += lines[0, ..., 1:]
        return out.view(b, 1, 2 * h, 2 * w) + self.bias


@torch.no_grad()
def fold_networks(model: SegVAE) -> None:
    """Put the inference form in place of a model's networks; it must be in evaluation mode and be used for inference only."""
    fold_spectral(model).requires_grad_(False)
    size, classes, products = model.config.size, len(model.channels) + 1, worth_products(model.config)
    model.context = FastContext(model.context, model.order, size, products)  # type: ignore[assignment]
    if products and model.prior is not None and model.prior.lstm is not None:
        model.prior = FastPrior(model.prior)
    for prior in (model.prior, model.posterior):
        if prior is not None and not isinstance(prior, FastPrior):
            prior.heads.mu, prior.heads.log_var = pack(prior.heads.mu), pack(prior.heads.log_var)  # type: ignore[assignment]
    model.posterior = FastPosterior(model.posterior, classes, size, products)
    model.decoder = FastDecoder(model.decoder, products)  # type: ignore[assignment]
