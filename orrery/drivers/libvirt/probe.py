"""Does KVM really run guests here? Boots one and looks. Knows libvirt, not our domains.

That /dev/kvm exists proves little: nested and paravirtual kernels offer a KVM that never gets
through a boot loader, or that interprets each instruction a hundred times slower than QEMU's own
emulation does. The probe guest therefore enters long mode with paging, works for an amount that
takes a real processor 50 ms, waits for a timer interrupt and only then writes its letter.
"""

import contextlib
import json
import shutil
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orrery.drivers.libvirt.binding import libvirt
from orrery.drivers.libvirt.hostfacts import is_local

STALE_S = 60.0
"""No probe takes so long: what is older was left behind."""
LIMIT_S = 3.0
KVM = Path("/dev/kvm")

LETTER = b"K"

PREFIX = "orrery-probe-"
"""Names of probe guests begin so: they are nobody's VMs."""

ORIGIN = 0x7C00
"""Where the BIOS loads the boot sector."""

PROGRAM = (
    # 16 bit: segments 0, stack below the program
    ("fa", "cli"),
    ("31c0", "xor ax, ax"),
    ("8ed8 8ec0 8ed0", "mov ds, ax; mov es, ax; mov ss, ax"),
    ("bc007c", "mov sp, 0x7c00"),
    # clear 0x1000 to 0x4210: three page tables, interrupt table at 0x4000 up to entry 0x20
    ("fc", "cld"),
    ("bf0010", "mov di, 0x1000"),
    ("b90819", "mov cx, 0x1908"),
    ("f3ab", "rep stosw"),
    ("c7060010 0320", "mov word [0x1000], 0x2003"),
    ("c7060020 0330", "mov word [0x2000], 0x3003"),
    ("c7060030 8300", "mov word [0x3000], 0x0083: one page of 2 MiB, mapped to itself"),
    ("c7060042 9d7c", "mov word [0x4200], isr: entry 0x20, the timer"),
    ("c7060242 0800", "mov word [0x4202], 8: code segment"),
    ("c7060442 008e", "mov word [0x4204], 0x8e00: interrupt gate"),
    ("0f0116 b87c", "lgdt [gdtr]"),
    ("0f011e be7c", "lidt [idtr]"),
    # long mode: address extension, page tables, EFER.LME, then protection and paging
    ("0f20e0 0c20 0f22e0", "mov eax, cr4; or al, 0x20; mov cr4, eax"),
    ("66b800100000 0f22d8", "mov eax, 0x1000; mov cr3, eax"),
    ("66b9800000c0 0f32 80cc01 0f30", "mov ecx, 0xc0000080; rdmsr; or ah, 1; wrmsr"),
    ("0f20c0 660d01000080 0f22c0", "mov eax, cr0; or eax, 0x80000001; mov cr0, eax"),
    ("ea727c0800", "jmp 8:long"),
    # long: 100 million rounds
    ("b900e1f505", "mov ecx, 100000000"),
    ("ffc9 75fc", "dec ecx; jnz back to dec"),
    # interrupt controller: vectors from 0x20, timer only; timer: mode 2, slowest
    ("b011 e620 b020 e621 b004 e621 b001 e621", "out 0x20, 0x11; out 0x21, 0x20, 4, 1"),
    ("b0fe e621", "out 0x21, 0xfe"),
    ("b034 e643 b000 e640 e640", "out 0x43, 0x34; out 0x40, 0, 0"),
    ("fb f4 ebfd", "sti; hlt; jmp back to hlt"),
    # isr: the letter, and the end
    ("66baf803 b04b ee", "mov dx, 0x3f8; mov al, 'K'; out dx, al"),
    ("fa f4", "cli; hlt"),
    ("6690", "align 8"),
    ("0000000000000000 00000000009a2000", "gdt: null; 64 bit code"),
    ("0f00 a87c0000", "gdtr: 16 bytes at gdt"),
    ("0f02 00400000", "idtr: 0x210 bytes at 0x4000"),
)


@dataclass(frozen=True)
class Acceleration:
    """How guests run on the host, and why so."""

    kind: str
    """kvm or tcg."""
    reason: str


def boot_sector() -> bytes:
    """The probe guest's disk: 512 bytes that end in the BIOS's mark, padded to what QEMU likes."""
    program = b"".join(bytes.fromhex(code) for code, _meaning in PROGRAM)
    return (program.ljust(510, b"\0") + b"\x55\xaa").ljust(1 << 20, b"\0")


def probe(raw: Any, uri: str) -> Acceleration:
    """Boot the probe guest under KVM. Blocks for some seconds."""
    if not is_local(uri):
        return Acceleration(
            "tcg", "KVM cannot be probed from afar: run the driver on the host itself"
        )
    if not KVM.exists():
        return Acceleration("tcg", f"there is no {KVM}: processor or kernel lack it")
    if raw.getInfo()[0] != "x86_64":
        return Acceleration("kvm", f"{KVM} exists; there is no probe guest for this architecture")
    _sweep(Path(tempfile.gettempdir()))
    place = Path(tempfile.mkdtemp(prefix=PREFIX))
    try:
        return _boot(raw, place)
    except libvirt.libvirtError as error:
        return Acceleration("tcg", f"a probe guest did not start under KVM: {error}")
    finally:
        shutil.rmtree(place, ignore_errors=True)


def device_warning() -> str | None:
    """Why libvirt may be slow here, if it may."""
    if not KVM.exists():
        return None
    status = KVM.stat()
    if status.st_gid != 0 or status.st_mode & 0o006 == 0o006:
        return None
    return (
        f"only root may open {KVM}: libvirt then inspects QEMU anew for every call and a start "
        f"takes most of a minute. Set its usual access: chgrp kvm {KVM}; chmod 660 {KVM}"
    )


def _sweep(directory: Path) -> None:
    """Remove what probes left whose process was killed; their guests went with it."""
    for place in directory.glob(f"{PREFIX}*"):
        with contextlib.suppress(FileNotFoundError):
            if time.time() - place.stat().st_mtime > STALE_S:  # noqa: TID251 - against files' times
                shutil.rmtree(place, ignore_errors=True)


def _boot(raw: Any, place: Path) -> Acceleration:
    place.chmod(0o755)  # QEMU runs as another user
    disk, out = place / "disk", place / "serial"
    disk.write_bytes(boot_sector())
    domain = raw.createXML(_xml(place.name, disk, out), libvirt.VIR_DOMAIN_START_AUTODESTROY)
    try:
        took = _wait_for_letter(out)
    finally:
        domain.destroy()
    if took is None:
        reason = f"KVM is there, but a probe guest did not get through its boot in {LIMIT_S:.0f} s"
        return Acceleration("tcg", reason)
    return Acceleration("kvm", f"a probe guest booted in {took:.1f} s")


def _wait_for_letter(out: Path) -> float | None:
    begin = time.monotonic()
    while (took := time.monotonic() - begin) < LIMIT_S:
        if out.exists() and LETTER in out.read_bytes():
            return took
        time.sleep(0.02)
    return None


def _xml(name: str, disk: Path, out: Path) -> str:
    return f"""<domain type='kvm'><name>{name}</name><memory unit='MiB'>16</memory>
      <os><type arch='x86_64'>hvm</type><boot dev='hd'/></os>
      <devices>
        <disk type='file' device='disk'><driver name='qemu' type='raw'/>
          <source file='{disk}'/><target dev='hda' bus='ide'/></disk>
        <serial type='file'><source path='{out}'/></serial>
        <controller type='usb' model='none'/><memballoon model='none'/>
      </devices></domain>"""


def main(argv: list[str]) -> int:
    """`orrery driver probe [URI]`: one line of JSON with acceleration and reason."""
    uri = argv[0] if argv else "qemu:///system"
    try:
        raw = libvirt.open(uri)
        found = probe(raw, uri)
    except libvirt.libvirtError as error:
        sys.stderr.write(f"{uri}: {error}: is libvirtd running there?\n")
        return 1
    raw.close()
    answer = {"acceleration": found.kind, "reason": found.reason, "warning": device_warning()}
    sys.stdout.write(json.dumps(answer) + "\n")
    return 0
