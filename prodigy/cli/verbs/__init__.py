"""One file per verb: reads its arguments, asks the floors below, hands the answer to the printer."""
