"""The page on which every head of a study can be looked at: what goes into it, how it is packed, how it is shown."""
