"""Conformance: public test suites are run, judged and counted, and compared with the committed result."""
