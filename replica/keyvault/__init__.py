"""A stand-in for Azure Key Vault and for the part of Entra ID that its clients need: one process, two TLS listeners.

It speaks the public REST contract, so that the unchanged Azure SDKs work against it; docs/keyvault.md says what it is
faithful to and what it is not. It is for replicas and tests: no HSM stands behind it.
"""
