# Network functions of the second stage. Sourced by /etc/boot.

device_of() { # MAC -> device name
    wanted=$(echo "$1" | tr A-Z a-z)
    for dir in /sys/class/net/*; do
        read -r mac < "$dir/address"
        [ "$mac" = "$wanted" ] && echo "${dir##*/}" && return
    done
    return 1
}

prefix_of() { ipcalc -p 0.0.0.0 "$1" | cut -d= -f2; }

set_address() { # DEVICE ADDRESS/PREFIX
    ip link set "$1" up
    ip addr add "$2" dev "$1" 2> /dev/null
}

set_gateway() { ip route add default via "$2" dev "$1" 2> /dev/null; } # DEVICE GATEWAY

add_nameserver() { echo "nameserver $1" >> /run/resolv.conf; }

network_is_set() { ip -4 addr show scope global | grep -q inet; }

dhcp() { # DEVICE
    ip link set "$1" up
    udhcpc -i "$1" -s /etc/dhcp-event -b -t 4 -T 1 -x "hostname:${NAME:-guest}" > /dev/null 2>&1
}

network_by_dhcp() {
    for dir in /sys/class/net/eth*; do [ -e "$dir" ] && dhcp "${dir##*/}"; done
}

choose_device() { # NAME MAC COUNT: by address, else by name, else by position
    [ "$2" != - ] && { device_of "$2"; return; }
    [ -e "/sys/class/net/$1" ] && echo "$1" || echo "eth$3"
}

apply_network_config() { # FILE of cloud-init
    count=0
    awk -f /etc/network-config.awk "$1" > /run/network-config
    while read -r verb name mac addresses gateway dhcp; do
        [ "$verb" = dns ] && { add_nameserver "$name"; continue; }
        device=$(choose_device "$name" "$mac" $count)
        count=$((count + 1))
        [ -n "$device" ] || continue
        [ "$addresses" = - ] || for address in $(echo "$addresses" | tr , ' '); do
            set_address "$device" "$address"
        done
        [ "$gateway" = - ] || set_gateway "$device" "$gateway"
        [ "$dhcp" = - ] || dhcp "$device"
    done < /run/network-config
}
