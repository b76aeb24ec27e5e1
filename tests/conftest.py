"""What every suite shares: property tests have no deadline, because a busy machine is no failure."""

from hypothesis import settings

settings.register_profile("baton", deadline=None)
settings.load_profile("baton")
