"""What the score stage does to tables of scores before it writes them."""
