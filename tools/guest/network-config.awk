# Reads cloud-init network configuration (version 1 or 2; block or flow YAML, or JSON) and writes
#   iface NAME MAC ADDRESS[,ADDRESS] GATEWAY DHCP     ("-" where absent), one a device, and
#   dns ADDRESS
# It follows keys and not indentation: only `addresses` means two things, told apart by `nameservers`.

function prefix_of(mask,    octets, i, bits, n) {
    n = split(mask, octets, ".")
    for (i = 1; i <= n; i++) for (; octets[i] > 0; octets[i] = (octets[i] * 2) % 256) bits++
    return bits + 0
}
function finish() {
    if (open) print "iface", or_dash(device), or_dash(mac), or_dash(addresses), or_dash(gateway), or_dash(dhcp)
    open = 0; device = mac = addresses = gateway = dhcp = ""
}
function or_dash(text) { return text == "" ? "-" : text }
function start(name) { finish(); open = 1; device = name; in_dns = 0 }
function add_address(text) {
    if (in_dns || key == "dns_nameservers") print "dns", text
    else addresses = addresses (addresses == "" ? "" : ",") text
}
function scalar(text) { if (key ~ /^(address|addresses|dns_nameservers)$/ && text != "") add_address(text) }

function pair(name, value) {
    if (in_dns && name !~ /^(address|addresses|search)$/) in_dns = 0
    key = name
    if (name == "ethernets") in_ethernets = 1
    else if (name == "nameservers") in_dns = 1
    else if (name == "type") typed(value)
    else if (name == "macaddress" || name == "mac_address") mac = tolower(value)
    else if (name == "name" || name == "set-name") device = value
    else if (name == "dhcp4") { if (value ~ /^(true|yes|on)$/) dhcp = "dhcp" }
    else if (name == "netmask") addresses = addresses "/" prefix_of(value)
    else if (name ~ /^(gateway|gateway4|via)$/) { if (gateway == "") gateway = value }
    else if (name ~ /^(address|addresses|dns_nameservers)$/) scalar(value)
    else if (in_ethernets && value == "" && name !~ /^(match|routes|dhcp4-overrides|search)$/) start(name)
}
function typed(value) {
    if (value == "physical") start("")
    else if (value == "nameserver") in_dns = 1
    else if (value ~ /^dhcp4?$/) dhcp = "dhcp"
}

{
    sub(/(^|[ \t])#.*/, "")
    gsub(/["'][ \t]*:/, ": ")
    gsub(/["']/, "")
    gsub(/[][{},]/, "\n")
    count = split($0, pieces, "\n")
    for (i = 1; i <= count; i++) {
        piece = pieces[i]
        gsub(/^[ \t]*(- *)*|[ \t\r]+$/, "", piece)
        if (match(piece, /^[A-Za-z_][A-Za-z0-9_.-]*[ \t]*:([ \t]|$)/)) {
            name = piece; sub(/[ \t]*:.*/, "", name)
            value = piece; sub(/^[^:]*:[ \t]*/, "", value)
            pair(name, value)
        } else scalar(piece)
    }
}
END { finish() }
