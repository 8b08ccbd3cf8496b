"""The conventions, checked on telemetry: frames in, findings out. Pure; knows no store and no clock.

`rule.py` says what a rule is, `families/` holds them, `catalogue.py` registers them. `records.py` turns log records
into few distinct cells, `engine.py` runs the rules, `findings.py` groups and words what they find, `profiles.py`
says which run and how, `guideline.py` which sentence of the guideline each proves, `outline.py` puts findings in order,
`render.py` writes reports, `checked.py` counts what was looked at.
"""
