"""DETR: detection of objects as a set, with a transformer (Carion et al. 2020)."""

import numpy as np

from scratch.checks import are_images, divides, has_shape, is_bool
from scratch.layers import Conv2d, DETRDecoderLayer, DETREncoderLayer, LayerNorm, Linear, Sigmoid, SinusoidalPositions2d
from scratch.layers.container import run_in_reverse
from scratch.layers.init import normal_, xavier_uniform_
from scratch.layers.norm import freeze_batch_norm
from scratch.models.mlp import MLP
from scratch.models.resnet import ResNet
from scratch.module import Array, Backward, Module, Parameter
from scratch.ops.interpolate import interpolate


class Encoder(Module):
    """Vectors and positions (B, S, d_model) and a padding mask (B, 1, 1, S) to a memory (B, S, d_model)."""

    def __init__(self, layers: int, d_model: int, nhead: int, dim_feedforward: int, dropout: float):
        self.layers = [DETREncoderLayer(d_model, nhead, dim_feedforward, dropout) for _ in range(layers)]

    def forward(self, x: Array, positions: Array, mask: Array) -> tuple[Array, Backward]:
        backwards = []
        for layer in self.layers:
            x, layer_backward = layer(x, positions, mask)
            backwards.append(layer_backward)

        def backward(dx: Array) -> tuple[Array, None, None]:
            dx, *_ = run_in_reverse(backwards, dx)
            return dx, None, None

        return x, backward


class Decoder(Module):
    """Queries (B, Q, d_model) to the normalised outputs (layers, B, Q, d_model) of all layers.

    The layers attend a memory (B, S, d_model) with its positions (B, S, d_model) and its padding mask (B, 1, 1, S). The first layer
    starts from zeros, and the queries are their position embeddings. One norm serves the outputs of all layers.
    """

    def __init__(self, layers: int, d_model: int, nhead: int, dim_feedforward: int, dropout: float):
        self.layers = [DETRDecoderLayer(d_model, nhead, dim_feedforward, dropout) for _ in range(layers)]
        self.norm = LayerNorm(d_model)

    def forward(self, queries: Array, memory: Array, positions: Array, mask: Array) -> tuple[Array, Backward]:
        x, values, norms, layers = np.zeros_like(queries), [], [], []
        for layer in self.layers:
            x, layer_backward = layer(x, memory, queries, positions, mask)
            value, norm_backward = self.norm(x)
            values.append(value)
            norms.append(norm_backward)
            layers.append(layer_backward)

        def backward(dvalues: Array) -> tuple[Array, Array, None, None]:
            def backward_of(layer: Backward, norm: Backward, dvalue: Array) -> Backward:
                return lambda dx: layer(dx + norm(dvalue))  # x goes to the next layer and to the norm

            backwards = list(map(backward_of, layers, norms, dvalues))
            _, dmemory, dqueries, *_ = run_in_reverse(backwards, np.zeros_like(queries))
            return dqueries, dmemory, None, None

        return np.stack(values), backward

    def attend(self, queries: Array, memory: Array, positions: Array, mask: Array) -> Array:
        """Return the weights (B, heads, Q, S) of the last layer's attention to the memory."""
        x = np.zeros_like(queries)
        for layer in self.layers[:-1]:
            x, _ = layer(x, memory, queries, positions, mask)
        return self.layers[-1].attend(x, memory, queries, positions, mask)


class DETR(Module):
    """Images (N, in_channels, H, W) to num_queries predictions for each image, by every decoder layer.

    The value is (logits (layers, N, num_queries, classes + 1), boxes (layers, N, num_queries, 4)). The last class is "no object".
    Boxes are x centre, y centre, width and height as fractions of the image. The predictions of the last layer are the model's
    answer; detr_loss trains those of all layers.

    Images of unequal sizes are padded to the right and below (ops.pad_images). `present` (N, H, W) is false in the padding; it
    may be left out if there is none. The backbone is a ResNet of the given depth and width. With `frozen_norm`, its batch norms
    are fixed and have no parameters, because it was trained before (section 4). The authors also freeze backbone.conv1 and
    backbone.layer1.

    DETR(91) is the authors' model for COCO, whose highest class number is 90, with ResNet-50. It has 41,524,768 parameters, or
    41,302,368 without those two frozen layers.

    The authors' weights have other names: backbone.0.body for backbone, transformer.encoder and .decoder for encoder and
    decoder, query_embed.weight for queries, linear1 and linear2 for those of feed_forward, bbox_embed.layers.0, .1 and .2
    for .0, .2 and .4. Their in_proj holds q_proj, k_proj and v_proj. The names of Hugging Face's transformers are
    model.backbone.conv_encoder.model, model.encoder, model.decoder, model.query_position_embeddings.weight, fc1 and fc2,
    bbox_predictor for bbox_embed, class_labels_classifier for class_embed, model.input_projection for input_proj, encoder_attn
    for multihead_attn, model.decoder.layernorm for decoder.norm, and self_attn_layer_norm, encoder_attn_layer_norm (only in
    decoder layers) and final_layer_norm for norm1, norm2 and norm3.
    """

    def __init__(
        self,
        classes: int,
        depth: int = 50,
        width: int = 64,
        d_model: int = 256,
        nhead: int = 8,
        encoder_layers: int = 6,
        decoder_layers: int = 6,
        dim_feedforward: int = 2048,
        dropout: float = 0.1,
        num_queries: int = 100,
        in_channels: int = 3,
        small_images: bool = False,
        frozen_norm: bool = True,
    ):
        if min(classes, encoder_layers, decoder_layers, num_queries) < 1:
            raise ValueError(
                f"DETR: expected at least one of each, got classes {classes}, encoder_layers {encoder_layers}, "
                f"decoder_layers {decoder_layers} and num_queries {num_queries}"
            )
        if d_model % 2:
            raise ValueError(f"DETR: d_model is {d_model}, expected an even number: half of it is for rows, half for columns")
        divides("DETR", "nhead", nhead, "d_model", d_model)
        sizes = d_model, nhead, dim_feedforward, dropout
        self.backbone = ResNet(depth, None, in_channels, width, small_images)
        if frozen_norm:
            freeze_batch_norm(self.backbone)
        self.input_proj = Conv2d(self.backbone.out_channels, d_model, 1)
        self.positions = SinusoidalPositions2d()
        self.encoder, self.decoder = Encoder(encoder_layers, *sizes), Decoder(decoder_layers, *sizes)
        self.queries = Parameter(np.empty((num_queries, d_model), np.float32))
        normal_(self.queries, 1)
        self.class_embed = Linear(d_model, classes + 1)
        self.bbox_embed = MLP(d_model, [d_model, d_model], 4)
        self.sigmoid = Sigmoid()
        for part in (self.encoder, self.decoder):
            for parameter in part.parameters():
                if parameter.data.ndim > 1:
                    xavier_uniform_(parameter)

    def forward(self, images: Array, present: Array | None = None) -> tuple[tuple[Array, Array], Backward]:
        seen, _, seen_backward = self._seen(images, present)
        x, decoder_backward = self.decoder(*seen)
        logits, class_backward = self.class_embed(x)
        boxes, bbox_backward = self.bbox_embed(x)
        boxes, sigmoid_backward = self.sigmoid(boxes)

        def backward(dlogits: Array, dboxes: Array) -> tuple[Array, None]:
            dx = class_backward(dlogits) + bbox_backward(sigmoid_backward(dboxes))  # both heads
            return seen_backward(*decoder_backward(dx)), None

        return (logits, boxes), backward

    def attend(self, images: Array, present: Array | None = None) -> Array:
        """Return the weights (N, nhead, num_queries, h, w) of the last decoder layer's attention to the feature map."""
        seen, size, _ = self._seen(images, present)
        weights = self.decoder.attend(*seen)
        return weights.reshape(*weights.shape[:3], *size)

    def _seen(self, images: Array, present: Array | None) -> tuple[tuple[Array, ...], tuple[int, int], Backward]:
        """Return the inputs of the decoder, the size (h, w) of the feature map, and the backward."""
        present = self._checked(images, present)
        features, backbone_backward = self.backbone(images)
        x, proj_backward = self.input_proj(features)
        B, C, h, w = x.shape
        shrunk, _ = interpolate(present[:, None].astype(np.float32), (h, w))
        there = shrunk[:, 0] > 0
        positions, _ = self.positions(x, there)
        positions, mask = _sequence(positions), there.reshape(B, 1, 1, h * w)
        memory, encoder_backward = self.encoder(_sequence(x), positions, mask)
        queries = np.broadcast_to(self.queries.data, (B, *self.queries.data.shape))

        def backward(dqueries: Array, dmemory: Array, *_: None) -> Array:
            self.queries.accumulate(dqueries.sum(axis=0))
            dx, *_ = encoder_backward(dmemory)
            return backbone_backward(proj_backward(dx.reshape(B, h, w, C).transpose(0, 3, 1, 2)))

        return (queries, memory, positions, mask), (h, w), backward

    def _checked(self, images: Array, present: Array | None) -> Array:
        """Return the mask (N, H, W) that is false in the padding, or raise ValueError where images or mask do not fit."""
        are_images("DETR", images, self.backbone.in_channels, self.backbone.stride)
        N, _, *size = images.shape
        if present is None:
            return np.ones((N, *size), bool)
        has_shape("DETR", "present", present, (N, *size))
        is_bool("DETR", "present", present, "not padding")
        if not present[:, 0, 0].all():
            wrong = np.flatnonzero(~present[:, 0, 0])[0]
            raise ValueError(f"DETR: image {wrong} is padding at its upper left corner; pad to the right and below")
        return present


def _sequence(maps: Array) -> Array:
    """Return feature maps (B, C, h, w) as sequences of vectors (B, h w, C), row by row."""
    B, C, h, w = maps.shape
    return maps.transpose(0, 2, 3, 1).reshape(B, h * w, C)
