# What one does with a checkout; `make help` lists it. Everything runs in .venv, made on first use.

# The first Python that is new enough; another one: make PYTHON=/path/to/python3.12
PYTHON ?= $(shell for name in python3 python3.14 python3.13 python3.12 python3.11; do \
    $$name -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$name && break; \
    done)

VENV = .venv
RUN = $(VENV)/bin/
PIP = $(RUN)python -m pip --disable-pip-version-check --quiet
# As pip does where it installs packages for good: without bytecode each start takes twice as long.
compile = $(RUN)python -m compileall -q logd client/logd_client
PROJECTS = pyproject.toml client/pyproject.toml

# make serve
PORT ?= 9801
LOGS ?= logs

# make test: how many tests run at a time; one more than there are processors, for many only wait
WORKERS ?= $(shell expr $$(getconf _NPROCESSORS_ONLN) + 1)

# make test, bench, chaos, fuzz: more arguments, e.g. make test ARGS="-k rotation"
ARGS ?=

# make install, make uninstall
PREFIX ?= /usr/local
SYSCONFDIR ?= /etc
DESTDIR ?=
EXTRAS ?=

comma = ,
home = $(PREFIX)/lib/logd
units = $(DESTDIR)$(PREFIX)/lib/systemd/system
sysusers = $(DESTDIR)$(PREFIX)/lib/sysusers.d
tmpfiles = $(DESTDIR)$(PREFIX)/lib/tmpfiles.d
settings = $(DESTDIR)$(SYSCONFDIR)/logd
share = $(DESTDIR)$(PREFIX)/share
ZSH_COMPLETIONS ?= zsh/site-functions
completions = bash-completion/completions/logd $(ZSH_COMPLETIONS)/_logd \
    fish/vendor_completions.d/logd.fish
UNITS = logd.service logd@.service logd.socket logd-web.service
extras = $(subst $(comma), ,$(EXTRAS))
known_extras = $(filter-out logd,$(basename $(notdir $(wildcard systemd/locked/*.txt))))
staged = $(DESTDIR)$(home).new
pip = '$(staged)/bin/python' -B -m pip --disable-pip-version-check
installed = '$(DESTDIR)$(home)/bin/python' -B

version = $(shell sed -n 's/^version = "\(.*\)"/\1/p' pyproject.toml)
sdists = dist/logd_client-$(version).tar.gz dist/logd-$(version).tar.gz

# Builds of one commit are the same, byte for byte: files are as old as the commit.
SOURCE_DATE_EPOCH ?= $(shell git log -1 --format=%ct 2>/dev/null || date -r CHANGELOG.md +%s)
export SOURCE_DATE_EPOCH

.DEFAULT_GOAL := help
.PHONY: help serve demo cluster browser test coverage coverage-part test-pythons test-servers lint format types bench bench-quick \
    chaos fuzz lock readme check dist \
    install install-environment install-service install-texts deb uninstall clean check-python

help: ## list the targets
	@echo 'make TARGET, where TARGET is one of:'
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  \1|\2/p' $(firstword $(MAKEFILE_LIST)) | \
	    awk -F'|' '{ printf "%-14s %s\n", $$1, $$2 }'

serve: $(VENV)/serve.stamp ## run a daemon: PORT=9801, writing rotating files to the folder LOGS=logs
	@echo 'Records go to $(abspath $(LOGS))/logd_0.log and so on; Ctrl-C ends the daemon.'
	@exec $(RUN)logd serve --port $(PORT) --file '$(LOGS)/logd_%d.log' $(ARGS)

test: $(VENV)/dev.stamp ## run all tests
	@$(compile)
	$(RUN)python -m pytest --numprocesses $(WORKERS) --dist worksteal $(ARGS)

demo: $(VENV)/dev.stamp ## a shop that logs, a deploy that breaks it, and the page that shows it
	@exec $(RUN)python -m tests.demo $(ARGS)

cluster: $(VENV)/dev.stamp ## several daemons around an engine on this machine: ARGS="--kill --seconds 60"
	@exec $(RUN)python -m tests.demo.cluster $(ARGS)

# make coverage: at least this many of a hundred lines and branches are reached by the part that CI
# measures; all tests reach more.
FLOOR ?= 60
# Signals each 0.7 ms leave a measured program no time for anything else.
NOT_MEASURED = --deselect client/tests/test_life.py::test_a_signal_handler_may_flush_in_a_flush

# What is measured is slower, so the figure is told even if a test fails for that; make fails then.
coverage: $(VENV)/dev.stamp ## run all tests and measure which branches they take, child processes included
	@$(compile)
	rm -f .coverage .coverage.*
	@status=0; \
	$(RUN)python -m coverage run -m pytest --numprocesses $(WORKERS) --dist worksteal \
	    $(NOT_MEASURED) $(ARGS) || status=$$?; \
	$(RUN)python -m coverage combine --quiet && \
	$(RUN)python -m coverage report --skip-covered --show-missing --fail-under $(FLOOR) && \
	exit $$status

# Tests of every room of the code that take little time: CI can measure them at each commit.
COVERED_PART = tests/text tests/settings tests/records tests/rotation tests/filters \
    tests/observers tests/contrib tests/test_socketserver.py tests/wire/test_session.py \
    tests/outputs/files/test_output.py tests/outputs/test_worker.py \
    tests/query/test_grammar.py tests/query/files/test_source.py tests/cli/test_query.py \
    tests/daemon/test_reload.py tests/daemon/test_control.py tests/daemon/test_metrics.py \
    tests/engine/test_rules.py tests/engine/test_pieces.py tests/engine/test_window.py \
    tests/engine/test_address.py client/tests/test_settings.py client/tests/test_session.py \
    client/tests/test_clientsession.py client/tests/test_receipt.py client/tests/test_forks.py \
    client/tests/test_life.py

coverage-part: ## the same for a part of the tests, as in CI
	$(MAKE) --no-print-directory coverage ARGS='$(COVERED_PART)'

test-pythons: $(VENV)/dev.stamp ## run the tests on each Python that is here: ARGS=--part for what differs
	$(RUN)python -m tests.pythons $(ARGS)

test-servers: $(VENV)/dev.stamp ## run the client in real servers and count its records: ARGS=gunicorn
	$(PIP) install -e '.[servers]'
	$(RUN)python -m tests.servers $(ARGS)

browser: ## install what drives a browser in the tests of the page (needs npm and chromium)
	npm ci --no-audit --no-fund --prefix tests/web/browser

lint: $(VENV)/dev.stamp ## check style and formatting
	$(RUN)ruff check .
	$(RUN)ruff format --check .

format: $(VENV)/dev.stamp ## mend formatting and what of style can be mended by itself
	$(RUN)ruff check --fix .
	$(RUN)ruff format .

types: $(VENV)/dev.stamp ## check types of both packages
	$(RUN)mypy

check: lint types test coverage-part ## what CI runs: lint, types, tests, a part measured, a part on the other Pythons
	$(RUN)python -m tests.pythons --part --but "$$($(RUN)python -c \
	    'import sys; print("%d.%d" % sys.version_info[:2])')"

bench: $(VENV)/dev.stamp ## measure against other daemons, under 10 minutes
	$(RUN)python -m tests.bench $(ARGS)

bench-quick: $(VENV)/dev.stamp ## the same in a minute
	$(RUN)python -m tests.bench --quick $(ARGS)

chaos: $(VENV)/dev.stamp ## kill, cut and fill disks under load, and count the records after
	$(RUN)python -m tests.chaos $(ARGS)

fuzz: $(VENV)/dev.stamp ## look for frames that are dear or break the decoders: ARGS="--minutes 10"
	$(RUN)python -m tests.fuzz.dearest
	$(PIP) install 'atheris>=2.3'
	$(RUN)python -m tests.fuzz $(ARGS)

lock: $(VENV)/dev.stamp ## write the lock files of the service's environment anew
	$(PIP) install 'uv>=0.5'
	$(RUN)python systemd/locked/make.py

readme: $(VENV)/dev.stamp ## write the table of settings into its README
	UPDATE_README=1 $(RUN)python -m pytest --quiet tests/settings/test_printing.py

dist: $(VENV)/dev.stamp ## build wheels and source distributions of both packages into the folder dist
	umask 022; for project in client .; do \
	    $(RUN)python -m build --quiet --sdist --outdir dist $$project || exit; done
	$(RUN)python packages/repack.py $(sdists)
	umask 022; $(PIP) wheel --no-deps --wheel-dir dist $(sdists)
	@ls dist

install: check-python install-environment install-service install-texts ## install the service: PREFIX=/usr/local, DESTDIR, EXTRAS=postgresql,mysql
ifeq ($(DESTDIR),)
	# User and folders at once, where systemd is; a package does this when it is installed.
	! command -v systemd-sysusers >/dev/null || systemd-sysusers '$(sysusers)/logd.conf'
	! command -v systemd-tmpfiles >/dev/null || systemd-tmpfiles --create '$(tmpfiles)/logd.conf'
	! getent group logd >/dev/null || chgrp logd '$(settings)' '$(settings)/logd.toml'
	! test -d /run/systemd/system || systemctl daemon-reload
	@echo 'logd is installed. What to do next:'
	@echo '  settings        $(settings)/logd.toml'
	@echo '  start it        systemctl enable --now logd.socket logd.service'
	@echo '  try it          $(PREFIX)/bin/logd send hello && $(PREFIX)/bin/logd tail'
	@echo '  the page        systemctl enable --now logd-web'
	@echo '  another daemon  $(settings)/NAME.toml, then systemctl enable --now logd@NAME'
	@echo '  after an upgrade: systemctl restart logd; the manual: man logd, man logd.toml'
endif

# Made beside the one in force, which serves on until the new one is whole and takes its place.
install-environment: check-python
	@for extra in $(extras); do test -e systemd/locked/$$extra.txt || { \
	    echo "no extra $$extra; there are: $(known_extras) (the page needs nothing more)" >&2; exit 2; }; done
	rm -rf '$(staged)'
	$(PYTHON) -m venv '$(staged)'
	$(pip) install --quiet --no-compile \
	    --require-hashes $(patsubst %,-r systemd/locked/%.txt,logd $(extras))
	# Built in a fresh folder: what an earlier build left in this one would be packaged, too.
	# Installed by their names: pip notes the folder of what it is given by path.
	@fresh=$$(mktemp -d) && trap 'rm -rf "$$fresh"' EXIT && \
	    tar -cf - --exclude=build --exclude='*.egg-info' --exclude=__pycache__ \
	        pyproject.toml README.md LICENSE CHANGELOG.md logd client | tar -xf - -C "$$fresh" && \
	    $(pip) wheel --quiet --no-deps --wheel-dir "$$fresh/wheels" "$$fresh/client" "$$fresh" && \
	    $(pip) install --quiet --no-compile --no-deps --no-index --no-cache-dir \
	        --find-links "$$fresh/wheels" logd logd-client
	# Who installs is not needed to run, nor are commands of other packages.
	$(pip) uninstall --quiet --yes pip \
	    $$(test ! -d '$(staged)'/lib/python*/site-packages/setuptools || echo setuptools)
	find '$(staged)/bin' -type f ! -name logd -delete
	rm -rf '$(staged)/include' '$(staged)'/lib/python*/site-packages/_distutils_hack \
	    '$(staged)'/lib/python*/site-packages/distutils-precedence.pth
	sed -i '/^\.\.\/\.\.\/\.\.\/bin\//d' '$(staged)'/lib/python*/site-packages/*.dist-info/RECORD
	# Scripts name their interpreter by its whole path, which is another one once it is in place.
	sed -i 's|$(staged)|$(home)|g' '$(staged)/bin/logd' '$(staged)/pyvenv.cfg'
	# The service runs as a user of its own and sees no home folders.
	@case "$$('$(staged)/bin/python' -c 'import sys; print(sys.base_prefix)')" in \
	    /root/*|/home/*) echo 'Warning: $(PYTHON) is in a home folder, where the service can not' \
	        'use it; better: make install PYTHON=/usr/bin/python3' >&2 ;; esac
	# uvloop alone has 12 MB of names that only debuggers read.
	! command -v strip >/dev/null || \
	    find '$(staged)/lib' -name '*.so*' -type f -exec strip --strip-unneeded {} +
	find '$(staged)' -exec touch -h -d @$(SOURCE_DATE_EPOCH) {} +
	rm -rf '$(DESTDIR)$(home)'
	mv '$(staged)' '$(DESTDIR)$(home)'
	# Bytecode names the files as they will be, and is the same in each build.
	'$(DESTDIR)$(home)/bin/python' -B -m compileall -q --invalidation-mode timestamp \
	    $(if $(DESTDIR),-s '$(DESTDIR)' -p /) '$(DESTDIR)$(home)/lib'
	install -d '$(DESTDIR)$(PREFIX)/bin'
	ln -sfn ../lib/logd/bin/logd '$(DESTDIR)$(PREFIX)/bin/logd'

install-service:
	install -d '$(units)' '$(sysusers)' '$(tmpfiles)'
	for unit in $(UNITS); do \
	    sed 's|/usr/local/bin/logd|$(PREFIX)/bin/logd|; s|/etc/logd/|$(SYSCONFDIR)/logd/|' \
	        "systemd/$$unit" > '$(units)'/"$$unit" || exit; done
	install -m 644 systemd/sysusers.conf '$(sysusers)/logd.conf'
	sed 's|/etc/logd |$(SYSCONFDIR)/logd |' systemd/tmpfiles.conf > '$(tmpfiles)/logd.conf'
	install -d '$(DESTDIR)$(SYSCONFDIR)/lnav/formats/logd'
	install -m 644 systemd/lnav.json '$(DESTDIR)$(SYSCONFDIR)/lnav/formats/logd/logd.json'
	install -d -m 750 '$(settings)'
	test -e '$(settings)/logd.toml' || install -m 640 systemd/logd.toml '$(settings)/logd.toml'

# The manual and completions are made by the program that was just installed.
install-texts: install-environment
	$(installed) packages/manpages.py '$(share)/man'
	install -d $(foreach file,$(completions),'$(dir $(share)/$(file))') '$(share)/doc/logd/examples'
	$(installed) packages/completions.py bash > '$(share)/$(word 1,$(completions))'
	$(installed) packages/completions.py zsh > '$(share)/$(word 2,$(completions))'
	$(installed) packages/completions.py fish > '$(share)/$(word 3,$(completions))'
	install -m 644 LICENSE CHANGELOG.md '$(share)/doc/logd'
	install -m 644 packages/logrotate '$(share)/doc/logd/examples/logrotate'

uninstall: ## remove what install put in place; logs, state, settings and the user stay
	! test -d /run/systemd/system || test -n '$(DESTDIR)' || \
	    systemctl disable --now $(filter-out logd@%,$(UNITS))
	rm -rf '$(DESTDIR)$(home)' '$(share)/doc/logd'
	rm -f '$(DESTDIR)$(PREFIX)/bin/logd' $(UNITS:%='$(units)/%') \
	    '$(sysusers)/logd.conf' '$(tmpfiles)/logd.conf' $(completions:%='$(share)/%') \
	    '$(share)'/man/man1/logd.1 '$(share)'/man/man1/logd-*.1 '$(share)/man/man5/logd.toml.5' \
	    '$(DESTDIR)$(SYSCONFDIR)/lnav/formats/logd/logd.json'
	! test -d /run/systemd/system || test -n '$(DESTDIR)' || systemctl daemon-reload

deb: ## build a Debian package into the folder dist: EXTRAS=postgresql,mysql, PYTHON=/usr/bin/python3
	@command -v dpkg-deb >/dev/null || { echo 'dpkg-deb is needed: a Debian or Ubuntu' >&2; exit 1; }
	rm -rf build/deb
	$(MAKE) --no-print-directory install DESTDIR='$(CURDIR)/build/deb' PREFIX=/usr SYSCONFDIR=/etc \
	    PYTHON='$(if $(filter command,$(origin PYTHON)),$(PYTHON),/usr/bin/python3)' \
	    ZSH_COMPLETIONS=zsh/vendor-completions
	packages/deb/make-deb build/deb dist
	! command -v lintian >/dev/null || lintian --allow-root --fail-on none dist/logd_*.deb

clean: ## remove the environment and all that was built; logs stay
	rm -rf $(VENV) .venv-pythons build dist client/build *.egg-info client/*.egg-info \
	    .mypy_cache .pytest_cache .ruff_cache .hypothesis .coverage .coverage.*

check-python:
	@$(or $(PYTHON),python3) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	    found=$$($(or $(PYTHON),python3) --version 2>&1) || found='none'; \
	    echo "logd needs Python 3.11 or later, found $$found. Another one: make PYTHON=/path/to/it" >&2; \
	    exit 1; }

$(VENV)/bin/python: | check-python
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); \
	    echo 'no environment could be made; on Debian: apt-get install python3-venv' >&2; exit 1; }

$(VENV)/serve.stamp: $(PROJECTS) | $(VENV)/bin/python
	@echo 'Installing logd into $(VENV) ...'
	@$(PIP) install -e client -e .
	@$(compile)
	@touch $@

$(VENV)/dev.stamp: $(PROJECTS) | $(VENV)/bin/python
	@echo 'Installing logd and what its tests need into $(VENV) ...'
	@$(PIP) install -e client -e '.[dev,test,postgresql,mysql,web]'
	@$(compile)
	@touch $@ $(VENV)/serve.stamp
