"""Layers that torch.nn lacks, or whose arguments it takes differently."""

from reference.layers.activation import activation_named
from reference.layers.alignment import AdditiveAttention, DotAttention
from reference.layers.attention import MultiheadAttention
from reference.layers.detr import DETRDecoderLayer, DETREncoderLayer
from reference.layers.feed_forward import FeedForward
from reference.layers.learned_positions import LearnedPositions
from reference.layers.masked_pool import MaskedMax, MaskedMean
from reference.layers.norm import FrozenBatchNorm2d
from reference.layers.recurrent import GRU, LSTM, RNN
from reference.layers.relative_position import RelativePositionBias
from reference.layers.self_attention import SelfAttention
from reference.layers.sinusoidal_positions import SinusoidalPositions
from reference.layers.sinusoidal_positions_2d import SinusoidalPositions2d
from reference.layers.transformer import TransformerDecoderLayer, TransformerEncoderLayer

__all__ = [
    "GRU",
    "LSTM",
    "RNN",
    "AdditiveAttention",
    "DETRDecoderLayer",
    "DETREncoderLayer",
    "DotAttention",
    "FeedForward",
    "FrozenBatchNorm2d",
    "LearnedPositions",
    "MaskedMax",
    "MaskedMean",
    "MultiheadAttention",
    "RelativePositionBias",
    "SelfAttention",
    "SinusoidalPositions",
    "SinusoidalPositions2d",
    "TransformerDecoderLayer",
    "TransformerEncoderLayer",
    "activation_named",
]
