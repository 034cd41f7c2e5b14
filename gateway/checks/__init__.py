"""Checks of a configuration (``sfu-gateway check-config``) and of the machine that runs it (``sfu-gateway doctor``)."""
