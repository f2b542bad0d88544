"""Models of normal sound."""
