"""Plain readings of the papers' code: what it computes, line by line, on the same weights.

One-hot planes of all classes through every label convolution, gamma and beta by two convolutions, every spectrally normalised kernel
divided at every call, the stack of SC-GAN's candidates, the decoder's upsampling before its 1x1 convolutions. `docs/papers/` says
where each of them stands. They serve as yardsticks, and their pictures are what the inference forms have to equal.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from zoo.maps import SemanticMap
from zoo.nn.labels import one_hot
from zoo.nn.positions import class_positions
from zoo_plugins.mask_vae.networks import with_background
from zoo_plugins.scgan.svg import pool_channels, semantic_vectors
from zoo_plugins.segvae.networks import sample_code
from zoo_plugins.sims.canvas import Rules, paint
from zoo_plugins.sims.finding import Found, pieces_of, places_of, taken
from zoo_plugins.sims.pairs import all_pairs, coloured, fronts, pair_pictures
from zoo_plugins.sims.placing import partners
from zoo_plugins.sims.retrieval import Candidates
from zoo_plugins.sims.segments import find_segments
from zoo_plugins.sims.styles import read_style
from zoo_plugins.sims.synthesis import given_of
from zoo_plugins.sims.transform import placed


def spade_norm(norm: Any, x: Tensor, planes: Tensor) -> Tensor:
    """SPADE: the planes are resized here, gamma and beta are two convolutions."""
    normalized = norm.param_free_norm(x)
    hidden = F.relu(norm.mlp_shared(F.interpolate(planes, size=x.shape[2:], mode="nearest")))
    return normalized * (1 + norm.mlp_gamma(hidden)) + norm.mlp_beta(hidden)


def spade_block(block: Any, x: Tensor, planes: Tensor) -> Tensor:
    """The residual block; its convolutions divide their kernels at every call."""
    shortcut = block.conv_s(spade_norm(block.norm_s, x, planes)) if block.learned else x
    dx = block.conv_0(F.leaky_relu(spade_norm(block.norm_0, x, planes), 0.2))
    return shortcut + block.conv_1(F.leaky_relu(spade_norm(block.norm_1, dx, planes), 0.2))


def painted(generator: Any, x: Tensor, block: Any) -> Tensor:
    """Features x through the blocks, `block(module, step, x)`, with a doubling where one is due, and to images in [-1, 1]."""
    scale = 0
    for module, step in generator.blocks():
        if step.scale > scale:
            x, scale = F.interpolate(x, scale_factor=2.0, mode="nearest"), step.scale
        x = block(module, step, x)
    return generator.activation(generator.conv_img(F.leaky_relu(x, 0.2)))


def spade(model: Any, maps: SemanticMap, style: Any) -> Tensor:
    """SPADE and GauGAN: images [B, 3, H, W] in [0, 1]."""
    planes, generator = model.planes(maps), model.generator
    if style is None:
        x = generator.fc(F.interpolate(planes, size=generator.grid, mode="nearest"))
    else:
        x = generator.start(style.tensors["z"])
    return (painted(generator, x, lambda module, _, x: spade_block(module, x, planes)) + 1) / 2


def oasis(model: Any, maps: SemanticMap, style: Any) -> Tensor:
    """OASIS: planes of noise, the same number at every pixel of a picture, in front of the map's."""
    planes, generator = model.planes(maps), model.generator
    if style is not None:
        noise = style.tensors["z"][:, 0, :, None, None].expand(-1, -1, *planes.shape[2:])
        planes = torch.cat([noise, planes], 1)
    x = generator.fc(F.interpolate(planes, size=generator.grid, mode="nearest"))
    return (painted(generator, x, lambda module, _, x: spade_block(module, x, planes)) + 1) / 2


def clvae(model: Any, maps: SemanticMap, style: Any) -> Tensor:
    """CLVAE: at each level a map of the classes' latents (without the loops over images and classes, 5 % of the authors' time)."""
    generator, numbers = model.generator, model.channel_map(maps)
    planes, codes = one_hot(numbers, len(model.channels)), style.tensors["codes"]

    def block(module: Any, step: Any, x: Tensor) -> Tensor:
        level = generator.level(step)
        if not level:
            return spade_block(module, x, planes)
        side = (numbers.shape[1] >> level, numbers.shape[2] >> level)
        small = F.interpolate(numbers[:, None].float(), size=side, mode="nearest")[:, 0].long()
        rows = torch.arange(len(small))[:, None, None]
        seen = generator.cse.embedding(small) + codes[:, :, generator.layer_of(level)][rows, small]
        return spade_block(module, x, seen.permute(0, 3, 1, 2).contiguous())

    return (painted(generator, generator.start(style.tensors["z"]), block) + 1) / 2


def class_block(block: Any, x: Tensor, norm: Callable[[Any, Tensor], Tensor]) -> Tensor:
    """The residual block around another norm, `norm(module, x)`."""
    shortcut = block.conv_s(norm(block.norm_s, x)) if block.learned else x
    dx = block.conv_0(F.leaky_relu(norm(block.norm_0, x), 0.2))
    return shortcut + block.conv_1(F.leaky_relu(norm(block.norm_1, dx), 0.2))


def clade(model: Any, maps: SemanticMap, style: Any) -> Tensor:
    """CLADE: planes of all classes are resized in every norm, their largest picks rows of the tables; position maps are there already
    (the authors read them from files)."""
    generator, planes = model.generator, model.planes(maps)
    positions = class_positions(planes[:, : generator.classes].argmax(1)) if model.config.positions else None

    def norm(layer: Any, x: Tensor) -> Tensor:
        normalized, size = layer.param_free_norm(x), x.shape[2:]
        seen = F.interpolate(planes, size=size, mode="nearest")
        classes = seen[:, : generator.classes].argmax(1)
        gamma, beta = (table[classes].permute(0, 3, 1, 2) for table in (layer.weight, layer.bias))
        if positions is not None:
            here = F.interpolate(positions, size=size, mode="nearest")
            gamma, beta = gamma * (1 + layer.scale_position(here)), beta * (1 + layer.shift_position(here))
        out = normalized * gamma + beta
        return out if layer.edge_conv is None else torch.cat([out, layer.edge_conv(seen[:, -1:])], 1)

    if style is None:
        x = generator.fc(F.interpolate(planes, size=generator.grid, mode="nearest"))
    else:
        x = generator.start(style.tensors["z"])
    return (painted(generator, x, lambda module, _, x: class_block(module, x, norm)) + 1) / 2


def inade(model: Any, maps: SemanticMap, style: Any) -> Tensor:
    """INADE: planes of all classes and of all instances are resized in every norm, scales and shifts are sums over them."""
    generator, planes = model.generator, model.planes(maps)[:, :-1]
    places = model.places(maps)
    shown = places.unique()
    instances = one_hot(torch.searchsorted(shown, places), len(shown))
    noise = torch.stack([style.tensors[k] for k in ("scale", "shift")], 3).flatten(1, 2)[:, shown]

    def norm(layer: Any, x: Tensor) -> Tensor:
        size = x.shape[2:]
        here = [F.interpolate(p, size=size, mode="nearest") for p in (planes, instances)]
        scale, shift = layer.soft_affine(*here, noise)
        return layer.param_free_norm(x) * scale + shift

    x = generator.start(style.tensors["z"])
    return (painted(generator, x, lambda module, _, x: class_block(module, x, norm)) + 1) / 2


def pixelwise(x: Tensor, kernels: Tensor) -> Tensor:
    """CC-FPSE's conditional convolution: the unfolded copy of x times the kernels, summed over the taps."""
    unfolded = F.unfold(x, 3, padding=1).unflatten(1, (x.shape[1], 9)).unflatten(3, x.shape[2:])
    return (unfolded * kernels.unflatten(1, (x.shape[1], 9))).sum(2)


def cc_fpse(model: Any, maps: SemanticMap, style: Any) -> Tensor:
    """CC-FPSE: every branch of a block is a network of its own over the resized planes of all classes and the pyramid's features."""
    planes, generator = model.planes(maps), model.generator
    levels = generator.pyramid(planes)

    def conv(layer: Any, x: Tensor, seen: Tensor) -> Tensor:
        x = layer.pointwise(pixelwise(layer.norm(x), layer.kernels(seen)))
        return F.leaky_relu(x * layer.attention(seen), 0.2)

    def block(module: Any, step: Any, x: Tensor) -> Tensor:
        small = F.interpolate(planes, size=x.shape[2:], mode="nearest")
        seen = torch.cat([small, levels[step.scale]], 1)
        shortcut = module.conv_s(spade_norm(module.norm_s, x, seen)) if module.learned else x
        return shortcut + conv(module.conv_1, conv(module.conv_0, x, seen), seen)

    if style is None:
        x = generator.fc(F.interpolate(planes, size=generator.grid, mode="nearest"))
    else:
        x = generator.start(style.tensors["z"])
    return (painted(generator, x, block) + 1) / 2


def sims(model: Any, maps: SemanticMap, style: Any) -> Tensor:
    """SIMS: each segment's mask against every one of the bank, a proposal and a pair at a time, all pairs of segments."""
    config, roles, bank = model.config, model.roles, model.bank()
    small = maps.resize(model.resolution)
    labels, low = model.indices(small), model.indices(small.resize(config.low))
    kept = bank.masks(torch.arange(len(bank.table)))
    ranks, left, noise = read_style(config, model.classes, style)
    canvases = []
    for i in range(len(low)):
        segments = find_segments(low[i : i + 1], roles.classes, roles.thin)
        table = segments.table
        order = torch.tensor(sorted(range(len(table)), key=lambda r: (roles.order.index(int(table[r, 1])), r)))
        asked = order[table[order, 3] > config.segment_pixels]
        slots = Candidates(torch.zeros(len(asked), config.slots), torch.full((len(asked), config.slots), -1))
        for q, mask in enumerate(segments.masks(asked)):
            for photo in range(len(bank)):
                lowest, slot = slots.scores[q].min(0)
                for row in bank.rows_of(torch.tensor([photo])).tolist():
                    if bank.table[row, 1] != table[asked[q], 1]:
                        continue
                    score = (mask & kept[row]).sum().double() / (mask | kept[row]).sum()
                    if score.float() > lowest:
                        slots.scores[q, slot], slots.rows[q, slot] = score, row
        found = Found(labels[i], low[i], segments, order, asked, slots.best_first())
        pieces = pieces_of(found, taken(found, ranks[i], left[i]), bank, roles, config.scale)
        planes, moved = one_hot(labels[i : i + 1], model.planes), []
        for proposal, mask in zip(pieces.unmoved, places_of(pieces), strict=True):
            moved.append(placed(proposal[None], model.transform(proposal[None], mask[None], planes))[0])
        pieces = replace(pieces, moved=torch.stack(moved)) if moved else pieces
        pairs, shown = all_pairs(table, asked, roles.order), coloured(low[i], model.palette)
        scores = [model.order(pair_pictures(segments, [pair], model.palette, shown)) for pair in pairs]
        known = fronts(torch.cat(scores), pairs, table) if pairs else {}
        looked = partners(pieces, found, parity=config.parity)
        rules = Rules(config.bands, config.inner, config.parity)
        front = lambda a, b, known=known, looked=looked: known.get(looked.get((a, b), (-1, -1)))  # noqa: E731
        canvases.append(paint(pieces, labels[i], roles, rules, front, noise[i]))
    given = given_of(
        one_hot(torch.stack([c.labels for c in canvases]), model.planes), torch.stack([c.picture for c in canvases])
    )
    return ((model.synthesis(given).picture + 1) / 2).clamp(0, 1)


def groupdnet(model: Any, maps: SemanticMap, style: Any) -> Tensor:
    """GroupDNet: CG-Norms are SPADEs over the planes of all classes, in groups; the codes go into the first convolution as they are."""
    generator = model.generator
    planes = generator.read_planes(model.planes(maps))
    x = generator.fc(style.tensors["codes"].flatten(1, 2))
    return (painted(generator, x, lambda module, _, x: spade_block(module, x, planes)) + 1) / 2


def scc(layer: Any, x: Tensor, v: Tensor) -> Tensor:
    """SCC: all candidates side by side in one tensor [B, n, C, H, W], then the weighted sum."""
    stack = torch.stack([F.conv2d(x, kernel, padding=1) for kernel in layer.kernels()], 1)
    return (stack * v[:, :, None]).sum(1)


def scn(norm: Any, x: Tensor, v: Tensor) -> Tensor:
    """SCN: every pixel's row of the table by a matrix product [B H W, m] x [m, 2 C]."""
    normalized = norm.param_free_norm(x)
    rows = v.permute(0, 2, 3, 1).reshape(-1, v.shape[1]) @ norm.table
    gamma, beta = rows.view(len(v), *v.shape[2:], -1).permute(0, 3, 1, 2).chunk(2, 1)
    return normalized * (1 + gamma) + beta


def scgan(model: Any, maps: SemanticMap, style: Any) -> Tensor:
    """SC-GAN: images [B, 3, H, W] in [0, 1]."""
    return scgan_of_planes(model, model.planes(maps), None if style is None else style.tensors["z"])


def scgan_of_planes(model: Any, planes: Tensor, z: Tensor | None) -> Tensor:
    """Semantic vectors, then the blocks; the learned shortcut is a SPADE over all planes."""
    generator = model.generator
    config = generator.config
    _, features = generator.svg(planes)
    vectors = [
        [semantic_vectors(pool_channels(f, n), config.temperature, config.weight_type) for f in features]
        for n in (config.n_conv, config.n_norm)
    ]

    def block(module: Any, step: Any, x: Tensor) -> Tensor:
        v_conv, v_norm = (v[step.scale] for v in vectors)
        shortcut = module.conv_s(spade_norm(module.norm_s, x, planes)) if module.learned else x
        for norm, conv in ((module.norm_0, module.conv_0), (module.norm_1, module.conv_1)):
            modulated = scn(norm, x, v_norm) if hasattr(norm, "table") else spade_norm(norm, x, planes)
            x = scc(conv, F.leaky_relu(modulated, 0.2), v_conv)
        return shortcut + x

    start = generator.start(z) if z is not None else generator.start_from_map(planes)
    return (painted(generator, start, block) + 1) / 2


def sean_norm(norm: Any, x: Tensor, planes: Tensor, codes: Tensor, noise: Tensor) -> Tensor:
    """SEAN: noise, norm, the map of each pixel's style vector through two convolutions, mixed with SPADE's. codes: [B, planes, S]."""
    normalized = norm.param_free_norm(x + noise * norm.noise_var[:, None, None])
    small = F.interpolate(planes, size=x.shape[2:], mode="nearest")
    hidden = F.relu(norm.spade.mlp_shared(small))
    gamma, beta = norm.spade.mlp_gamma(hidden), norm.spade.mlp_beta(hidden)
    if norm.style is not None:
        seen = x.new_zeros(len(x), codes.shape[2], *x.shape[2:])
        for k in small.flatten(2).any(2).any(0).nonzero()[:, 0].tolist():
            vector = F.relu(norm.style.regions[k](codes[:, k]))
            seen = torch.where(small[:, k : k + 1] > 0, vector[:, :, None, None], seen)
        a, b = torch.sigmoid(norm.blending_gamma), torch.sigmoid(norm.blending_beta)
        gamma = a * norm.style.conv_gamma(seen) + (1 - a) * gamma
        beta = b * norm.style.conv_beta(seen) + (1 - b) * beta
    return normalized * (1 + gamma) + beta


def sean(model: Any, maps: SemanticMap, style: Any) -> Tensor:
    """SEAN: style codes of all classes, the same for all blocks (without the loop over images)."""
    planes, generator = model.planes(maps), model.generator
    codes, noise = style.tensors["codes"][:, :, 0], iter(generator.split_noise(model.noise(style.rng)))

    def block(module: Any, step: Any, x: Tensor) -> Tensor:
        drawn = next(noise)
        shortcut = module.conv_s(sean_norm(module.norm_s, x, planes, codes, drawn["norm_s"])) if module.learned else x
        dx = module.conv_0(F.leaky_relu(sean_norm(module.norm_0, x, planes, codes, drawn["norm_0"]), 0.2))
        return shortcut + module.conv_1(F.leaky_relu(sean_norm(module.norm_1, dx, planes, codes, drawn["norm_1"]), 0.2))

    start = generator.fc(F.interpolate(planes, size=generator.grid, mode="nearest"))
    return (painted(generator, start, block) + 1) / 2


def sdm(model: Any, maps: SemanticMap, style: Any, times: Tensor) -> Tensor:
    """SDM, one guided step: the whole network twice, with the map and without it, every norm making its scale and shift anew. Both outputs."""
    planes, noise = model.planes(maps), style.tensors["noise"]
    return torch.cat([model.unet(noise, times, planes), model.unet(noise, times, torch.zeros_like(planes))])


def pix2pixhd(model: Any, maps: SemanticMap, style: Any) -> Tensor:
    """pix2pixHD: planes of all classes through every stem, in front of the style's, each scale's pooled from the finer one."""
    planes, generator = model.planes(maps), model.generator
    if style is not None:
        rows, regions = model.style_rows(style), model.regions(maps)
        seen = rows[torch.arange(len(rows))[:, None, None], regions].permute(0, 3, 1, 2)
        planes = torch.cat([planes, seen], 1)
    return (generator(planes) + 1) / 2


def crn(model: Any, maps: SemanticMap, style: Any) -> Tensor:
    """CRN: planes of all classes, as shares of area, into every module; all pictures are made, and one is taken."""
    made = model.generator(model.planes(maps))
    if style is not None:
        made = made[torch.arange(len(made)), style.tensors["mixture"].argmax(1)]
    return ((made.view(len(made), *made.shape[-3:]) + 1) / 2).clamp(0, 1)


def cimle(model: Any, maps: SemanticMap, style: Any) -> Tensor:
    """cIMLE: planes and noise through the noise encoder, planes and codes into every module."""
    made = model.generator(model.planes(maps), style.tensors["noise"])[:, 0]
    return ((made + 1) / 2).clamp(0, 1)


def maskgan(model: Any, maps: SemanticMap, style: Any) -> Tensor:
    """MaskGAN: a convolution over all planes, the whole backbone for every style; each modulated norm is a norm and its two numbers."""
    x, params = model.planes(maps), iter(style.tensors["adain"].unbind(1))

    def normed(block: Any, x: Tensor) -> Tensor:
        x = F.instance_norm(F.conv2d(F.pad(x, (1, 1, 1, 1), mode="reflect"), block.conv.weight, block.conv.bias))
        shift, scale = next(params)[:, :, None, None].chunk(2, 1)
        return x * scale + shift

    for layer in model.generator.model:
        if hasattr(layer, "conv_block"):
            first, second = layer.conv_block
            x = x + normed(second, F.relu(normed(first, x)))
        else:
            x = layer(x)
    return (x + 1) / 2


def maskgan_vae(model: Any, maps: SemanticMap) -> Tensor:
    """MaskVAE: a map's code and the map that it gives, class numbers [B, side, side]; norms by themselves."""
    z, _ = model.encoder(one_hot(maps.labels.long(), len(model.channels)))
    x = F.relu(model.decoder.start(z)).unflatten(1, (-1, 4, 4))
    for layer in [*model.decoder.layers, model.decoder.out]:
        x = layer(F.pad(F.interpolate(x, scale_factor=2.0, mode="nearest"), (1, 1, 1, 1), mode="replicate"))
    return x.argmax(1)


def segvae(model: Any, label_set: Tensor, eps: Tensor) -> Tensor:
    """SegVAE: soft shapes [B, N, R, R]; every step for the whole batch, shapes decoded where some sample has the class."""
    canvas = label_set.new_zeros(*label_set.shape, model.config.size, model.config.size)
    shapes, state, before = canvas.clone(), None, None
    for channel in model.order:
        if before is not None:
            canvas[:, before] = shapes[:, before]
        present = label_set[:, channel] > 0
        target = torch.zeros_like(label_set)
        target[:, channel] = present.to(target)
        code = model.context(canvas, label_set, target)
        mu, log_var, state = model.prior(code, state)
        if present.any():
            logits = model.decoder(code, sample_code(mu, log_var, eps[:, channel - 1]))
            shapes[:, channel] = (torch.sigmoid(logits) * present[:, None, None, None])[:, 0]
        before = channel
    return shapes


def mask_vae(model: Any, maps: SemanticMap, h0: Tensor, c0: Tensor) -> Tensor:
    """Semantic-VAE: a map's codes and the map that they give, class numbers [B, side, side].

    All planes through the encoder, the empty ones too; each block resizes before its 1x1 convolution.
    """
    planes = one_hot(maps.labels.long(), len(maps.space))[:, 1:]
    codes, _ = model.encoder(planes)
    decoder = model.generator
    x = decoder.tokens(decoder.recur(codes, h0, c0)).view(len(codes), -1, decoder.grid, decoder.grid)
    x = decoder.convs.in_conv(x)
    for block in decoder.convs.blocks:
        up = F.interpolate(x, scale_factor=2.0, mode="nearest")
        h = block.conv1(F.interpolate(F.silu(block.norm1(x)), scale_factor=2.0, mode="nearest"))
        x = block.skip(up) + block.conv2(F.silu(block.norm2(h)))
    return with_background(decoder.convs.out_conv(x)).argmax(1)


def munit_block(block: Any, x: Tensor, affine: tuple[Tensor, Tensor] | None = None) -> Tensor:
    """A block of MUNIT (reflection, ReLU or tanh, without spectral norm): the norm line by line."""
    pad = block.pad.padding[0]
    x = F.conv2d(F.pad(x, (pad,) * 4, mode="reflect"), block.conv.weight, block.conv.bias, block.conv.stride)
    if affine is not None:
        mean, var = x.mean((2, 3), keepdim=True), x.var((2, 3), keepdim=True, correction=0)
        x = (x - mean) / torch.sqrt(var + 1e-5) * affine[0][:, :, None, None] + affine[1][:, :, None, None]
    elif hasattr(block.norm, "gamma"):
        flat = x.flatten(1)
        mean, std = (v.view(-1, 1, 1, 1) for v in (flat.mean(1), flat.std(1)))
        x = (x - mean) / (std + 1e-5) * block.norm.gamma[:, None, None] + block.norm.beta[:, None, None]
    elif block.norm is not None:
        x = F.instance_norm(x)
    return x if block.activation is None else block.activation(x)


def munit(model: Any, photos: Tensor, styles: Tensor) -> Tensor:
    """MUNIT: photos of the first domain in styles of the second, in [0, 1]; doublings before their 5x5 convolutions."""
    first, second = model.generators["a"].enc_content.model, model.generators["b"]
    x = photos * 2 - 1
    for block in first[:-1]:
        x = munit_block(block, x)
    for pair in first[-1].model:
        x = munit_block(pair.model[1], munit_block(pair.model[0], x)) + x
    affines = second.dec.split(second.mlp(styles))
    blocks, *others = second.dec.model
    for i, pair in enumerate(blocks.model):
        x = munit_block(pair.model[1], munit_block(pair.model[0], x, affines[2 * i]), affines[2 * i + 1]) + x
    for layer in others:
        x = F.interpolate(x, scale_factor=2.0) if not hasattr(layer, "conv") else munit_block(layer, x)
    return (x + 1) / 2


def sg2im(model: Any, graphs: Any, noise: Tensor) -> tuple[Tensor, Tensor]:
    """sg2im: masks in their boxes [O, H, W], and pictures [N, 3, H, W], normalised as ImageNet's.

    Every object's mask is made, `grid_sample` lays vector times mask on the picture for each object, and these are summed.
    """
    network = model.generator
    read = network.read(graphs)
    x0, y0, x1, y1 = read.boxes.unbind(1)
    height, width = model.resolution
    across = (torch.linspace(0, 1, width) - x0[:, None]) / (x1 - x0)[:, None]
    down = (torch.linspace(0, 1, height) - y0[:, None]) / (y1 - y0)[:, None]
    places = torch.stack([across[:, None].expand(-1, height, -1), down[:, :, None].expand(-1, -1, width)], 3)
    objects = read.vectors[:, :, None, None] * read.masks[:, None]
    laid = F.grid_sample(objects, 2 * places - 1, align_corners=model.config.align_corners)
    layout = torch.zeros(graphs.count, *laid.shape[1:]).index_add(0, graphs.images, laid)
    masks = F.grid_sample(read.masks[:, None], 2 * places - 1, align_corners=model.config.align_corners)[:, 0]
    x = layout.new_zeros(
        len(layout), 1, *(side >> len(network.refinement_net.refinement_modules) for side in model.resolution)
    )
    planes = torch.cat([layout, noise], 1)
    for module in network.refinement_net.refinement_modules:
        x = F.interpolate(x, scale_factor=2.0, mode="nearest")
        x = module.net(torch.cat([F.avg_pool2d(planes, height // x.shape[2]), x], 1))
    return masks, network.refinement_net.output_conv(x)


def scgan_unpaired(model: Any, photos: Tensor, styles: Tensor) -> Tensor:
    """Unpaired SC-GAN (our reading): a photo in the map's place."""
    return scgan_of_planes(model, photos * 2 - 1, styles)


def dmit_conv(block: Any, x: Tensor) -> Tensor:
    """A convolution of DMIT behind its padding by reflection, its kernel divided at every call, without what follows it."""
    if block.padding:
        x = F.pad(x, (block.padding,) * 4, mode="reflect")
    return F.conv2d(x, block.conv.normalized_weight(), block.conv.bias, block.conv.stride)


def dmit_norm(norm: Any, x: Tensor, code: Tensor) -> Tensor:
    """An instance norm and the shift of the code."""
    shift = F.linear(code, norm.shift.normalized_weight(), norm.shift.bias)
    return F.instance_norm(x) + torch.tanh(shift)[:, :, None, None]


def dmit(model: Any, photos: Tensor, styles: Tensor) -> Tensor:
    """DMIT (cbin, transposed convolutions): photos as of the last domain, in [0, 1]."""
    x = photos * 2 - 1
    for layer in model.content_encoder.layers:
        if hasattr(layer, "conv"):
            x = F.leaky_relu(F.instance_norm(dmit_conv(layer, x)), 0.2)
        else:
            inner = F.leaky_relu(F.instance_norm(dmit_conv(layer.conv_0, x)), 0.2)
            x = x + F.instance_norm(dmit_conv(layer.conv_1, inner))
    code = torch.cat([model.attributes(model.channels[-1], len(x)), styles], 1)
    *layers, last = model.decoder.layers
    for layer in layers:
        if hasattr(layer, "norm_0"):
            inner = F.relu(dmit_norm(layer.norm_0, dmit_conv(layer.conv_0, x), code))
            x = x + dmit_norm(layer.norm_1, dmit_conv(layer.conv_1, inner), code)
        else:
            x = F.conv_transpose2d(x, layer.conv.normalized_weight(), None, 2, 1)
            x = F.relu(F.layer_norm(x, x.shape[1:]) * layer.norm.weight + layer.norm.bias)
    return (torch.tanh(dmit_conv(last, x)) + 1) / 2
