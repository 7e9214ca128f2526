.PHONY: test-versions
test-versions:  ## the integration tests with transformers 4.57.6, 5.0.0 and the newest
	PYTHON=$(PYTHON) tests/versions.sh
