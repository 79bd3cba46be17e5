"""No models: Django tells an application of the end of ``migrate`` only if it has this module."""
