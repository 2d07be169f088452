# SPDX-License-Identifier: BSD-2-Clause
"""What the measurements ran on, and whether anybody else was using it."""

import glob
import math
import os
import platform
import resource
import shutil
import subprocess
import time
from pathlib import Path

LOAD_LIMIT = 0.5       # one-minute load average, as a share of the processors
FOREIGN_LIMIT = 0.05   # processor time of others, as a share of the processors
STEAL_LIMIT = 0.02     # time the hypervisor gave to somebody else, likewise


def read(path):
    try:
        return Path(path).read_text().strip()
    except OSError:
        return ""


def output_of(*command, cwd=None):
    try:
        done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=10,
                              check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def quota_v2(path):
    """Processors allowed by a cgroup-v2 folder, or None."""
    words = read(f"{path}/cpu.max").split()
    return None if len(words) != 2 or words[0] == "max" else int(words[0]) / int(words[1])


def quota_v1(path):
    quota, period = read(f"{path}/cpu.cfs_quota_us"), read(f"{path}/cpu.cfs_period_us")
    return int(quota) / int(period) if quota and period and int(quota) > 0 else None


def cgroup_folders():
    """(folder, reader) for this process's cgroup and all above it, in both versions."""
    for line in read("/proc/self/cgroup").splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers == "":
            roots, reader = ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"], quota_v2
        elif "cpu" in controllers.split(","):
            roots, reader = [f"/sys/fs/cgroup/{controllers}", "/sys/fs/cgroup/cpu"], quota_v1
        else:
            continue
        for root in roots:
            folder = Path(root + path.rstrip("/"))
            while str(folder).startswith(root):
                yield folder, reader
                folder = folder.parent


def cpu_quota():
    """The tightest quota in processors, or None."""
    quotas = [reader(folder) for folder, reader in cgroup_folders()]
    return min((q for q in quotas if q), default=None)


def usable_cpus():
    visible = len(os.sched_getaffinity(0))
    quota = cpu_quota()
    return max(1, min(visible, math.ceil(quota)) if quota else visible)


def cpu_model():
    for line in read("/proc/cpuinfo").splitlines():
        if line.startswith(("model name", "Model")):
            return line.split(":", 1)[1].strip()
    return platform.machine()


def memory_kib():
    for line in read("/proc/meminfo").splitlines():
        if line.startswith("MemTotal:"):
            return int(line.split()[1])
    return 0


def compilers():
    found = {}
    for name in ("gcc", "clang"):
        if shutil.which(name):
            found[name] = (output_of(name, "--version").splitlines() or ["?"])[0]
    return found


def commit(source):
    name = output_of("git", "describe", "--always", "--dirty", "--abbrev=12", cwd=source)
    return name or "unknown"


def describe(source):
    files = glob.glob("/sys/devices/system/cpu/cpu*/cpufreq/scaling_governor")
    governors = {read(path) for path in files}
    quota = cpu_quota()
    return {
        "cpu": cpu_model(),
        "cpus_online": os.cpu_count(),
        "cpus_visible": len(os.sched_getaffinity(0)),
        "cpus_usable": usable_cpus(),
        "cgroup_quota_cpus": quota,
        "memory_kib": memory_kib(),
        "governor": ", ".join(sorted(governors)) or "not shown by the kernel",
        "kernel": f"{platform.system()} {platform.release()}",
        "compilers": compilers(),
        "flags": "-O3 -march=native",
        "commit": commit(source),
    }


def cpu_ticks():
    """(busy, stolen) processor seconds of the whole machine since boot."""
    words = read("/proc/stat").splitlines()[0].split()[1:]
    user, nice, system, _, _, irq, softirq, steal = [int(w) for w in words[:8]]
    hertz = os.sysconf("SC_CLK_TCK")
    return (user + nice + system + irq + softirq) / hertz, steal / hertz


def own_seconds():
    """Processor seconds of this process and of the children it has waited for."""
    total = 0.0
    for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN):
        usage = resource.getrusage(who)
        total += usage.ru_utime + usage.ru_stime
    return total


class Watch:
    """Watches the machine for the length of the measurements."""

    def __init__(self):
        self.cpus = os.cpu_count() or 1
        self.load_before = os.getloadavg()[0]
        self.begin = time.monotonic()
        self.busy, self.stolen = cpu_ticks()
        self.own = own_seconds()

    def finish(self):
        wall = max(time.monotonic() - self.begin, 1e-9)
        busy, stolen = cpu_ticks()
        foreign = max(0.0, busy - self.busy - (own_seconds() - self.own))
        return {
            "load_before": self.load_before,
            "load_after": os.getloadavg()[0],
            "seconds": wall,
            "foreign_share": foreign / (wall * self.cpus),
            "steal_share": (stolen - self.stolen) / (wall * self.cpus),
        }


def complaints(watched, cpus):
    """Why these measurements deserve no headline; empty on a quiet machine."""
    reasons = []
    if watched["load_before"] > LOAD_LIMIT * cpus:
        reasons.append(f"the load average was {watched['load_before']:.2f} before the first run")
    if watched["foreign_share"] > FOREIGN_LIMIT:
        reasons.append(f"other processes used {100 * watched['foreign_share']:.0f} % of the "
                       "processors meanwhile")
    if watched["steal_share"] > STEAL_LIMIT:
        reasons.append(f"the hypervisor took {100 * watched['steal_share']:.0f} % of the "
                       "processors away")
    return reasons
