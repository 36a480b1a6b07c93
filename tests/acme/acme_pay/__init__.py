"""Acme for paymux: a driver, and its simulator."""
