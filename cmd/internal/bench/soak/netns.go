package soak

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strings"

	"golang.org/x/sys/unix"
)

// A network is one network namespace in which the links listen and one for each
// vehicle that has an end of its own, with a pair of virtual Ethernet devices
// between them. Nothing of it is visible in the network of the machine.
type network struct {
	prefix string
	made   []string // namespaces
}

// newNetwork makes the namespace of the links.
func newNetwork() (*network, error) {
	n := &network{prefix: fmt.Sprintf("roadseal-%d-", os.Getpid())}
	return n, n.add(n.hub())
}

func (n *network) hub() string { return n.prefix + "hub" }

func (n *network) vehicle(i int) string { return fmt.Sprintf("%s%d", n.prefix, i) }

func (n *network) add(name string) error {
	err := ip("netns", "add", name)
	if err == nil {
		n.made = append(n.made, name)
	}
	return err
}

// addresses of the two ends for vehicle i, from the range for benchmarks of
// networks (RFC 2544).
func addresses(i int) (hub, vehicle string) {
	return fmt.Sprintf("198.18.%d.1", i), fmt.Sprintf("198.18.%d.2", i)
}

// join makes the namespace of vehicle i and the wire between it and the hub.
func (n *network) join(i int) error {
	if err := n.add(n.vehicle(i)); err != nil {
		return err
	}
	hub, vehicle := addresses(i)
	h, v := fmt.Sprintf("h%d", i), fmt.Sprintf("v%d", i)
	for _, args := range [][]string{
		{"link", "add", h, "netns", n.hub(), "type", "veth", "peer", "name", v, "netns", n.vehicle(i)},
		{"-n", n.hub(), "addr", "add", hub + "/30", "dev", h},
		{"-n", n.vehicle(i), "addr", "add", vehicle + "/30", "dev", v},
		{"-n", n.hub(), "link", "set", h, "up"},
		{"-n", n.vehicle(i), "link", "set", v, "up"},
	} {
		if err := ip(args...); err != nil {
			return err
		}
	}
	return nil
}

// nobody is an address of Ethernet that no device has.
const nobody = "02:00:00:00:00:99"

// deaden lets every packet between hub and vehicle i go to nobody: the link is
// dead in both directions, and neither end is told.
func (n *network) deaden(i int) error {
	hub, vehicle := addresses(i)
	return errors.Join(
		ip("-n", n.vehicle(i), "neigh", "replace", hub, "lladdr", nobody, "dev", fmt.Sprintf("v%d", i), "nud", "permanent"),
		ip("-n", n.hub(), "neigh", "replace", vehicle, "lladdr", nobody, "dev", fmt.Sprintf("h%d", i), "nud", "permanent"))
}

// revive is the end of deaden.
func (n *network) revive(i int) error {
	hub, vehicle := addresses(i)
	return errors.Join(
		ip("-n", n.vehicle(i), "neigh", "del", hub, "dev", fmt.Sprintf("v%d", i)),
		ip("-n", n.hub(), "neigh", "del", vehicle, "dev", fmt.Sprintf("h%d", i)))
}

// listen listens in the namespace of the links for vehicle i.
func (n *network) listen(i int) (l net.Listener, err error) {
	hub, _ := addresses(i)
	done := make(chan error)
	go func() { done <- within(n.hub(), func() error { l, err = net.Listen("tcp4", hub+":0"); return err }) }()
	return l, <-done
}

// within calls f in a network namespace. It is the only work of its goroutine:
// a thread that cannot come back must not serve others.
func within(name string, f func() error) error {
	runtime.LockOSThread()
	own, err := os.Open("/proc/thread-self/ns/net")
	if err != nil {
		return err
	}
	defer own.Close()
	other, err := os.Open("/run/netns/" + name)
	if err != nil {
		return err
	}
	defer other.Close()
	if err := unix.Setns(int(other.Fd()), unix.CLONE_NEWNET); err != nil {
		return fmt.Errorf("cannot enter the network namespace %s: %w", name, err)
	}
	fault := f()
	if err := unix.Setns(int(own.Fd()), unix.CLONE_NEWNET); err != nil {
		return errors.Join(fault, fmt.Errorf("cannot leave the network namespace %s: %w", name, err))
	}
	runtime.UnlockOSThread()
	return fault
}

// close removes all namespaces, and with them the devices.
func (n *network) close() error {
	var errs []error
	for _, name := range n.made {
		errs = append(errs, ip("netns", "del", name))
	}
	n.made = nil
	return errors.Join(errs...)
}

// ip runs the command of iproute2. It ends by itself at once, so it takes no
// context: cleaning up has none.
func ip(args ...string) error {
	out, err := exec.Command("ip", args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("ip %s: %w: %s", strings.Join(args, " "), err, strings.TrimSpace(string(out)))
	}
	return nil
}
