"""Every definition of every score: one entry each, what measures them, and what chance and wiring give for them."""
