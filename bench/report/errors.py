# SPDX-License-Identifier: BSD-2-Clause
"""The one exception the driver shows to its user: a line that names the culprit."""


class Complaint(Exception):
    """Printed as one line; the exit status is 2."""
