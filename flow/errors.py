# SPDX-License-Identifier: Apache-2.0
"""The exception whose message is shown to the user on the command line."""


class UserError(Exception):
    """An error that the user can fix: the message is one sentence that says what is wrong and how.

    A command prints it without a traceback and exits with `exit_code`.
    """

    exit_code = 2
