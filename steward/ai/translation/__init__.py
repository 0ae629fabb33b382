"""What is said in one provider's API, said in the other's: requests, answers and streams. Plain functions over JSON.

Whatever has no equal is refused by its name (`NotTranslatable`), never dropped: such a request is served by providers of
its own API alone. What is translated means the same to a caller who reads text, tool calls, why it stopped, and usage.
"""
