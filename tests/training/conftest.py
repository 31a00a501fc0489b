from threads import one_thread  # noqa: F401  # a fixture is used by being imported
