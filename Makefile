# The working day, in few verbs. `make` alone explains them.
.DEFAULT_GOAL := help
PYTHON ?= python3
BIN := .venv/bin
INSTALLED := .venv/installed
COMPANY := .company/installed
AIRFLOW := .airflow/installed
# Fast tests hardly wait: with every further process they take 5 percent more CPU.
FAST := -n 3 --dist worksteal
# Those with real services wait a third of their time and more. Broker, registry, object store and Spark's JVM are shared.
PARALLEL := -n 5 --dist worksteal
# Tests start hundreds of commands. Where the environment keeps Python from writing bytecode, as in many containers, each
# of them would compile the product anew, and each process of pytest all tests.
unexport PYTHONDONTWRITEBYTECODE

help:  ## show this page
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: $(INSTALLED)  ## install what is needed into .venv and .jars; OFFLINE=folder does it without a network
	@$(BIN)/correnteza setup $(if $(OFFLINE),--offline "$(OFFLINE)")

$(INSTALLED): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make setup PYTHON=python3.12")'
	@$(PYTHON) -m correnteza.bootstrap $(if $(OFFLINE),--offline "$(OFFLINE)")
	@touch $@

wheelhouse: $(INSTALLED)  ## FOLDER=folder gets all that set-up downloads, for machines without a network
	@test -n "$(FOLDER)" || { echo "say where to: make wheelhouse FOLDER=folder"; exit 2; }
	@$(BIN)/python -m correnteza.bootstrap --fill "$(FOLDER)"
	@$(BIN)/correnteza setup --fill "$(FOLDER)"

demo: setup  ## poll recorded publications, stream them to gold, verify, show what came of it
	@$(BIN)/correnteza demo

demo-s3: setup  ## the same with tables and payloads in an embedded object store
	@$(BIN)/correnteza demo --in-store

up: setup  ## run the whole pipeline against the real sources until Ctrl-C
	@$(BIN)/correnteza up

check: $(INSTALLED)  ## format, lint, types and contracts; changes nothing
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/correnteza schemas check

tools: $(INSTALLED)  ## Prometheus, Alertmanager, Chromium for the tests, into .tools; says what is missing where there is no apt-get
	@$(BIN)/python -m tests.tools

company: $(COMPANY)  ## dbt, Great Expectations and MLflow into .company, an environment over .venv (docs/marts.md)

airflow: $(AIRFLOW)  ## Airflow into .airflow, an environment of its own (docs/airflow.md)

$(COMPANY): $(INSTALLED)
$(COMPANY) $(AIRFLOW): .%/installed: deploy/%/requirements.lock
	@$(PYTHON) -m deploy.environments $*
	@touch $@

# pytest rewrites every test before it compiles it: once, while Spark's class archive is made, and not in each process.
bytecode: $(INSTALLED)
	@$(BIN)/pytest --collect-only -qq > /dev/null || true

# What pip does keeps one core busy: two environments are made at once. One that fails is tried again where it is needed.
# Nor do Spark's class archive, types and downloads wait for each other.
test:  ## everything but the slow faults: fast tests first, then the real embedded services, both in any case
	@$(MAKE) --no-print-directory --jobs 2 --keep-going $(INSTALLED) $(AIRFLOW) || true
	@$(MAKE) --no-print-directory --jobs 3 setup check tools bytecode
	@$(BIN)/pytest $(FAST) --durations 10 -m "not integration and not slow and not long and not containers and not company and not airflow"; first=$$?; \
	$(MAKE) --no-print-directory --keep-going --jobs 2 test-services test-beside || first=$$?; cat build/beside.log; exit $$first

test-services:
	@$(BIN)/pytest $(PARALLEL) --durations 30 -m "integration and not slow and not long and not containers and not company and not airflow"

# Their installation and these few tests need one core now and then: they fit beside the services, and are printed after.
test-beside:
	@mkdir -p build; { first=0; \
	{ $(MAKE) --no-print-directory company && .company/bin/python $(BIN)/pytest tests/company -m "company"; } || first=$$?; \
	{ $(MAKE) --no-print-directory airflow && $(BIN)/pytest tests/airflow -m "airflow and not slow"; } || first=$$?; \
	exit $$first; } > build/beside.log 2>&1

test-company: setup company  ## marts, suites and runs with the real systems beside the product, in their environment
	.company/bin/python $(BIN)/pytest tests/company -m company

test-airflow: setup airflow company  ## DAGs by the real Airflow; then api-server, scheduler and dag-processor over PostgreSQL
	$(BIN)/pytest tests/airflow -m airflow

test-pythons: setup  ## the fast tests on further Pythons of this machine: PYTHONS="python3.12 python3.13"
	@failed=; for python in $(or $(PYTHONS),python3.12 python3.13); do \
		$$python -c "" 2>/dev/null || { echo "$$python: not on this machine"; continue; }; \
		$(MAKE) --no-print-directory build/$$python/installed && \
		build/$$python/bin/pytest $(FAST) -m "not integration and not slow and not long and not containers and not company and not airflow" || failed="$$failed $$python"; \
	done; test -z "$$failed" || { echo "failed:$$failed"; exit 1; }

build/%/installed: requirements.lock pyproject.toml
	$* -m venv $(@D)
	$(@D)/bin/pip install --quiet --require-hashes --requirement requirements.lock
	$(@D)/bin/pip install --quiet --no-deps --editable .
	@touch $@

test-faults: setup tools  ## every fault, the slow ones too: a day under ten kills, hung brokers (75 minutes on two cores)
	$(BIN)/pytest -n 3 --dist worksteal -m "(fault or slow) and not long and not airflow"

test-faults-long: setup  ## the long forms: minutes without a broker, ten million records, 200 random steps
	$(BIN)/pytest -m long --timeout 7200

crash-test: setup  ## KILLS=100 random kill -9 under load, all layers; SEED=... repeats a run, PAGE=1 writes the page
	@$(BIN)/python -m tests.harness.crash_test --kills $(or $(KILLS),100) $(if $(SEED),--seed $(SEED)) $(if $(PAGE),--page)

soak: setup  ## MINUTES=60 of steady load: slopes of memory, threads, files and checkpoints
	@$(BIN)/python -m benchmarks.soak --minutes $(or $(MINUTES),60)

bench-verify: setup  ## what verify costs beside the ingest of the same rows, of a fresh lake and an aged one
	@$(BIN)/python -m benchmarks.verify

bench-ingest: setup  ## Kafka to bronze: rows/s and CPU against a raw consumer and a hand-written one
	@$(BIN)/python -m benchmarks.ingest

bench-latency: setup  ## produce to bronze, silver and gold at 1,000 rows/s: p50, p95, p99
	@$(BIN)/python -m benchmarks.latency

bench-idle: setup  ## what the running pipeline costs while nothing comes: percent of a core, memory, by component
	@$(BIN)/python -m benchmarks.idle

bench-trickle: setup  ## the same while every topic gets a record a second
	@$(BIN)/python -m benchmarks.idle --trickle

bench-publish: setup  ## zip bytes to committed transactions: rows/s and memory against row by row
	@$(BIN)/python -m benchmarks.publish

bench-gold: setup  ## what one changed hour costs gold, as the lake grows ten-fold to 10 years of 600 stations
	@$(BIN)/python -m benchmarks.gold

bench-first-read: setup  ## what it costs a query to begin with a young table: from its first commit, from its newest version
	@$(BIN)/python -m benchmarks.first_read

bench-rebuild: setup  ## a silver dataset rebuilt while rows arrive: rows/s, latency of live silver, the swap, disk
	@$(BIN)/python -m benchmarks.rebuild

bench-store: setup  ## a table in the embedded object store beside one on disk: batches, queries, requests and their price
	@$(BIN)/python -m benchmarks.store

bench-migrate: setup  ## a legacy table of 118,082 rows × 31 columns from SQLite to a verified silver table: seconds, memory
	@$(BIN)/python -m benchmarks.migrate

bench-query: setup  ## 20 analyst questions on the demo lake (make demo first), fresh and aged: P95
	@$(BIN)/python -m benchmarks.query

dictionary: setup  ## write docs/data-dictionary.md from the declarations
	@$(BIN)/python -m stream_jobs.gold.dictionary > docs/data-dictionary.md

dashboards: setup  ## write the dashboards from monitoring/dashboards/panels.py and docs/runbook.md
	@$(BIN)/python -m monitoring.dashboards

marts: setup  ## write the dbt models and sources that follow from our declarations
	@$(BIN)/python -m correnteza.marts.models

dags: setup  ## write the table of jobs that Airflow's DAGs are made from
	@$(BIN)/python -m correnteza.jobs > deploy/airflow/dags/jobs.json

metrics: setup  ## write docs/metrics.md from the catalogue
	@$(BIN)/python -m monitoring.metrics.page > docs/metrics.md

scale: setup  ## write docs/scale.md; FILE=mine.toml prints what more rows and topics need, by your own numbers
	@$(BIN)/python -m benchmarks.scale $(if $(FILE),--file $(FILE),--page > docs/scale.md)

image: setup wheelhouse-of-image  ## the container image correnteza:dev, from wheels and jars that are checked by hash
	docker build --tag $(or $(IMAGE),correnteza:dev) --file deploy/containers/Dockerfile .

wheelhouse-of-image:
	@$(MAKE) --no-print-directory wheelhouse FOLDER=build/wheelhouse

image-store: image  ## the image correnteza-store:dev: the product with the object store of the profile s3
	docker build --tag correnteza-store:dev --build-arg PRODUCT=$(or $(IMAGE),correnteza:dev) --file deploy/containers/Dockerfile.store .

image-observability:  ## the image correnteza-observability:dev: Prometheus and Alertmanager from Debian's packages
	docker build --tag correnteza-observability:dev - < deploy/containers/Dockerfile.observability

image-company: image  ## correnteza-company:dev: the product with dbt, Great Expectations, MLflow and Airflow; correnteza-postgres:dev
	@for each in company airflow; do $(BIN)/python -m pip download --quiet --no-deps --require-hashes \
		--requirement deploy/$$each/requirements.lock --dest build/wheelhouse/$$each || exit 1; done
	docker build --tag $(or $(COMPANY_IMAGE),correnteza-company:dev) --build-arg PRODUCT=$(or $(IMAGE),correnteza:dev) \
		--file deploy/company/Dockerfile .
	docker build --tag correnteza-postgres:dev --file deploy/containers/Dockerfile.postgres deploy/containers

test-containers: image-store image-observability image-company  ## build the images and run docker-compose.yml for real; needs an engine (docs/containers.md)
	$(BIN)/pytest tests/deploy -m containers --timeout 1800

upgrade-check: setup  ## FROM=v0.1.0 (a tag or a commit) fills a home; this release continues it, and verify must hold
	@$(BIN)/python -m deploy.release.upgrade $(FROM)

release-check: setup  ## build the wheel and its bill of materials, and run the demo with it in an empty environment
	@$(BIN)/python -m deploy.release.check

lock: $(INSTALLED)  ## write a new requirements.lock from pyproject.toml, and jars.lock (needs mvn)
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-header --extra dev \
		--python-version 3.11 pyproject.toml --output-file requirements.lock
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-header --constraint requirements.lock \
		--python-version 3.11 pyproject.toml --output-file deploy/containers/requirements.lock
	@mkdir -p build
	sed -nE 's/^([A-Za-z0-9._-]+==[^ ]+( ; [^\\]*)?) ?\\?$$/\1/p' requirements.lock \
		| grep -vE '^(cachetools|pathspec|python-dateutil)==' > build/company-constraints.txt
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-header --no-annotate \
		--constraint build/company-constraints.txt --python-version 3.11 \
		deploy/company/requirements.in --output-file deploy/company/requirements.lock
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-header --no-annotate \
		--python-version 3.11 deploy/airflow/requirements.in --output-file deploy/airflow/requirements.lock
	$(BIN)/python -m correnteza.embedded.lock_jars

clean:  ## remove what set-up installed and what the demo made; keeps var/ but for var/demo
	rm -rf .venv .company .airflow .jars .tools var/demo build *.egg-info

.PHONY: test-services test-beside bytecode company test-company airflow test-airflow dags marts help setup demo demo-s3 up check dashboards test test-faults test-faults-long crash-test soak bench-verify bench-ingest bench-latency bench-idle bench-trickle bench-publish bench-gold bench-first-read bench-rebuild bench-store bench-migrate bench-query dictionary metrics scale lock clean wheelhouse tools test-pythons image image-store image-observability image-company wheelhouse-of-image test-containers release-check upgrade-check
