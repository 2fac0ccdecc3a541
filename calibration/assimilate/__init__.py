"""Twins that take in readings one by one: exact reweighting with moves, and an ensemble Kalman step."""
