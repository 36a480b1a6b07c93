"""Programs to start from, one file each: `python -m paymux.examples.<name>`.

They import only public names, take their settings from the environment, and nothing in paymux
imports them.
"""
