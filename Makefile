# make run    a virtual environment, the installation, and four product photos
# make test   the test extras and the whole suite, in WORKERS processes (3)
# make versions  the core on the lowest and the highest versions that setup.cfg allows
# make check  format, lint, types, and what the wheel holds
PYTHON ?= python3
BIN := .venv/bin
WORKERS ?= 3
SETS ?= lowest highest
PIP_INSTALL := $(BIN)/pip install --disable-pip-version-check --no-compile --quiet -c constraints.txt
ORIGINALS := groundingdino-py==0.4.0 addict==2.4.0 yapf==0.43.0 platformdirs==4.14.8 tomli==2.5.0
export PYTHONUNBUFFERED := 1
# pip does not compile (most modules are never imported), so Python must keep what it compiles.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: run test check format versions clean

run: .venv/.installed
	$(BIN)/visuals run --class sneaker --count 4 --seed 0

test: .venv/.installed-dev .venv/.installed-originals
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder --strict-skips -m "not alone"
	$(BIN)/python -m pytest --strict-skips -m alone $$(grep -rl --include='test_*.py' 'mark\.alone' tests)

check: .venv/.installed-dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy -p visuals
	$(BIN)/python -m pytest tests/test_wheel.py

format: .venv/.installed-dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

.venv/.created:
	@command -v $(PYTHON) >/dev/null || { echo "visuals: $(PYTHON) was not found: expected Python 3.10 or newer; on Debian or Ubuntu: sudo apt install python3 python3-venv"; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || { echo "visuals: $$($(PYTHON) --version) is too old: expected Python 3.10 or newer; set PYTHON=python3.11, say"; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || { echo "visuals: this Python cannot make virtual environments: install python3-venv first (sudo apt install python3-venv)"; exit 1; }
	$(PYTHON) -m venv .venv
	@touch $@

.venv/.installed: .venv/.created setup.cfg pyproject.toml constraints.txt
	@echo "visuals: installing torch and its friends into .venv (once, some minutes)"
	$(PIP_INSTALL) -e .
	@touch $@

.venv/.installed-dev: .venv/.installed
	$(PIP_INSTALL) -e '.[dev]'
	@mkdir -p .venv/src && ln -sfn ../.. .venv/src/visuals
	@touch $@

# groundingdino-py requires versions that exclude ours: a folder of its own, for the tests
.venv/.installed-originals: .venv/.installed-dev
	$(PIP_INSTALL) --target .venv/originals --upgrade --no-deps $(ORIGINALS)
	@touch $@

versions: .venv/.installed-dev
	$(BIN)/python tests/versions.py $(SETS)

clean:
	rm -rf build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache
