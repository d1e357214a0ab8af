"""Layers: ops with their Parameters, under torch.nn's names, with its defaults and initial distributions."""

from scratch.layers.activation import GELU, LeakyReLU, LogSoftmax, ReLU, Sigmoid, SiLU, Softmax, Tanh, activation_named
from scratch.layers.alignment import AdditiveAttention, DotAttention
from scratch.layers.attention import MultiheadAttention
from scratch.layers.container import Flatten, Sequential
from scratch.layers.conv import Conv2d, ConvTranspose2d
from scratch.layers.detr import DETRDecoderLayer, DETREncoderLayer
from scratch.layers.dropout import Dropout
from scratch.layers.embedding import Embedding
from scratch.layers.feed_forward import FeedForward
from scratch.layers.learned_positions import LearnedPositions
from scratch.layers.linear import Linear
from scratch.layers.loss import BCEWithLogitsLoss, CrossEntropyLoss, L1Loss, MSELoss, NLLLoss, SmoothL1Loss
from scratch.layers.masked_pool import MaskedMax, MaskedMean
from scratch.layers.norm import BatchNorm1d, BatchNorm2d, FrozenBatchNorm2d, GroupNorm, LayerNorm, RMSNorm
from scratch.layers.pool import AdaptiveAvgPool2d, AvgPool2d, MaxPool2d
from scratch.layers.recurrent import GRU, LSTM, RNN, GRUCell, LSTMCell, RNNCell
from scratch.layers.relative_position import RelativePositionBias
from scratch.layers.self_attention import SelfAttention
from scratch.layers.sinusoidal_positions import SinusoidalPositions
from scratch.layers.sinusoidal_positions_2d import SinusoidalPositions2d
from scratch.layers.transformer import TransformerDecoderLayer, TransformerEncoderLayer
from scratch.layers.upsample import Upsample

__all__ = [
    "GELU",
    "GRU",
    "LSTM",
    "RNN",
    "AdaptiveAvgPool2d",
    "AdditiveAttention",
    "AvgPool2d",
    "BCEWithLogitsLoss",
    "BatchNorm1d",
    "BatchNorm2d",
    "Conv2d",
    "ConvTranspose2d",
    "CrossEntropyLoss",
    "DETRDecoderLayer",
    "DETREncoderLayer",
    "DotAttention",
    "Dropout",
    "Embedding",
    "FeedForward",
    "Flatten",
    "FrozenBatchNorm2d",
    "GRUCell",
    "GroupNorm",
    "L1Loss",
    "LSTMCell",
    "LayerNorm",
    "LeakyReLU",
    "LearnedPositions",
    "Linear",
    "LogSoftmax",
    "MSELoss",
    "MaskedMax",
    "MaskedMean",
    "MaxPool2d",
    "MultiheadAttention",
    "NLLLoss",
    "RMSNorm",
    "RNNCell",
    "ReLU",
    "RelativePositionBias",
    "SelfAttention",
    "Sequential",
    "SiLU",
    "Sigmoid",
    "SinusoidalPositions",
    "SinusoidalPositions2d",
    "SmoothL1Loss",
    "Softmax",
    "Tanh",
    "TransformerDecoderLayer",
    "TransformerEncoderLayer",
    "Upsample",
    "activation_named",
]
