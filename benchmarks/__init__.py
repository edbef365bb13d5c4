"""How fast the parts of ``reconcile`` are, beside the last recorded figures: ``python -m benchmarks``.

``micro.py`` lists what is measured, ``measure.py`` says how. ``peer.py`` is for comparisons with other frameworks.
"""
