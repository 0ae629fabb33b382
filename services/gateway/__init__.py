"""The way to AI providers: limits that hold, fail-over before the first token, every attempt in the ledger, no content kept.

One process is one worker; any number of them share limits and health in Redis and the ledger in PostgreSQL. It speaks
OpenAI's API and Anthropic's, so that their own clients work against it unchanged. docs/gateway.md
"""
