"""What the package needs of the machine: devices, files, model hubs, optional packages."""
