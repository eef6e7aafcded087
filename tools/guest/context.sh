# Context functions of the second stage: who am I, which addresses, whose keys. Sourced by /etc/boot.

iso_label() { dd if="$1" bs=8 skip=4101 count=2 2> /dev/null | tr -d '\0 '; } # DEVICE

find_context() { # sets CONTEXT and mounts its disc on /run/context
    CONTEXT=none
    for device in /dev/sr[0-9] /dev/vd[a-z] /dev/sd[a-z]; do
        [ -b "$device" ] || continue
        case $(iso_label "$device") in
            CONTEXT) CONTEXT=opennebula ;;
            cidata | CIDATA) CONTEXT=nocloud ;;
            *) continue ;;
        esac
        mount -t iso9660 -o ro "$device" /run/context && return
        CONTEXT=none
    done
}

add_keys() { # one public key a line on standard input; those not yet known are added
    while read -r key; do
        [ -z "$key" ] || grep -qxF "$key" /root/.ssh/authorized_keys 2> /dev/null ||
            echo "$key" >> /root/.ssh/authorized_keys
    done
    chmod 600 /root/.ssh/authorized_keys 2> /dev/null
}

read_opennebula() {
    . /run/context/context.sh
    NAME=${SET_HOSTNAME:-$HOSTNAME}
    index=0
    while [ $index -lt 8 ]; do
        opennebula_device $index
        index=$((index + 1))
    done
    for server in $DNS; do add_nameserver "$server"; done
    echo "$SSH_PUBLIC_KEY" | add_keys
    [ -n "$START_SCRIPT" ] && echo "$START_SCRIPT" > /run/start-script
    [ -n "$START_SCRIPT_BASE64" ] && echo "$START_SCRIPT_BASE64" | base64 -d > /run/start-script
}

opennebula_device() { # INDEX
    eval "ip=\$ETH$1_IP mac=\$ETH$1_MAC mask=\$ETH$1_MASK gateway=\$ETH$1_GATEWAY dns=\$ETH$1_DNS method=\$ETH$1_METHOD"
    device=eth$1
    [ -n "$mac" ] && device=$(device_of "$mac")
    [ -n "$device" ] || return
    [ "$method" = dhcp ] && dhcp "$device" && return
    [ -n "$ip" ] || return
    set_address "$device" "$ip/$(prefix_of "${mask:-255.255.255.0}")"
    [ -n "$gateway" ] && set_gateway "$device" "$gateway"
    for server in $dns; do add_nameserver "$server"; done
}

read_nocloud() {
    cd /run/context || return
    NAME=$(value_of local-hostname meta-data)
    [ -f network-config ] && apply_network_config network-config
    keys_in meta-data | add_keys
    case $(head -n 1 user-data 2> /dev/null) in
        '#!'*) cp user-data /run/start-script ;;
        *)
            keys_in user-data | add_keys
            NAME=${NAME:-$(value_of hostname user-data)}
            run_commands_of user-data > /run/start-script
            ;;
    esac
    instance=$(value_of instance-id meta-data)
    once_only "${instance:-none}"
    cd /
}

value_of() { # KEY FILE -> value of the first such line, YAML or JSON
    tr '{,}' '\n\n\n' < "$2" | sed -n "s/^[ \"']*$1[\"']* *: *//p" | sed "s/[\"']//g; s/ *\$//; q"
}

keys_in() { # FILE -> public keys, one a line
    grep -oE "(ssh-[a-z0-9@.-]+|ecdsa-[a-z0-9-]+|sk-[a-z0-9@.-]+) AAAA[A-Za-z0-9+/=]+( [^\"',]*)?" "$1" 2> /dev/null
}

run_commands_of() { # FILE -> the block list `runcmd` as a script
    awk '/^runcmd:/ {on = 1; print "#!/bin/sh"; next} /^[^ #-]/ {on = 0} on && sub(/^ *- */, "")' "$1" 2> /dev/null
}

# cloud-init runs user data once an instance, OpenNebula its start script at every boot.
once_only() { # INSTANCE-ID
    [ "$(cat /var/lib/instance-id 2> /dev/null)" = "$1" ] && rm -f /run/start-script
    echo "$1" > /var/lib/instance-id
}

run_start_script() {
    [ -s /run/start-script ] || return
    chmod 700 /run/start-script
    case $(head -c 2 /run/start-script) in
        '#!') /run/start-script ;;
        *) sh /run/start-script ;;
    esac > /var/log/start-script.log 2>&1 < /dev/null
}
