"""The subcommands of ``framelens-train``, one a module; importing a module registers its command."""
