"""What the stack is made of, how it is packaged, and how this computer runs it."""
