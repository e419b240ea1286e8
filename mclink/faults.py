"""Faults of the core become messages. The words are in `fault_text`, loaded when there is a fault."""


def check(link):
    """Prints the pending faults and raises LinkError when the link has errors."""
    if link.tables is not None:
        rows = link.tables.faults()
        if rows:
            from mclink import fault_text
            fault_text.report_all(link, rows)
    link.diag.check()
