"""The Python pipeline guard's way: everything printed goes through a TeeStream into a RotatingFileHandler."""
import logging
import logging.handlers
import sys


class TeeStream:
    def __init__(self, console, logger):
        self.console, self.logger = console, logger

    def write(self, text):
        self.console.write(text)
        for line in text.rstrip().splitlines():
            self.logger.info(line)

    def flush(self):
        self.console.flush()


handler = logging.handlers.RotatingFileHandler("python.log", maxBytes=5_000_000, backupCount=5)
handler.setFormatter(logging.Formatter("%(asctime)s [%(levelname)s] %(message)s"))
logger = logging.getLogger("pipeline")
logger.setLevel(logging.INFO)
logger.addHandler(handler)
sys.stdout = TeeStream(sys.stdout, logger)
text = ("a line that is as cheap to format as a line can be " * 2)[:80]
for number in range(int(sys.argv[1])):
    print(f"{number:08} {text}")
