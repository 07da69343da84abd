# SPDX-License-Identifier: Apache-2.0
"""os-brick's iSCSI connector, driven as test/hands drives test/inside: one request
a line on stdin, one answer a line on stdout. What is timed is the call alone: Python
has long started, and the modules are loaded."""

import json
import sys
import threading
import time

from oslo_concurrency import lockutils
from oslo_config import cfg

import os_brick
from os_brick import privileged
from os_brick.initiator import connector

lockutils.set_defaults("/run/lock/os-brick")
cfg.CONF([], project="bench")
os_brick.setup(cfg.CONF)
# What needs root runs in this process, which is root's, and not through sudo and a
# daemon: that is the quicker way.
privileged.default.set_client_mode(False)

iscsi = connector.InitiatorConnector.factory(
    "ISCSI", None, use_multipath=True, enforce_multipath=True)


def properties(volume):
    portals = volume["Portals"]
    return {
        "target_discovered": False,
        "target_portals": portals,
        "target_iqns": [volume["Target"]] * len(portals),
        "target_luns": [volume["LUN"]] * len(portals),
        "target_portal": portals[0],
        "target_iqn": volume["Target"],
        "target_lun": volume["LUN"],
        "volume_id": volume["WWID"],
        "discard": False,
    }


def at_once(work, volumes):
    """Calls work for each volume in a thread of its own, and returns the time until
    the last has ended, in nanoseconds, with the results."""
    results = [None] * len(volumes)

    def run(i):
        try:
            results[i] = work(volumes[i])
        except Exception as e:  # the bench wants the reason, whatever it is
            results[i] = e

    threads = [threading.Thread(target=run, args=(i,)) for i in range(len(volumes))]
    begin = time.monotonic_ns()
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    took = time.monotonic_ns() - begin
    for r in results:
        if isinstance(r, Exception):
            raise r
    return took, results


devices = {}  # by WWID: what connect_volume has returned


def attach(volumes):
    took, infos = at_once(lambda v: iscsi.connect_volume(properties(v)), volumes)
    for v, info in zip(volumes, infos):
        if not info.get("multipath_id"):  # it hands out a single path then, and warns
            print("%s came up without multipath: %s" % (v["WWID"], info), file=sys.stderr, flush=True)
        devices[v["WWID"]] = info
    return {"Took": took}


def detach(volumes):
    took, _ = at_once(
        lambda v: iscsi.disconnect_volume(properties(v), devices.pop(v["WWID"])), volumes)
    return {"Took": took}


operations = {"attach": attach, "detach": detach}

for line in iter(sys.stdin.readline, ""):
    request = json.loads(line)
    answer = {"ID": request["ID"], "Error": ""}
    try:
        answer["Result"] = operations[request["Op"]](request["Args"])
    except Exception as e:
        answer["Error"] = "%s: %s" % (type(e).__name__, e)
    print(json.dumps(answer), flush=True)
