"""Work items wait in a bounded, fair queue, share a run with others of the same key, and can be
cancelled.
"""
