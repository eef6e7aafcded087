"""The verbs of `orrery user`, `oneuser`, `orrery group` and `onegroup`."""

import os
from pathlib import Path
from xml.etree.ElementTree import Element

import click

from orrery.cli import pools, tree
from orrery.cli.client import Client
from orrery.cli.failure import CommandFailed
from orrery.cli.group import verbs_of
from orrery.cli.measures import yes_no
from orrery.cli.noun import Noun, connected, for_each, resolve
from orrery.cli.sheet import field, heading, template_section, text_of
from orrery.cli.table import Column
from orrery.cli.text_input import reason
from orrery.cli.verbs import deleting, listing, showing, updating

TOKEN_S = 36_000

USER_COLUMNS = (
    Column("ID", text_of("ID"), "Its number", right=True),
    Column("NAME", text_of("NAME"), "Its name", shrinks=True),
    Column("ENAB", lambda one: yes_no(tree.value(one, "ENABLED")), "May log in"),
    Column("GROUP", text_of("GNAME"), "Primary group"),
    Column("AUTH", text_of("AUTH_DRIVER"), "How it proves who it is"),
)


def user_sheet(user: Element) -> list[str]:
    groups = ", ".join(map(str, tree.ids(user, "GROUPS")))
    return [
        heading(f"USER {tree.value(user, 'ID')} INFORMATION"),
        field("ID", tree.value(user, "ID")),
        field("NAME", tree.value(user, "NAME")),
        field("GROUP", tree.value(user, "GNAME")),
        field("GROUPS", groups),
        field("AUTH_DRIVER", tree.value(user, "AUTH_DRIVER")),
        field("ENABLED", yes_no(tree.value(user, "ENABLED"))),
        field("TOKENS", str(len(user.findall("LOGIN_TOKEN")))),
        *template_section(user, "TEMPLATE", "USER TEMPLATE"),
    ]


USER = Noun(pools.USER, USER_COLUMNS, user_sheet)

GROUP_COLUMNS = (
    Column("ID", text_of("ID"), "Its number", right=True),
    Column("NAME", text_of("NAME"), "Its name", shrinks=True),
    Column("USERS", lambda one: str(len(tree.ids(one, "USERS"))), "Its members", right=True),
)


def group_sheet(group: Element) -> list[str]:
    return [
        heading(f"GROUP {tree.value(group, 'ID')} INFORMATION"),
        field("ID", tree.value(group, "ID")),
        field("NAME", tree.value(group, "NAME")),
        field("USERS", ", ".join(map(str, tree.ids(group, "USERS"))) or "-"),
        field("ADMINS", ", ".join(map(str, tree.ids(group, "ADMINS"))) or "-"),
        *template_section(group, "TEMPLATE", "GROUP TEMPLATE"),
    ]


GROUP = Noun(pools.GROUP, GROUP_COLUMNS, group_sheet)


def asked_secret(given: str | None) -> str:
    """A password as argument, or typed twice."""
    if given is not None:
        return given
    typed: str = click.prompt("New password", hide_input=True, confirmation_prompt=True, err=True)
    return typed


@click.command("create")
@click.argument("name")
@click.argument("secret", required=False, metavar="[PASSWORD]")
@click.option("--group", "groups", multiple=True, metavar="ID|NAME", help="Its groups.")
@click.option("--driver", default="core", help="How it proves who it is.")
@connected
def create(
    client: Client, *, name: str, secret: str | None, groups: tuple[str, ...], driver: str
) -> None:
    """Create a user; the password is asked for when not given."""
    ids = resolve(client, pools.GROUP, groups) if groups else []
    more = [ids] if ids else []
    found = client.number("one.user.allocate", name, asked_secret(secret), driver, *more)
    click.echo(f"ID: {found}")


@click.command("passwd")
@click.argument("targets", metavar="ID|NAME,...")
@click.argument("secret", required=False, metavar="[PASSWORD]")
@connected
def passwd(client: Client, *, targets: str, secret: str | None) -> int:
    """Change a password; asked for when not given."""
    ids = resolve(client, pools.USER, [targets])
    new = asked_secret(secret)
    return for_each(ids, lambda one: client.call("one.user.passwd", one, new))


@click.command("login")
@click.argument("name", required=False)
@click.option("--time", "valid", type=int, default=TOKEN_S, metavar="S", help="Valid for; -1 ever.")
@click.option("--force", is_flag=True, help="Overwrite the credentials file.")
@click.option("--print", "only_print", is_flag=True, help="Print the token and write no file.")
@connected
def login(client: Client, *, name: str | None, valid: int, force: bool, only_print: bool) -> None:
    """Get a token that stands for the password, and use it from now on."""
    user = name or client.session.partition(":")[0]
    file = auth_file()
    if not only_print and file.exists() and not force:
        raise CommandFailed(f"{file} exists: --force replaces it, --print only shows the token")
    token = client.text("one.user.login", user, "", valid, -1)
    if only_print:
        click.echo(token)
        return
    keep_secret(file, f"{user}:{token}\n")
    click.echo(f"Token written to {file}")


def auth_file() -> Path:
    return Path(os.environ.get("ONE_AUTH") or Path.home() / ".one/one_auth")


def keep_secret(file: Path, text: str) -> None:
    """Write a file nobody else can read, whole or not at all."""
    beside = file.with_name(file.name + ".new")
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        beside.unlink(missing_ok=True)
        with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as out:
            out.write(text)
        beside.replace(file)
    except OSError as error:
        raise CommandFailed(f"cannot write {file}: {reason(error)}") from error


COMMANDS = verbs_of(
    "user",
    "Users, passwords and login tokens.",
    [
        listing(USER),
        showing(USER),
        create,
        passwd,
        login,
        updating(USER),
        deleting(USER),
    ],
)

GROUP_COMMANDS = verbs_of(
    "group",
    "Groups of users.",
    [listing(GROUP), showing(GROUP)],
)
