"""The one door to Git: reads trees and history, and makes every commit. Runs ``git``.

``repository`` opens one, ``tree`` reads it, ``commit`` is the only thing that writes to it,
``checkout`` brings the user's files along, ``history`` finds commits. Everything goes through
``git``, which starts the real program with the settings that keep foreign code from running.
"""
