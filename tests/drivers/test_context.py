"""The context volume: the ISO's bytes read back by others, and what is written on it."""

import base64
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orrery.core.capacity import Capacity
from orrery.core.context import context_files, context_pairs, context_script, host_name
from orrery.core.errors import InvalidInput
from orrery.core.model.network import AddressRange, VirtualNetwork
from orrery.core.model.vm import Nic, Vm
from orrery.core.status import NetworkStatus, VmStatus
from orrery.core.template import Pairs, Template
from orrery.drivers.context import iso_image

names = st.from_regex(r"[a-zA-Z0-9_][a-zA-Z0-9_.-]{0,40}", fullmatch=True)
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5 ann@example.org"


# --- the volume -----------------------------------------------------------------------------------


def read_back(image: Path, name: str, *options: str) -> bytes:
    argv = ["isoinfo", *options, "-i", str(image), "-x", name]
    return subprocess.run(argv, check=True, capture_output=True).stdout


def written(tmp_path: Path, label: str, files: dict[str, bytes]) -> Path:
    image = tmp_path / "volume.iso"
    image.write_bytes(iso_image(label, files))
    return image


needs_isoinfo = pytest.mark.skipif(not shutil.which("isoinfo"), reason="isoinfo is not installed")


@needs_isoinfo
def test_volume_is_read_by_a_reader_that_is_not_ours(tmp_path: Path) -> None:
    files = {"context.sh": b"A='1'\n", "user-data": b"x" * 5000, "network-config": b"", "m": b"q"}
    image = written(tmp_path, "CONTEXT", files)
    for name, data in files.items():
        assert read_back(image, f"/{name}", "-J") == data
    assert read_back(image, "/CONTEXT.SH;1") == files["context.sh"]
    told = subprocess.run(
        ["isoinfo", "-d", "-i", str(image)], check=True, capture_output=True, text=True
    ).stdout
    assert "Volume id: CONTEXT" in told
    assert f"Volume size is: {image.stat().st_size // 2048}\n" in told


@needs_isoinfo
def test_directory_of_many_sectors_is_read_whole(tmp_path: Path) -> None:
    files = {f"a-rather-long-name-{n:03}.conf": str(n).encode() for n in range(120)}
    image = written(tmp_path, "cidata", files)
    listing = subprocess.run(
        ["isoinfo", "-J", "-f", "-i", str(image)], check=True, capture_output=True, text=True
    ).stdout
    assert set(listing.split()) == {f"/{name}" for name in files}
    assert read_back(image, "/a-rather-long-name-119.conf", "-J") == b"119"


def test_label_lies_where_a_guest_without_tools_looks(tmp_path: Path) -> None:
    assert iso_image("cidata", {"meta-data": b""})[32808:32840] == b"cidata".ljust(32)


@given(st.dictionaries(names, st.binary(max_size=3000), max_size=12))
def test_same_files_give_the_same_bytes_in_whole_sectors(files: dict[str, bytes]) -> None:
    files = {name: data for name, data in files.items() if name not in (".", "..")}
    image = iso_image("CONTEXT", files)
    assert image == iso_image("CONTEXT", dict(reversed(files.items())))
    assert len(image) % 2048 == 0
    assert all(data in image for data in files.values())


@pytest.mark.parametrize("name", ["", "..", "a/b", "x" * 65, "ä", "a b"])
def test_name_that_could_lead_elsewhere_is_refused(name: str) -> None:
    with pytest.raises(InvalidInput):
        iso_image("CONTEXT", {name: b""})


def test_label_that_is_too_long_is_refused() -> None:
    with pytest.raises(InvalidInput):
        iso_image("x" * 17, {})


# --- what is written on it ----------------------------------------------------------------------


def make_nic(index: int = 0, **changes: object) -> Nic:
    base = {
        "id": index,
        "network_id": 1,
        "ar_id": 0,
        "index": index,
        "mac": f"02:00:0A:09:00:0{index + 5}",
        "ip": f"10.9.0.{index + 5}",
        "bridge": "brn",
        "target": f"one-7-{index}",
        "vn_mad": "nat",
    }
    return Nic(**{**base, **changes})  # type: ignore[arg-type]


def make_vm(*context: tuple[str, str], nics: tuple[Nic, ...] = ()) -> Vm:
    return Vm(
        id=7,
        name="Web_1.Example",
        uid=3,
        gid=4,
        status=VmStatus.PENDING,
        prev_status=VmStatus.PENDING,
        capacity=Capacity(),
        vcpu=1,
        stime=0.0,
        template=Template((("CONTEXT", context),)),
        user_template=Template(),
        nics=nics,
    )


def make_network(**attributes: str) -> VirtualNetwork:
    return VirtualNetwork(
        id=1,
        name="net",
        uid=0,
        gid=0,
        status=NetworkStatus.READY,
        vn_mad="nat",
        bridge="brn",
        ranges=(AddressRange(id=0, type="IP4", size=9, ip="10.9.0.5", mac="02:00:0a:09:00:05"),),
        template=Template(tuple(attributes.items())),
    )


NET = make_network(
    NETWORK_MASK="255.255.255.0", GATEWAY="10.9.0.1", DNS="192.0.2.53 192.0.2.54", GUEST_MTU="1450"
)


def test_network_yes_describes_each_nic() -> None:
    vm = make_vm(("NETWORK", "YES"), nics=(make_nic(), make_nic(1, network_id=2)))
    pairs = dict(context_pairs(vm, {1: NET}))
    assert pairs == {
        "NETWORK": "YES",
        "ETH0_MAC": "02:00:0A:09:00:05",
        "ETH0_IP": "10.9.0.5",
        "ETH0_MASK": "255.255.255.0",
        "ETH0_NETWORK": "10.9.0.0",
        "ETH0_GATEWAY": "10.9.0.1",
        "ETH0_DNS": "192.0.2.53 192.0.2.54",
        "ETH0_MTU": "1450",
        "ETH1_MAC": "02:00:0A:09:00:06",
        "ETH1_IP": "10.9.0.6",
    }


def test_without_network_yes_nics_are_not_told() -> None:
    assert context_pairs(make_vm(("A", "1"), nics=(make_nic(),)), {1: NET}) == (("A", "1"),)


def test_what_the_user_wrote_wins() -> None:
    vm = make_vm(("NETWORK", "YES"), ("ETH0_DNS", "9.9.9.9"), nics=(make_nic(),))
    assert dict(context_pairs(vm, {1: NET}))["ETH0_DNS"] == "9.9.9.9"
    extra: Pairs = (("GATEWAY", "10.9.0.254"),)
    own = make_vm(("NETWORK", "YES"), nics=(make_nic(extra=extra),))
    assert dict(context_pairs(own, {1: NET}))["ETH0_GATEWAY"] == "10.9.0.254"


def test_guest_of_a_nat_network_without_resolvers_asks_the_gateway() -> None:
    vm = make_vm(("NETWORK", "YES"), nics=(make_nic(),))
    pairs = dict(context_pairs(vm, {1: make_network(GATEWAY="10.9.0.1")}))
    assert pairs["ETH0_DNS"] == "10.9.0.1"


def test_variables_are_filled_in_except_where_they_are_the_guests() -> None:
    vm = make_vm(
        ("SET_HOSTNAME", "vm-$VMID"),
        ("WHO", "$UID:$GID $NAME $NAMES $OTHER"),
        ("START_SCRIPT", "echo $NAME"),
    )
    pairs = dict(context_pairs(vm, {}))
    assert pairs["SET_HOSTNAME"] == "vm-7"
    assert pairs["WHO"] == "3:4 Web_1.Example $NAMES $OTHER"
    assert pairs["START_SCRIPT"] == "echo $NAME"


@given(st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=60))
def test_shell_reads_back_any_value(value: str) -> None:
    script = context_script((("VALUE", value), ("1BAD;touch", "x"))) + "\nprintf '%s.' \"$VALUE\""
    shown = subprocess.run(["sh", "-s"], input=script.encode(), capture_output=True, check=True)
    assert shown.stdout == f"{value}.".encode()
    assert shown.stderr == b""


def test_label_follows_what_the_context_asks_for() -> None:
    label, files = context_files(make_vm(("NETWORK", "YES"), nics=(make_nic(),)), {1: NET})
    assert label == "CONTEXT"
    assert set(files) == {"context.sh", "meta-data", "user-data", "network-config"}
    assert context_files(make_vm(("CLOUD_INIT", "yes")), {})[0] == "cidata"


def test_cloud_init_is_told_the_same() -> None:
    script = "#!/bin/sh\necho hello\n"
    vm = make_vm(
        ("CLOUD_INIT", "YES"),
        ("SSH_PUBLIC_KEY", f"{KEY}\n{KEY}2"),
        ("START_SCRIPT", script),
        nics=(make_nic(), make_nic(1, ip=None)),
    )
    files = context_files(vm, {1: NET})[1]
    assert files["meta-data"] == "instance-id: orrery-vm-7\nlocal-hostname: web-1.example\n"
    assert files["user-data"].startswith('#cloud-config\nhostname: "web-1.example"\n')
    assert f'  - "{KEY}"\n  - "{KEY}2"\n' in files["user-data"]
    content = re.search(r"content: (\S+)", files["user-data"])
    assert content
    assert base64.b64decode(content[1]).decode() == script
    assert files["network-config"] == (
        "version: 2\n"
        "ethernets:\n"
        "  eth0:\n"
        "    match:\n"
        '      macaddress: "02:00:0a:09:00:05"\n'
        "    mtu: 1450\n"
        "    dhcp4: false\n"
        "    addresses:\n"
        "      - 10.9.0.5/24\n"
        "    gateway4: 10.9.0.1\n"
        "    nameservers:\n"
        '      addresses: ["192.0.2.53", "192.0.2.54"]\n'
        "  eth1:\n"
        "    match:\n"
        '      macaddress: "02:00:0a:09:00:06"\n'
        "    mtu: 1450\n"
        "    dhcp4: true\n"
    )


@pytest.mark.parametrize("encoded", [True, False])
def test_users_own_user_data_is_handed_on_unchanged(encoded: bool) -> None:
    text = "#!/bin/sh\necho $NAME\n"
    given_text = base64.b64encode(text.encode()).decode() if encoded else text
    encoding = (("USER_DATA_ENCODING", "base64"),) if encoded else ()
    vm = make_vm(("USER_DATA", given_text), *encoding)
    assert context_files(vm, {})[1]["user-data"] == text


def test_user_data_that_does_not_decode_does_not_stop_the_vm() -> None:
    vm = make_vm(("USER_DATA", "%%%"), ("USER_DATA_ENCODING", "base64"))
    assert context_files(vm, {})[1]["user-data"] == "%%%"


def test_values_cannot_break_out_of_cloud_config() -> None:
    vm = make_vm(("SSH_PUBLIC_KEY", 'ssh-rsa "x\\n#: {['), ("SET_HOSTNAME", "a\nruncmd: [x]"))
    lines = context_files(vm, {})[1]["user-data"].splitlines()
    assert lines == [
        "#cloud-config",
        'hostname: "a-runcmd-x"',
        "ssh_authorized_keys:",
        '  - "ssh-rsa \\"x\\\\n#: {["',
    ]


@given(st.text(max_size=300))
def test_host_name_is_always_one(text: str) -> None:
    name = host_name(text, 7)
    assert 0 < len(name) <= 253
    label = r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"
    assert re.fullmatch(rf"{label}(\.{label})*", name)
