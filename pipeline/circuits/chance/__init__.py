"""What each score would be by chance, and how far from that it is."""
