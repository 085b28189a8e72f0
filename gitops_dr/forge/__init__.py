"""The forge that a pull request is on: its comment, its run's summary. Only this room talks to it.

Nothing here reads a cluster or Git, and nothing here renders: it is handed finished Markdown.
"""
