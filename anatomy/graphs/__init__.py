"""The protobuf becomes a graph of nodes and values with shapes, and parts of it become model files
again.
"""
