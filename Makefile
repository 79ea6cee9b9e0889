# make help lists the targets. The scripts do the work; this file only passes parameters to them.
.DEFAULT_GOAL := help
.PHONY: up down create destroy list logs health simulate halt extend token status clean test soak bench check dev help

# Parameters reach the scripts as environment variables. `value` takes them as they were typed, so that neither make nor
# a shell expands anything in them.
PARAMETERS := NAME TTL IMAGE PORT ENV MODE DURATION ROLE ARGS
$(foreach key,$(PARAMETERS),$(eval override $(key) := $$(value $(key))))
export $(PARAMETERS)

up: ## Start everything, from nothing if need be
	@scripts/up.sh

down: ## Destroy every environment and stop the platform
	@scripts/down.sh

create: ## Create an environment (asks, or NAME=hello TTL=30m IMAGE= PORT=)
	@scripts/cli.sh create

destroy: ## Destroy one (ENV=)
	@scripts/cli.sh destroy

list: ## Show every environment
	@scripts/cli.sh list

logs: ## Follow the logs of one (ENV=), until Ctrl-C
	@scripts/cli.sh logs

health: ## Show the health of all, or the last checks of one (ENV=)
	@scripts/cli.sh health

simulate: ## Break one: ENV= MODE=crash|pause|network|stress|recover [DURATION=30]
	@scripts/cli.sh simulate

halt: ## End every running outage at once
	@scripts/cli.sh halt

extend: ## Let one live longer: ENV= TTL=15m
	@scripts/cli.sh extend

token: ## Make a token for the API: NAME=ann ROLE=admin|member|viewer
	@scripts/cli.sh token

status: ## Show the health of the platform itself
	@scripts/cli.sh status

clean: ## Wipe state, routes, logs and archives (after make down)
	@scripts/clean.sh

test: ## Run every test (ARGS= is passed to vitest)
	@scripts/test.sh

soak: ## A long run of random operations and kills (SOAK_OPERATIONS=400 SOAK_SEED=)
	@scripts/soak.sh

bench: ## Measure the platform against the bare Docker engine (BENCH_ONLY= BENCH_SAMPLES= BENCH_MINUTES=)
	@scripts/bench.sh

check: ## Types, lint, format, import boundaries, dead code and tests
	@scripts/check.sh

dev: ## Run the API on the host instead of in a container (restarts when its code changes)
	@scripts/dev.sh

help: ## Show this
	@echo 'A self-service sandbox platform. Targets:'
	@sed -nE 's/^([a-z-]+):.*## (.*)/  \1|\2/p' $(firstword $(MAKEFILE_LIST)) | awk -F'|' '{ printf "  %-10s %s", $$1, $$2; for (i = 3; i <= NF; i++) printf "|%s", $$i; print "" }'
