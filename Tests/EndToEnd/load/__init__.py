"""Mail for tests: messages of every size and form, and a client that keeps a ledger of each 250."""
