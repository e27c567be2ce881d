"""One file for each brand; ``csms.simulator.catalogue`` finds them by themselves."""
