"""Rules of the gradient `operator -> how a cotangent is handed back`; `anatomy.vjps` has the table."""
