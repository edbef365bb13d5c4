"""The Common Expression Language as Kubernetes speaks it: rules of schemas, conditions, policies.

``checker.compile`` turns a text into a ``Program`` or says why it cannot, in the words of the real server; a program is
run on plain documents. A library (the extra ``server``) parses and checks; running is ours, for the texts of what goes
wrong, the cost of it and Kubernetes' own functions have to be those of the real server.
"""
