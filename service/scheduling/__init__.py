"""Work items wait in a bounded, fair queue, share a run with others of their kind, and can be
cancelled.
"""
