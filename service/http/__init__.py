"""Bytes of a connection become an ASGI request, or go down the fast path, before any route sees
them.
"""
