"""The contract: messages, Avro records, topics, signing, sealing. Imports nothing else of the project."""
