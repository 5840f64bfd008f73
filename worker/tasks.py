"""The one task: look for a job and run it. What is asked of Celery ends here."""

from core.queue import GENERATE_TASK
from worker import bootstrap
from worker.celery import app


@app.task(name=GENERATE_TASK)
def generate() -> None:
    """Run the best ready job, if there is one. A message that came twice or late finds none and returns."""
    bootstrap.runner().run_next()
