"""Examples may take as long as a busy machine needs: these tests are about answers, not speed."""

from hypothesis import settings

settings.register_profile("unhurried", deadline=None)
settings.load_profile("unhurried")
