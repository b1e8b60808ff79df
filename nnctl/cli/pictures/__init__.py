"""Pictures, each drawn from plain figures into PNG bytes; Matplotlib is imported when one is drawn."""

import logging

# Where it cannot write its cache it says so in two lines on stderr, and goes on without: nothing that helps anybody.
logging.getLogger("matplotlib").setLevel(logging.ERROR)
