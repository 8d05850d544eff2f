"""Rules `operator -> what it reads`, grouped by what the operators do; `anatomy.reads` has the table."""
