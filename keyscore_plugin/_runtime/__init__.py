"""The machine: devices, files, hubs, optional packages, progress."""
