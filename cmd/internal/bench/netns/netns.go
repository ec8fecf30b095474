// Package netns makes Ethernet links between network namespaces of their own, which
// can be slow or dead, and removes them. It needs root and the Debian package
// iproute2. Nothing of it is visible in the network of the machine.
//
// Side: any.
package netns

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

// A Network is one namespace, the hub, and one for each vehicle that has an end of
// its own, with a pair of virtual Ethernet devices between the two.
type Network struct {
	prefix string
	made   []string // namespaces
}

// New makes the hub. Close must be called also after an error.
func New() (*Network, error) {
	n := &Network{prefix: fmt.Sprintf("roadseal-%d-", os.Getpid())}
	return n, n.add(n.Hub())
}

// Hub is the name of the hub's namespace.
func (n *Network) Hub() string { return n.prefix + "hub" }

// Vehicle is the name of the namespace of vehicle i.
func (n *Network) Vehicle(i int) string { return fmt.Sprintf("%s%d", n.prefix, i) }

func (n *Network) add(name string) error {
	err := ip("netns", "add", name)
	if err == nil {
		n.made = append(n.made, name)
	}
	return err
}

// Addresses of the two ends for vehicle i, from the range for benchmarks of
// networks (RFC 2544).
func Addresses(i int) (hub, vehicle string) {
	return fmt.Sprintf("198.18.%d.1", i), fmt.Sprintf("198.18.%d.2", i)
}

// Join makes the namespace of vehicle i and the wire between it and the hub.
func (n *Network) Join(i int) error {
	if err := n.add(n.Vehicle(i)); err != nil {
		return err
	}
	hub, vehicle := Addresses(i)
	h, v := fmt.Sprintf("h%d", i), fmt.Sprintf("v%d", i)
	for _, args := range [][]string{
		{"link", "add", h, "netns", n.Hub(), "type", "veth", "peer", "name", v, "netns", n.Vehicle(i)},
		{"-n", n.Hub(), "addr", "add", hub + "/30", "dev", h},
		{"-n", n.Vehicle(i), "addr", "add", vehicle + "/30", "dev", v},
		{"-n", n.Hub(), "link", "set", "lo", "up"},
		{"-n", n.Hub(), "link", "set", h, "up"},
		{"-n", n.Vehicle(i), "link", "set", v, "up"},
	} {
		if err := ip(args...); err != nil {
			return err
		}
	}
	return nil
}

// nobody is an address of Ethernet that no device has.
const nobody = "02:00:00:00:00:99"

// Deaden lets every packet between hub and vehicle i go to nobody: the link is
// dead in both directions, and neither end is told.
func (n *Network) Deaden(i int) error {
	hub, vehicle := Addresses(i)
	return errors.Join(
		ip("-n", n.Vehicle(i), "neigh", "replace", hub, "lladdr", nobody, "dev", fmt.Sprintf("v%d", i), "nud", "permanent"),
		ip("-n", n.Hub(), "neigh", "replace", vehicle, "lladdr", nobody, "dev", fmt.Sprintf("h%d", i), "nud", "permanent"))
}

// Revive is the end of deaden.
func (n *Network) Revive(i int) error {
	hub, vehicle := Addresses(i)
	return errors.Join(
		ip("-n", n.Vehicle(i), "neigh", "del", hub, "dev", fmt.Sprintf("v%d", i)),
		ip("-n", n.Hub(), "neigh", "del", vehicle, "dev", fmt.Sprintf("h%d", i)))
}

// Listen listens in the hub for vehicle i; port 0 takes any.
func (n *Network) Listen(i, port int) (l net.Listener, err error) {
	hub, _ := Addresses(i)
	err = inside(n.Hub(), func() error { l, err = net.Listen("tcp4", fmt.Sprintf("%s:%d", hub, port)); return err })
	return l, err
}

// Dial connects to the hub from the namespace of vehicle i.
func (n *Network) Dial(i int, address string) (c net.Conn, err error) {
	err = inside(n.Vehicle(i), func() error { c, err = net.Dial("tcp4", address); return err })
	return c, err
}

// Shape limits both directions of the link of vehicle i to a rate in bit/s, as a
// modem with a short queue does (tc-tbf(8)).
func (n *Network) Shape(i int, rate int64) error {
	shape := func(name, dev string) error {
		return run("tc", "-n", name, "qdisc", "replace", "dev", dev, "root", "tbf", "rate", fmt.Sprintf("%dbit", rate), "burst", "32kb", "latency", "100ms")
	}
	return errors.Join(shape(n.Vehicle(i), fmt.Sprintf("v%d", i)), shape(n.Hub(), fmt.Sprintf("h%d", i)))
}

// inside calls f in a network namespace. What it opens stays there.
func inside(name string, f func() error) error {
	done := make(chan error)
	go func() { done <- within(name, f) }()
	return <-done
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

// Close removes all namespaces, and with them the devices.
func (n *Network) Close() error {
	var errs []error
	for _, name := range n.made {
		errs = append(errs, ip("netns", "del", name))
	}
	n.made = nil
	return errors.Join(errs...)
}

func ip(args ...string) error { return run("ip", args...) }

// run runs a command of iproute2. It ends by itself at once, so it takes no
// context: cleaning up has none.
func run(name string, args ...string) error {
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s %s: %w: %s", name, strings.Join(args, " "), err, strings.TrimSpace(string(out)))
	}
	return nil
}
