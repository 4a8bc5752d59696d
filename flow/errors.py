"""The one exception whose message is meant for the person at the command line."""


class UserError(Exception):
    """Something the user can put right: the message is one sentence that says what and how.

    A command prints it without a traceback and exits with `exit_code`.
    """

    exit_code = 2
