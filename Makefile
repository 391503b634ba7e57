# make demo   plays a real conversation: ARGS=--once ends by itself, BUS=rabbitmq uses that broker,
#             DIR=folder keeps what it made
# make test   runs the tests: ARGS="tests/test_layout.py -k queue" narrows
#
# Nothing is needed before: .venv is made from requirements.lock, a missing RabbitMQ or PostgreSQL comes from apt.

BUS = table
KILLS = 300
DIR =
ARGS =
PYTHON = python3
IN = .venv/bin/python -m

export PYTHON

.PHONY: demo test chaos check lint types contracts schemas docs clean rabbitmq postgres

demo: .venv/.ready $(if $(filter rabbitmq,$(BUS)),rabbitmq)
	$(IN) gateway demo --bus $(BUS) $(if $(DIR),--dir $(DIR)) $(ARGS)

test: .venv/.ready rabbitmq postgres
	$(IN) pytest -n 2 --dist worksteal $(ARGS)

chaos: .venv/.ready rabbitmq postgres   # the long run of tests/chaos: an hour, the table on stdout
	CHAOS_KILLS=$(KILLS) $(IN) pytest tests/chaos -n 2 --dist worksteal -rP $(ARGS)

check:                      # what CI runs
	.ci/run

lint: .venv/.ready
	$(IN) ruff check .
	$(IN) ruff format --check .

types: .venv/.ready
	$(IN) mypy

contracts: .venv/.ready     # who may import whom
	.venv/bin/lint-imports --no-logo

schemas: .venv/.ready       # writes schemas/canonical from the model
	$(IN) gateway.model.export

docs: .venv/.ready          # writes docs/mappings from the mappings
	rm -rf docs/mappings
	$(IN) gateway mapping export docs/mappings

clean:
	rm -rf .venv dist demo .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache

rabbitmq postgres:
	@.ci/setup $@

.venv/.ready: requirements.lock pyproject.toml .ci/setup
	@.ci/setup venv
	@touch $@
