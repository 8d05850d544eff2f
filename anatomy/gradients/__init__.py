"""A forward graph becomes the graph of its gradients."""
