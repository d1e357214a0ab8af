"""What torch.nn lacks."""

from reference.layers.activation import activation_named
from reference.layers.alignment import AdditiveAttention, DotAttention
from reference.layers.attention import MultiheadAttention
from reference.layers.masked_pool import MaskedMax, MaskedMean
from reference.layers.recurrent import GRU, LSTM, RNN

__all__ = [
    "GRU",
    "LSTM",
    "RNN",
    "AdditiveAttention",
    "DotAttention",
    "MaskedMax",
    "MaskedMean",
    "MultiheadAttention",
    "activation_named",
]
