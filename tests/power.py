#!/usr/bin/env python3
"""power - the directory that a power loss leaves (see tests/preload_power.c)

  power.py begin DIR SHADOW           all that is in DIR now counts as synced
  power.py loss DIR SHADOW OUT SEED   makes OUT: what was synced, and of the rest a random part
"""
# SPDX-License-Identifier: Apache-2.0
import os
import random
import shutil
import sys

SECTOR = 512


def begin(top, shadow):
    shutil.rmtree(shadow, ignore_errors=True)
    for kind in "fd":
        os.makedirs(f"{shadow}/{kind}")
    os.makedirs(top, exist_ok=True)
    for path, dirs, files in os.walk(top):
        with open(f"{shadow}/d/{os.stat(path).st_ino}", "w") as out:
            for name in dirs + files:
                out.write(f"{os.stat(os.path.join(path, name)).st_ino} {name}\n")
        for name in files:
            whole = os.path.join(path, name)
            shutil.copyfile(whole, f"{shadow}/f/{os.stat(whole).st_ino}")


def read(path):
    try:
        with open(path, "rb") as file:
            return file.read()
    except FileNotFoundError:
        return b""


def mix(synced, live, rng):
    """Sectors that were not synced are there or not; the size is anything between the two."""
    size = rng.choice([len(synced), len(live), rng.randint(*sorted((len(synced), len(live))))])
    out = bytearray(size)
    for at in range(0, size, SECTOR):
        end = min(at + SECTOR, size)
        old, new = synced[at:end].ljust(end - at, b"\0"), live[at:end].ljust(end - at, b"\0")
        out[at:end] = new if old == new or rng.random() < 0.5 else old
    # What was synced and not written again since cannot go.
    keep = min(len(synced), len(live), size)
    assert out[:keep] == synced[:keep] or synced[:keep] != live[:keep]
    return bytes(out)


def loss(top, shadow, out, seed):
    rng = random.Random(seed)
    live = {}
    for path, _, files in os.walk(top):
        for name in files:
            whole = os.path.join(path, name)
            live[os.stat(whole).st_ino] = whole
    is_dir = {os.stat(path).st_ino for path, _, _ in os.walk(top)}

    def build(inode, real, target):
        os.makedirs(target)
        names = read(f"{shadow}/d/{inode}").decode().splitlines()
        synced = dict(reversed(line.split(" ", 1)) for line in names)
        # A name that was made, or removed, without a sync of the directory: either way.
        now = {}
        if real and os.path.isdir(real):
            now = {name: str(os.stat(os.path.join(real, name)).st_ino) for name in os.listdir(real)}
        for name in sorted(set(synced) | set(now)):
            choices = [synced.get(name), now.get(name)]
            child = choices[0] if choices[0] == choices[1] else rng.choice(choices)
            if child is None:
                continue
            below = os.path.join(real, name) if real else None
            if int(child) in is_dir or os.path.exists(f"{shadow}/d/{child}"):
                build(int(child), below, f"{target}/{name}")
                continue
            old = read(f"{shadow}/f/{child}")
            new = read(live[int(child)]) if int(child) in live else old
            with open(f"{target}/{name}", "wb") as file:
                file.write(mix(old, new, rng))

    shutil.rmtree(out, ignore_errors=True)
    build(os.stat(top).st_ino, top, out)


if sys.argv[1] == "begin":
    begin(sys.argv[2], sys.argv[3])
else:
    loss(sys.argv[2], sys.argv[3], sys.argv[4], int(sys.argv[5]))
