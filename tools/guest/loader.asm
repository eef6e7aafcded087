; Boot sector of the guest disk: reads command line, kernel and initramfs from plain sectors and
; starts Linux by its 16-bit boot protocol (Documentation/x86/boot.rst). Under emulation each call
; of the BIOS costs milliseconds, so it makes few and large ones.
;
; Given by tools/guest-image: LINE_SECTORS, KERNEL_START, SETUP_SECTORS, CODE_SECTORS,
; INITRAMFS_START, INITRAMFS_SECTORS, INITRAMFS_BYTES.

LINE    equ 0x7e00              ; command line, right behind this sector in memory as on disk
BUFFER  equ 0x1000              ; segment that the BIOS reads into
SETUP   equ 0x9000              ; segment of the kernel's real-mode part
CODE    equ 0x100000            ; its protected-mode part
CHUNK   equ 127                 ; sectors; the most that every BIOS reads at once

bits 16
org 0x7c00

start:
    cli
    xor ax, ax
    mov ds, ax
    mov es, ax
    mov ss, ax
    mov sp, start
    jmp 0:.here
.here:
    sti
    cld
    mov [drive], dl

    mov eax, 1
    mov ecx, LINE_SECTORS
    mov edi, LINE
    call load
    mov eax, KERNEL_START
    mov ecx, SETUP_SECTORS
    mov edi, SETUP * 16
    call load
    mov eax, KERNEL_START + SETUP_SECTORS
    mov ecx, CODE_SECTORS
    mov edi, CODE
    call load

    mov ax, 0xe801              ; memory above 16 MiB in BX, in units of 64 KiB
    int 0x15
    movzx edi, bx
    shl edi, 16
    add edi, 0x1000000 - (INITRAMFS_SECTORS * 512 + 0xfff) / 0x1000 * 0x1000
    push edi
    mov eax, INITRAMFS_START
    mov ecx, INITRAMFS_SECTORS
    call load
    pop edi

    cli
    mov ax, SETUP
    mov ds, ax
    mov es, ax
    mov fs, ax
    mov gs, ax
    mov ss, ax
    mov sp, 0xfe00
    mov byte [0x210], 0xff      ; type_of_loader: none that has a number
    or byte [0x211], 0x80       ; loadflags: heap_end_ptr is valid
    mov [0x218], edi            ; ramdisk_image
    mov dword [0x21c], INITRAMFS_BYTES
    mov word [0x224], 0xfc00    ; heap_end_ptr
    mov dword [0x228], LINE     ; cmd_line_ptr
    jmp SETUP + 0x20:0

; Reads ECX sectors from sector EAX to address EDI.
load:
    mov [packet.sector], eax
.next:
    mov eax, CHUNK
    cmp ecx, eax
    jae .read
    mov eax, ecx
.read:
    mov [packet.count], ax
    push ecx
    push edi
    push eax
    mov ah, 0x42
    mov dl, [drive]
    mov si, packet
    int 0x13
    jc failed
    pop eax
    pop edi
    call reach_high_memory
    mov ecx, eax
    shl ecx, 7                  ; double words of the chunk
    mov esi, BUFFER * 16
    a32 rep movsd
    pop ecx
    add [packet.sector], eax
    sub ecx, eax
    jnz .next
    ret

; Gives DS and ES a limit of 4 GiB in real mode; the BIOS takes it away with every call.
reach_high_memory:
    cli
    lgdt [table]
    mov edx, cr0
    inc dx                      ; protection on
    mov cr0, edx
    mov bx, 8
    mov ds, bx
    mov es, bx
    dec dx
    mov cr0, edx
    xor bx, bx
    mov ds, bx
    mov es, bx
    sti
    ret

failed:
    mov si, .text
.next:
    lodsb
    test al, al
    jz .halt
    mov ah, 0x0e
    xor bx, bx
    int 0x10
    jmp .next
.halt:
    hlt
    jmp .halt
.text: db "The disk cannot be read.", 0

drive: db 0

align 4
packet:
    db 16, 0
.count: dw 0
    dw 0, BUFFER
.sector: dq 0

table:                          ; its unused first entry holds its own description
    dw .end - table - 1
    dd table
    dw 0
    dq 0x00cf92000000ffff       ; data, from 0, 4 GiB
.end:

%if $ - $$ > 440
%error "the loader does not fit before the disk signature"
%endif
times 440 - ($ - $$) db 0
