import platform
import subprocess
import sys

COUNT = """
import mmap, resource
import torch
from pipeline.plumbing.memory import keep_freed

def new_pages():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    torch.ones(2**22)  # 16 MiB, freed at once
    return (resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before) * mmap.PAGESIZE / 2**24

new_pages()
given_back = new_pages()
keep_freed()
print(given_back, min(new_pages() for _ in range(8)))  # small blocks may lie in the way of the first
"""


def test_freed_memory_is_used_again_without_the_system():
    assert platform.libc_ver()[0] == "glibc", "another C library is left as it is; run the tests on Linux with glibc"
    told = subprocess.run([sys.executable, "-c", COUNT], capture_output=True, text=True, check=True).stdout
    before, after = map(float, told.split())
    assert after < 0.01  # of the block; before, all of it, but where the system gives out larger pages
    assert after <= before


HOLES = """
import torch
from pipeline.plumbing.memory import keep_freed, release_freed

def resident():
    with open("/proc/self/statm") as numbers:
        return int(numbers.read().split()[1]) / 2**18  # GiB, of pages of 4 KiB

keep_freed()
blocks = [torch.ones(2**18) for _ in range(512)]  # 1 MiB each
kept = blocks[::2]
del blocks
full = resident()
release_freed()
print(full - resident())
"""


def test_what_lies_free_between_what_is_held_is_given_back():
    told = subprocess.run([sys.executable, "-c", HOLES], capture_output=True, text=True, check=True).stdout
    assert 0.2 < float(told) < 0.3  # a quarter of a GiB lay free
