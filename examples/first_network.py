"""A first network: an MLP in NumPy learns to read handwritten digits."""

import numpy as np
from sklearn.datasets import load_digits

from scratch.models import MLP
from scratch.ops import cross_entropy
from scratch.optim import AdamW
from scratch.random import manual_seed

manual_seed(0)  # for the initial weights
rng = np.random.default_rng(0)
images, labels = load_digits(return_X_y=True)  # 1,797 images of 8x8 pixels, from 0 to 16
images = (images / 16).astype(np.float32)
model = MLP(in_features=64, hidden=[64], out_features=10)
optimizer = AdamW(model.parameters(), lr=0.003)

for _ in range(500):
    batch = rng.choice(1400, size=64)  # from the first 1,400 images
    logits, backward = model(images[batch])
    loss, loss_backward = cross_entropy(logits, labels[batch])
    optimizer.zero_grad()
    dlogits = loss_backward()[0]  # the gradient of the loss with respect to the logits
    backward(dlogits)  # adds to the gradient of every parameter
    optimizer.step()

logits, backward = model(images[1400:])
accuracy = np.mean(logits.argmax(axis=1) == labels[1400:])
print(f"loss {loss:.3f}, accuracy on 397 held-out digits {accuracy:.1%}")
