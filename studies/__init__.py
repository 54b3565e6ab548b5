"""Studies: what is claimed about the product, measured. Not part of the package."""
