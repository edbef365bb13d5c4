"""Client certificates: requested, kept between two runs, and renewed while the program runs.

``pairs``, ``requests`` and ``stored`` decide, ``asking`` asks a server, ``stores`` keep what came, ``rotation`` does it
all in time, and ``identity`` is what requests then show.
"""
