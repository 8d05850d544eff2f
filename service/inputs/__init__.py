"""What was posted becomes the tensor that a network takes, and positions on it become pixels of the
picture again.
"""
