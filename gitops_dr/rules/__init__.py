"""What belongs in Git: rules as data with reasons. Pure; reads only the rows that ship beside it.

``objects.yaml`` decides from one object alone, ``relations.yaml`` from its relation to others.
"""
