"""Scripts that train the twins on real data, and the packages that they share: data, training, tasks and plots."""
