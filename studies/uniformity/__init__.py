"""The claims of Wang and Gu (arXiv 2506.24120) about h_min, measured; README.md says what was found."""
