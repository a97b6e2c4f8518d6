"""How a mail gets into mailboxes: routes, sealed copies, storing all of them or none."""
