"""Options that describe a VM (--cpu, --disk ...), and the template they make. Calls nothing."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from orrery.cli.failure import CommandFailed
from orrery.cli.measures import mib
from orrery.cli.noun import Decorated
from orrery.cli.text_input import Pairs, attribute, pair, reason, vector

USER_KEY = "$USER[SSH_PUBLIC_KEY]"

OPTIONS: tuple[Callable[[Decorated], Decorated], ...] = (
    click.option("--cpu", type=float, metavar="N", help="CPUs to reserve, 0.5 is half of one."),
    click.option("--vcpu", type=int, metavar="N", help="CPUs the guest sees."),
    click.option("--memory", metavar="SIZE", help="Memory: 512, 512m or 1.5g."),
    click.option(
        "--disk", "disks", multiple=True, metavar="IMAGE[:K=V]", help="Image by id or name."
    ),
    click.option(
        "--nic", "nics", multiple=True, metavar="NET[:K=V]", help="Network by id or name."
    ),
    click.option(
        "--ssh",
        is_flag=False,
        flag_value=USER_KEY,
        metavar="[FILE|KEY]",
        help="Key for logging in.",
    ),
    click.option(
        "--net_context", "--net-context", is_flag=True, help="Configure guest networking."
    ),
    click.option("--context", multiple=True, metavar="K=V", help="More for the guest's context."),
    click.option("--startscript", metavar="FILE", help="Script that the guest runs at start."),
    click.option("--vnc", is_flag=True, help="A VNC console."),
    click.option("--vnc-password", metavar="TEXT", help="Password of the VNC console."),
    click.option("--boot", metavar="DEVS", help="Boot order, for example disk0,nic0."),
    click.option("--arch", metavar="ARCH", help="Architecture, for example x86_64."),
    click.option("--raw", metavar="TEXT", help="More template text, as it is."),
)


def describes_vm(function: Decorated) -> Decorated:
    """Adds these options; the command gets them as keyword arguments."""
    for option in reversed(OPTIONS):
        function = option(function)
    return function


def template_of(name: str | None, given: dict[str, Any]) -> str:
    """The template text that the options describe; empty when none was used."""
    lines = [attribute("NAME", name)] if name is not None else []
    lines += capacity(given)
    lines += [vector("DISK", part(text, "--disk", "IMAGE")) for text in listed(given["disks"])]
    lines += [vector("NIC", part(text, "--nic", "NETWORK")) for text in listed(given["nics"])]
    lines += machine(given)
    context = context_pairs(given)
    lines += [vector("CONTEXT", context)] if context else []
    lines += [given["raw"]] if given["raw"] else []
    return "\n".join(lines) + "\n" if lines else ""


def capacity(given: dict[str, Any]) -> list[str]:
    found: Pairs = []
    if given["cpu"] is not None:
        found.append(("CPU", f"{given['cpu']:g}"))
    if given["vcpu"] is not None:
        found.append(("VCPU", str(given["vcpu"])))
    if given["memory"] is not None:
        found.append(("MEMORY", str(mib(given["memory"], "--memory"))))
    return [attribute(key, text) for key, text in found]


def machine(given: dict[str, Any]) -> list[str]:
    """GRAPHICS and OS."""
    lines = []
    if given["vnc"] or given["vnc_password"]:
        password = [("PASSWD", given["vnc_password"])] if given["vnc_password"] else []
        lines.append(vector("GRAPHICS", [("TYPE", "vnc"), ("LISTEN", "127.0.0.1"), *password]))
    system = [(key, given[key.lower()]) for key in ("BOOT", "ARCH") if given[key.lower()]]
    return [*lines, vector("OS", system)] if system else lines


def context_pairs(given: dict[str, Any]) -> Pairs:
    found: Pairs = []
    if given["net_context"]:
        found.append(("NETWORK", "YES"))
    if given["ssh"] is not None:
        found.append(("SSH_PUBLIC_KEY", key_of(given["ssh"])))
    if given["startscript"] is not None:
        found.append(("START_SCRIPT_BASE64", encoded(given["startscript"])))
    for text in given["context"]:
        found.append(pair(text, "--context"))
    return found


def key_of(text: str) -> str:
    """A public key given as such, or the content of the file that holds it."""
    if text == USER_KEY or " " in text:
        return text
    return read(text, "--ssh").strip()


def encoded(file: str) -> str:
    """Base64, so that no quote of the script meets one of the template."""
    from base64 import b64encode

    return b64encode(read(file, "--startscript").encode()).decode()


def read(file: str, option: str) -> str:
    try:
        return Path(file).read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise CommandFailed(f"{option}: cannot read {file!r}: {reason(error)}") from error


def listed(texts: tuple[str, ...]) -> list[str]:
    """`--disk a,b --disk c` is a, b, c."""
    return [word for text in texts for word in text.split(",") if word]


def part(text: str, option: str, word: str) -> Pairs:
    """`12`, `web`, `user[web]`, each with `:key=value` behind, as the pairs of a DISK or NIC."""
    name, *more = text.split(":")
    owner, bracket, inner = name.partition("[")
    if bracket:
        pairs = [(word, inner.removesuffix("]")), (f"{word}_UNAME", owner)]
    else:
        pairs = [(f"{word}_ID" if name.isdigit() else word, name)]
    return pairs + [pair(one, option) for one in more]
