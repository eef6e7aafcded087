#!/bin/sh
printf 'Content-type: text/plain\n\n'
hostname
cat /proc/uptime /proc/loadavg
free
