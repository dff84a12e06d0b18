from tests.services.cli.conftest import command

__all__ = ["command"]
