"""Our layers beside native kernels: ratios measured in one process, one after the other."""
