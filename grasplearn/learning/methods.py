"""The ways of teaching by name; naming them needs no torch."""

from __future__ import annotations

from grasplearn.rules import RULES

# The demonstration imprinted, then only the head and the last block fine-tuned, exactly.
LAST_BLOCK = "last-block"
# The demonstration imprinted into the head and nothing else.
IMPRINT = "imprint"
# The same without the verifier's second look, to see what that adds.
UNVERIFIED = "imprint-unverified"
# The pre-trained net as it was loaded: it has not seen the demonstration.
UNTAUGHT = "untaught"

# In the order of the tables: imprinted and fine-tuned by each rule, then those that do less.
LEARNED = (*RULES, LAST_BLOCK, IMPRINT, UNVERIFIED, UNTAUGHT)
