"""Tests of your own app, and of your own driver: fixtures, a clock, and the driver contract."""
