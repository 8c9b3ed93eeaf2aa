"""The system's messages as one AsyncAPI 3 document."""

from docs.contract_files.asyncapi.document import as_yaml, asyncapi, document

__all__ = ["as_yaml", "asyncapi", "document"]
