"""Rules `operator -> what it reads`, grouped by what the operators do; `anatomy.fields.rule_table`
has the table.
"""
