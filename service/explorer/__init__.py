"""The explorer: one page that shows what every unit sees, a client of the public REST API and of
nothing else.
"""
