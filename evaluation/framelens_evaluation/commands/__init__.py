"""The subcommands of ``framelens-eval``, one a module; importing a module registers its command."""
