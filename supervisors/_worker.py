"""The first steps of a worker process: ``python -P -m supervisors._worker CONFIG``.

Rules, in this order, since each protects what follows:

- The terminal's signals are not for us: our coordinator decides.
- When the coordinator dies the kernel sends us SIGCONT, so that even a stopped worker wakes and reads the end of file.
- The zygote is started before anything slow is imported, and boots meanwhile.
- What is imported is no garbage: it is not searched for any, then or later.
- Only then is our limit of open files raised, since each running command costs us three: commands keep the usual one.
"""

import gc
import json
import os
import resource
import signal
import sys

from supervisors._reaper import PR_SET_PDEATHSIG, prctl
from supervisors._spawn import spawn_zygote


def main() -> None:
    """Serve jobs for the coordinator that started us."""
    config = json.loads(sys.argv[1])
    for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    prctl(PR_SET_PDEATHSIG, signal.SIGCONT)
    if os.getppid() != config["coordinator"]:  # it died before the kernel knew our wish
        return
    for descriptor in (config["channel"], config["pulse"], *config["kept"]):
        os.set_inheritable(descriptor, False)
    zygote = spawn_zygote(config["kept"])
    gc.disable()
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))

    from supervisors._jobs import run_worker

    run_worker(config["program"], config["channel"], config["pulse"], zygote)


if __name__ == "__main__":
    main()
