"""The image: the script that makes its root, the programs that go into it, and a way to build it without Docker."""
