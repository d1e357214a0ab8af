"""A convolutional classifier."""

from .layers import Conv, Dense, Flatten, MaxPool, ReLU


class ConvNet:
    def __init__(self, c_in=3, size=8, classes=7):
        self.layers = [
            Conv(c_in, 5, 3, pad=1),
            ReLU(),
            MaxPool(2),
            Flatten(),
            Dense(5 * (size // 2) ** 2, 11),
            ReLU(),
            Dense(11, classes),
        ]

    def forward(self, x):
        for layer in self.layers:
            x = layer.forward(x)
        return x

    def backward(self, dout):
        for layer in reversed(self.layers):
            dout = layer.backward(dout)
        return dout
