#!/bin/busybox sh
# Process 1 of the Linux job's guest: prepares the system, runs one session, powers off.
# $session comes from the kernel's command line: interactive, batch (input ends) or exec (runs /etc/command).
# The host starts input at the byte ENQ and output of exec at STX: single bytes, which no kernel message can tear apart.

# Without a kernel console (exec) process 1 starts with no open files at all.
[ "$session" = exec ] && exec </dev/null >/dev/null 2>&1
/bin/busybox --install -s
export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
mkdir -p /dev/pts
mount -t devpts devpts /dev/pts
hostname freehold
ifconfig lo up

load() {
	[ -d "/sys/module/${1//-/_}" ] && return
	for file in /lib/modules/"$1".ko*; do
		[ -e "$file" ] && insmod "$file"
	done
}

load virtio_mmio
for file in /sys/bus/virtio/devices/*/device; do
	[ -e "$file" ] || continue
	read -r id <"$file"
	while read -r type modules; do
		[ "$type" = "$id" ] || continue
		for module in $modules; do load "$module"; done
	done </etc/virtio-drivers
done

status_port() {
	for port in /sys/class/virtio-ports/*; do
		[ -e "$port/name" ] || continue
		read -r name <"$port/name"
		[ "$name" = org.freehold.status ] && echo "/dev/${port##*/}" && return
	done
	return 1
}

# The driver names its ports in a work queue of its own, which another hart may still be busy with.
report() {
	tries=0
	until port=$(status_port) || [ $((tries += 1)) -gt 200 ]; do sleep 0.05; done
	[ -n "$port" ] && echo "$1" >"$port"
}

# Feeds the serial line into a pipe: there, one end of input reaches whoever reads, shell or command. All characters are
# data, except the end of input (^D) and its quote (^V), which the host puts before literal ones.
feed() {
	exec 3<>/dev/ttyS0 # kept open: the last close would drop what has already come in
	stty -F /dev/ttyS0 -echo -isig -ixon -icrnl erase undef kill undef werase undef rprnt undef "$@"
	mkfifo /run/input
	# Not cat: it would splice, which keeps the pipe locked while it waits for input, and then nobody could close it.
	dd bs=4096 </dev/ttyS0 >/run/input 2>/dev/null &
}

cd /root
export PS1='\u@\h:\w\$ '
case "$session" in
exec)
	feed -opost
	report started
	printf '\002\005' >/dev/ttyS0
	sh /etc/command </run/input >/dev/ttyS0 2>&1
	report $?
	;;
batch)
	feed
	printf '\005' >/dev/ttyS0
	sh </run/input >/dev/ttyS0 2>&1
	;;
*)
	[ -n "$LINES" ] && stty -F /dev/ttyS0 rows "$LINES" cols "$COLUMNS"
	unset LINES COLUMNS
	setsid cttyhack sh -l
	;;
esac
sync
poweroff -f
