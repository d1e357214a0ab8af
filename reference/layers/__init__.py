"""What torch.nn lacks."""

from reference.layers.activation import activation_named
from reference.layers.recurrent import GRU, LSTM, RNN

__all__ = ["GRU", "LSTM", "RNN", "activation_named"]
