"""FHIR R4: how a message Bundle is checked, read and written."""
