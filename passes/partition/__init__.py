"""What runs where: the machine, or the host. Knows the front end and the limits of the machine, both by asking them."""
