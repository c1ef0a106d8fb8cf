"""From a message on the task queue to the verdict on one attempt. Start with `deliver.py`."""
