"""Bad input: the fuzz targets of the Python parts, their kept inputs, and `make fuzz`."""
