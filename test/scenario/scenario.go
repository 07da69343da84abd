// SPDX-License-Identifier: Apache-2.0

// Package scenario puts a whole cloud into the lab and plays its people: an
// admin with euca-describe-properties and euca-modify-property, a tenant with
// the stock aws CLI, and somebody who pulls cables and kills processes.
//
// The storage processor runs on machine san and the node controllers on nc1, nc2
// and so on, each on a kernel of its own. The cloud controller, the storage controller and
// the people's tools run beside the machines in the lab's namespace.
package scenario

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/mallee-io/mallee/internal/lab"
)

// The names and addresses of the scenario's cloud.
const (
	Partition = "PARTI00"
	Endpoint  = "https://10.109.1.1:8773"
	AgentAddr = "10.109.1.1:8774" // where the cloud controller serves agents

	vgName = "mallee"
	spName = "san"
)

// The addresses of the storage processor: two for its administration, and two
// portals on each fabric.
var (
	AdminAddrs = []string{"10.109.1.26", "10.109.1.27"}
	DataAddrs  = []string{"10.107.1.200", "10.107.1.201", "10.108.1.200", "10.108.1.201"}
	// DataAddrs6 are two more, on the fabric that only a wide cloud has.
	DataAddrs6 = []string{"[fd00:10:106::200]", "[fd00:10:106::201]"}
)

// Options of a Cloud.
type Options struct {
	Bin string    // directory of the built binaries; empty means build
	Log io.Writer // progress; nil discards it
	// Nodes is how many machines nc1, nc2 and so on there are; 0 means 1.
	Nodes int
	// Wide adds a fabric with IPv6 alone and on each node a second NIC on fab1.
	Wide bool
}

// Node is a machine that volumes are attached to, with its node controller.
type Node struct {
	*lab.Machine
	NC *Part
}

// Cloud is a cloud in the lab. Its methods are for one caller at a time.
type Cloud struct {
	Lab             *lab.Lab
	SAN, NC1        *lab.Machine
	CLC, SC, SP, NC *Part  // NC is nc1's
	Nodes           []Node // nc1 is the first

	bin     string
	dir     string   // of the natively running parts
	env     []string // of the people's tools
	portals []string // of the storage processor
}

// Start boots the machines and starts all parts. Nothing is configured yet
// beyond what joining does: setting the properties is the admin's part.
func Start(ctx context.Context, o Options) (*Cloud, error) {
	if o.Log == nil {
		o.Log = io.Discard
	}
	bin, err := filepath.Abs(orBuild(o.Bin))
	if err != nil {
		return nil, err
	}
	topology := lab.Standard()
	for n := 2; n <= o.Nodes; n++ {
		topology.Machines = append(topology.Machines, lab.Node(n))
	}
	portals := DataAddrs
	if o.Wide {
		topology = lab.Wide(max(o.Nodes, 1))
		portals = slices.Concat(DataAddrs, DataAddrs6)
	}
	// One more disk keeps what a storage processor and a node must remember over
	// a reboot: a machine's root file system is new at each boot.
	for i := range topology.Machines {
		topology.Machines[i].Disks = append(topology.Machines[i].Disks, 64<<20)
	}
	l, err := lab.Start(ctx, lab.Options{
		Topology: topology,
		Binaries: []string{filepath.Join(bin, "malleed")},
		Init:     filepath.Join(bin, "mallee-lab"),
		Log:      o.Log,
	})
	if err != nil {
		return nil, err
	}
	c := &Cloud{Lab: l, SAN: l.Machine("san"), NC1: l.Machine("nc1"), bin: bin, dir: filepath.Join(l.RunDir, "cloud"), portals: portals}
	for n := range max(o.Nodes, 1) {
		m := l.Machine(fmt.Sprintf("nc%d", n+1))
		c.Nodes = append(c.Nodes, Node{m, &Part{Name: m.Spec.Name, start: func(ctx context.Context) (process, error) { return c.startNC(ctx, m) }}})
	}
	if err := c.start(ctx); err != nil {
		c.Tails(o.Log)
		return nil, fmt.Errorf("cannot start the cloud: %w", err)
	}
	return c, nil
}

func orBuild(dir string) string {
	if dir == "" {
		return "build"
	}
	return dir
}

func (c *Cloud) start(ctx context.Context) error {
	if err := os.MkdirAll(c.dir, 0o700); err != nil {
		return err
	}
	c.CLC = &Part{Name: "clc", start: c.startCLC}
	c.SC = &Part{Name: "sc", start: c.startSC}
	c.SP = &Part{Name: "sp", start: c.startSP}
	c.NC = c.Nodes[0].NC
	for _, p := range c.Parts() {
		if err := p.Start(ctx); err != nil {
			return err
		}
	}
	return nil
}

// Parts returns all parts in the order in which they start.
func (c *Cloud) Parts() []*Part {
	list := []*Part{c.CLC, c.SC, c.SP}
	for _, n := range c.Nodes {
		list = append(list, n.NC)
	}
	return list
}

// Tails prints the ends of all logs and consoles, for a failure.
func (c *Cloud) Tails(w io.Writer) {
	const lines = 40
	for _, p := range c.Parts() {
		if p != nil && p.running != nil {
			fmt.Fprintf(w, "---- log of %s\n%s\n", p.Name, lastLines(p.running.log(context.Background()), lines))
		}
	}
	c.Lab.Tails(w, lines)
}

// Eventually calls ok every interval until it returns true, and fails with its
// last error when ctx ends first.
func Eventually(ctx context.Context, interval time.Duration, ok func() (bool, error)) error {
	for {
		done, err := ok()
		if done {
			return nil
		}
		select {
		case <-ctx.Done():
			if err != nil {
				return fmt.Errorf("%w; last: %w", ctx.Err(), err)
			}
			return ctx.Err()
		case <-time.After(interval):
		}
	}
}
