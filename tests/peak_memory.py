"""The peak of a child process's own memory, for code that runs in one."""

PEAK_KIB = """
def peak_kib():
    # Not ru_maxrss: it begins at the peak of the process that started this one.
    return int(open("/proc/self/status").read().split("VmHWM:")[1].split()[0])
"""
