"""Selection from the rows of many machines, on Ray."""
