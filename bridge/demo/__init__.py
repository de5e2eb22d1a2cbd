"""The demonstration: one whole call on this machine, without account, key or network, and the page it ends with."""
