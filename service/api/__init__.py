"""HTTP only: routes, bodies, problem responses and pages. The use cases are in `predictor` and
`inspector`.
"""
