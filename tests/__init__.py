"""The tests, named after the promises they keep."""
