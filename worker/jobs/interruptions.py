"""What ends an attempt without ending its job: the job has to be given back."""


class WorkerStops(Exception):
    """The worker was asked to stop and this job would not end in time."""


class DeviceBroken(Exception):
    """The device computes nothing more in this process; the message says how it broke."""
