"""What the loss owes to heads, edges and paths."""
