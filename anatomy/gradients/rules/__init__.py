"""Rules of the gradient `operator -> how a cotangent is handed back`; `anatomy.gradients.vjps` has
the table.
"""
