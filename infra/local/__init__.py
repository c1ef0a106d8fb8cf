"""The product on this computer, in one process: `python -m infra.local`, or `make run`.

`__main__` puts it together. `server` answers HTTP, with `gateway` in the part of API Gateway; `sources`
feeds the handlers as Lambda does; `receiver` is a flaky partner to try things with.
"""
