"""The partners and the broker played on one machine: for the demo, the tests and newcomers."""
