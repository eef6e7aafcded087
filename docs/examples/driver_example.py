#!/usr/bin/env python3
"""A driver in one file and the standard library: its domains are entries of a dictionary.

Try it: orrery driver check python3 docs/examples/driver_example.py
The protocol: docs/reference/driver-protocol.md
"""

import json
import sys
import threading
import time

DOMAINS = {}  # uuid -> name
LOCK = threading.Lock()


def say(message):
    with LOCK:  # lines of different threads must not mix
        sys.stdout.write(json.dumps(message) + "\n")
        sys.stdout.flush()


def done(**result):
    return {"type": "done", "result": result}


def failed(text):
    return {"type": "failed", "message": text, "retryable": False}


def create(domain):
    if domain["uuid"] not in DOMAINS and domain["name"] in DOMAINS.values():
        return failed(f"a domain named {domain['name']!r} is there with another uuid")
    DOMAINS[domain["uuid"]] = domain["name"]
    return done(deploy_id=domain["uuid"])


def shutdown(ref, timeout_s):
    if ref["name"].startswith("deaf") and ref["uuid"] in DOMAINS:  # a guest without ACPI
        time.sleep(timeout_s)
        return failed(f"{ref['name']} still runs after {timeout_s} s")
    return destroy(ref)


def destroy(ref):
    if DOMAINS.pop(ref["uuid"], None):  # absent is done
        say({"type": "domain", "uuid": ref["uuid"], "name": ref["name"], "event": "stopped"})
    return done()


def state(ref):
    return done(state="running" if ref["uuid"] in DOMAINS else "absent")


def inventory():
    room = {"cpu_pct": 800, "memory_mib": 16384, "disk_mib": 0}
    domains = [
        {"uuid": u, "name": n, "state": "running", "owner": None, "vm_id": None}
        for u, n in DOMAINS.items()
    ]
    facts = {"HYPERVISOR": "example", "ARCH": "x86_64"}
    return done(total=room, free=room, facts=facts, capabilities=[], domains=domains)


METHODS = {f"hypervisor.{f.__name__}": f for f in (create, shutdown, destroy, state, inventory)}


def serve(call):
    try:
        outcome = METHODS[call["method"]](**call["arguments"])
    except Exception as error:  # an outcome for every call, whatever happens
        outcome = failed(f"{call['method']}: {error!r}")
    say({"type": "answer", "id": call["id"], "outcome": outcome})


say({"type": "hello", "protocol": 1, "name": "example", "methods": list(METHODS)})
for line in sys.stdin:
    try:
        call = json.loads(line)
        call["id"], call["method"], call["arguments"]
    except (ValueError, KeyError, TypeError) as error:
        say({"type": "log", "level": "error", "text": f"not a call: {error}"})
        continue
    threading.Thread(target=serve, args=(call,), daemon=True).start()
