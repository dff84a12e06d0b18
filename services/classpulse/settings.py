"""Settings of a process: frozen, built once in a `main` from CLASSPULSE_* variables, printed at start."""
