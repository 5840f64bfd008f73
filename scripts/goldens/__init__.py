"""Golden vectors: outputs of the original model at a small configuration, and our answers to
them.
"""
