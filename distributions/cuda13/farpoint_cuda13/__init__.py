"""The CUDA engine of the package farpoint, which finds it here: `farpoint.select(X, k, backend="cuda")`.

Nothing here is public. `farpoint.show_config()` says whether the engine is found, and whether a device is.
"""
