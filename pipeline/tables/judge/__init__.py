"""Tables of the judge stage: what a study says as a whole."""
