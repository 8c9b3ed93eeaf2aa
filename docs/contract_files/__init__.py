"""Contracts as files: schemas, examples, AsyncAPI and OpenAPI, written from the code and compared with a release."""
