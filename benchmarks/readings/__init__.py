"""Plain readings of the papers' code: what it computes, line by line, on the same weights.

One-hot planes of all classes through every label convolution, gamma and beta by two convolutions, every spectrally normalised kernel
divided at every call, the stack of SC-GAN's candidates, the decoder's upsampling before its 1x1 convolutions. `docs/papers/` says
where each of them stands. They serve as yardsticks, and their pictures are what the inference forms have to equal.
"""

from benchmarks.readings.class_norms import clade, inade
from benchmarks.readings.generators import mask_vae, maskgan_vae, segvae, sg2im
from benchmarks.readings.scgan import scgan, scgan_unpaired
from benchmarks.readings.sims import sims
from benchmarks.readings.spade import cc_fpse, clvae, groupdnet, oasis, painted, spade, spade_block
from benchmarks.readings.synthesizers import cimle, crn, maskgan, pix2pixhd, sdm, sean
from benchmarks.readings.translators import dmit, munit

__all__ = [
    "cc_fpse", "cimle", "clade", "clvae", "crn", "dmit", "groupdnet", "inade", "mask_vae", "maskgan", "maskgan_vae", "munit", "oasis",
    "painted", "pix2pixhd", "scgan", "scgan_unpaired", "sdm", "sean", "segvae", "sg2im", "sims", "spade", "spade_block",
]  # fmt: skip
