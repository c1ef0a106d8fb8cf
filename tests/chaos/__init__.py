"""Real processes, killed; and overload. `make chaos`, `make overload`; a small version of each is a test.

    clients, a clerk ──> the product ──X──> the witness        X: SIGKILL, an outage, a lost answer
            └───────── what each of them knows ──> the verdict

`verdict` is pure; `witness` is a process of its own; `clients` follow the API's rules; `scenes` are what the
product runs on; `play` lets it all happen, and the `inquiry` gathers what is known of it.
"""
