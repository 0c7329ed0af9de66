"""The text encoder of DMIT's second task: a sentence as the attributes of a picture (AttnGAN's, 256 numbers)."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence


class Encoded(NamedTuple):
    """words: [B, size, T], what the LSTM says of each word. sentence: [B, size], its last states, forward then backward."""

    words: Tensor
    sentence: Tensor


class TextEncoder(nn.Module):
    """Embedding and a bidirectional LSTM. vocabulary: words and the end mark 0. size: of a sentence, even.

    forward: captions int64 [B, T], padded with 0; lengths int64 [B] in 1..T -> `Encoded`; T is the longest length. The authors train it
    beforehand, and their files do not hold it. Raises ValueError for an odd size.
    """

    def __init__(self, vocabulary: int, size: int = 256, embedding: int = 300) -> None:
        super().__init__()
        if size % 2:
            raise ValueError(f"A sentence has as many numbers of either direction: size must be even, got {size}.")
        self.encoder = nn.Embedding(vocabulary, embedding)
        self.rnn = nn.LSTM(embedding, size // 2, batch_first=True, bidirectional=True)

    def forward(self, captions: Tensor, lengths: Tensor) -> Encoded:
        packed = pack_padded_sequence(
            self.encoder(captions.long()), lengths.long().cpu(), batch_first=True, enforce_sorted=False
        )
        output, (hidden, _) = self.rnn(packed)
        words = pad_packed_sequence(output, batch_first=True)[0].transpose(1, 2)
        return Encoded(words, hidden.transpose(0, 1).flatten(1))


def partners(count: int) -> list[int]:
    """Whose sentence each sample of a batch of captions takes: that of the one before it (`index_target` of this task), as indices."""
    return [(i - 1) % count for i in range(count)]
