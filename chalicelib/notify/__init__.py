"""From a message on the exhausted queue to a notice in a human's hands. Start with `notify.py`."""
