"""A small network library as someone writes it who learns from lecture notes: caches on self, params and grads dictionaries."""
