"""The verbs of `orrery image` and `oneimage`."""

import sys
from pathlib import Path
from xml.etree.ElementTree import Element

import click

from orrery.cli import pools, screen, states, tree
from orrery.cli.client import Client
from orrery.cli.follow import follow_image
from orrery.cli.group import verbs_of
from orrery.cli.measures import mib, moment, size_mib, yes_no
from orrery.cli.noun import Noun, connected, resolve_one
from orrery.cli.sheet import (
    common_columns,
    field,
    opening,
    permissions,
    template_section,
    text_of,
)
from orrery.cli.table import Column
from orrery.cli.text_input import attribute, with_options
from orrery.cli.verbs import (
    action,
    chmod,
    chown,
    deleting,
    listing,
    renaming,
    showing,
    updating,
)

IMAGE_WAIT_S = 3600.0


def short_state(image: Element) -> str:
    return states.nth(states.IMAGE_STATES, tree.number(image, "STATE"))


COLUMNS = (
    *common_columns(),
    Column("DATASTORE", text_of("DATASTORE"), "Where it lies", shrinks=True),
    Column("SIZE", lambda one: size_mib(tree.number(one, "SIZE")), "Its size", right=True),
    Column(
        "TYPE",
        lambda one: states.nth(states.IMAGE_TYPES_SHORT, tree.number(one, "TYPE")),
        "OS, CD (cdrom) or DB (datablock)",
    ),
    Column("PER", lambda one: yes_no(tree.value(one, "PERSISTENT")), "Whether VMs change it"),
    Column("STAT", short_state, "Short state"),
    Column("RVMS", text_of("RUNNING_VMS"), "VMs that use it", right=True),
    Column("FORMAT", text_of("FORMAT"), "raw or qcow2", shown=False),
)


def sheet(image: Element) -> list[str]:
    return [
        *opening("IMAGE", image),
        field("DATASTORE", tree.value(image, "DATASTORE")),
        field("TYPE", states.nth(states.IMAGE_TYPES, tree.number(image, "TYPE"))),
        field("REGISTER TIME", moment(tree.number(image, "REGTIME"))),
        field("PERSISTENT", yes_no(tree.value(image, "PERSISTENT"))),
        field("SOURCE", tree.value(image, "SOURCE")),
        field("PATH", tree.value(image, "PATH")),
        field("FORMAT", tree.value(image, "FORMAT")),
        field("SIZE", size_mib(tree.number(image, "SIZE"))),
        field("STATE", states.nth(states.IMAGE_STATE_NAMES, tree.number(image, "STATE"))),
        field("VMS", ", ".join(map(str, tree.ids(image, "VMS"))) or "-"),
        *permissions(image),
        *template_section(image, "TEMPLATE", "IMAGE TEMPLATE"),
    ]


IMAGE = Noun(pools.IMAGE, COLUMNS, sheet)


@click.command("create")
@click.argument("file", required=False)
@click.option("-d", "--datastore", default="default", metavar="ID|NAME", help="Where to keep it.")
@click.option("--name", metavar="TEXT", help="Its name.")
@click.option("--path", metavar="PATH|URL", help="Where it comes from.")
@click.option("--size", metavar="SIZE", help="Size of an empty image: 512, 512m or 2g.")
@click.option("--type", "kind", metavar="TYPE", help="OS, CDROM or DATABLOCK.")
@click.option("--format", "form", metavar="FORMAT", help="raw or qcow2.")
@click.option("--persistent", is_flag=True, help="VMs change it, one at a time.")
@click.option("--checksum", metavar="sha256:HEX", help="Refuse it when its data differ.")
@click.option("--prefix", metavar="PREFIX", help="Device names in the guest: vd, sd, hd.")
@click.option("--description", metavar="TEXT", help="Text for people.")
@click.option(
    "--wait/--no-wait", default=None, help="Show progress until READY; a terminal's default."
)
@click.option("--timeout", type=float, default=IMAGE_WAIT_S, metavar="S", help="Seconds to wait.")
@connected
def create(
    client: Client,
    *,
    file: str | None,
    datastore: str,
    wait: bool | None,
    timeout: float,
    **given: str | bool | None,
) -> None:
    """Register an image from a template FILE, or from options."""
    text = with_options(file, template_of(given))
    image_id = client.number(
        "one.image.allocate", text, resolve_one(client, pools.DATASTORE, datastore)
    )
    click.echo(f"ID: {image_id}")
    if screen.is_terminal(sys.stdout) if wait is None else wait:
        follow_image(client, image_id, timeout)


def template_of(given: dict[str, str | bool | None]) -> str:
    """The template that the options describe; empty when none was used."""
    text = {name: found for name, found in given.items() if isinstance(found, str)}
    pairs = {
        "NAME": text.get("name"),
        "PATH": absolute(text.get("path")),
        "SIZE": str(mib(text["size"], "--size")) if "size" in text else None,
        "TYPE": text.get("kind", "").upper(),
        "FORMAT": text.get("form"),
        "PERSISTENT": "YES" if given["persistent"] else None,
        "CHECKSUM": text.get("checksum"),
        "DEV_PREFIX": text.get("prefix"),
        "DESCRIPTION": text.get("description"),
    }
    return "".join(attribute(name, found) + "\n" for name, found in pairs.items() if found)


def absolute(path: str | None) -> str | None:
    """The engine has another working directory than we."""
    return str(Path(path).absolute()) if path and "://" not in path else path


def enabling(name: str, about: str, method: str, *, on: bool) -> click.Command:
    return action(IMAGE, name, about, f"one.image.{method}", lambda one: [one, on])


COMMANDS = verbs_of(
    "image",
    "Disk images: register, share, delete.",
    [
        listing(IMAGE),
        showing(IMAGE),
        create,
        deleting(IMAGE),
        enabling("persistent", "VMs change the image, one VM at a time.", "persistent", on=True),
        enabling("nonpersistent", "VMs get copies of the image.", "persistent", on=False),
        enabling("enable", "Let VMs use images.", "enable", on=True),
        enabling("disable", "Let no more VMs use images.", "enable", on=False),
        renaming(IMAGE),
        chmod(IMAGE),
        chown(IMAGE),
        updating(IMAGE),
    ],
)
