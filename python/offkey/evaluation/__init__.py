"""Measures of how well anomalies are told from normal clips, and the protocols of public tasks."""
