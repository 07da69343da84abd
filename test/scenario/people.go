// SPDX-License-Identifier: Apache-2.0

package scenario

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/mallee-io/mallee"
)

// toolTimeout bounds one call of a people's tool.
const toolTimeout = 2 * time.Minute

// ToolError is the failure of a tool: what its user saw.
type ToolError struct {
	Argv     []string
	ExitCode int
	Stderr   string
}

func (e *ToolError) Error() string {
	return fmt.Sprintf("%s: exit code %d: %s", strings.Join(e.Argv, " "), e.ExitCode, strings.TrimSpace(e.Stderr))
}

// Env returns the environment that admin.env gives to the tools.
func (c *Cloud) Env() []string { return c.env }

// Tool runs one of our tools, "mallee" or "euca-modify-property" say, with the
// admin's environment, and returns its standard output.
func (c *Cloud) Tool(ctx context.Context, name string, args ...string) (string, error) {
	return c.run(ctx, append([]string{filepath.Join(c.bin, name)}, args...))
}

// AWS runs the stock aws CLI against the cloud: "create-volume", "--size", "1".
func (c *Cloud) AWS(ctx context.Context, args ...string) (string, error) {
	return c.run(ctx, append([]string{"/usr/bin/aws", "--endpoint-url", Endpoint, "--output", "json", "ec2"}, args...))
}

// Python runs a program with Debian's python3 and boto3, as a tenant would.
func (c *Cloud) Python(ctx context.Context, args ...string) (string, error) {
	return c.run(ctx, append([]string{"/usr/bin/python3", "-B"}, args...))
}

func (c *Cloud) run(ctx context.Context, argv []string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, toolTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Env = c.env
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		code := -1
		if cmd.ProcessState != nil {
			code = cmd.ProcessState.ExitCode()
		}
		return stdout.String(), &ToolError{Argv: argv, ExitCode: code, Stderr: stderr.String()}
	}
	return stdout.String(), nil
}

// SetProperty sets a property of the partition, "storage.ncpaths" say, as an
// admin does.
func (c *Cloud) SetProperty(ctx context.Context, name, value string) error {
	_, err := c.Tool(ctx, "euca-modify-property", "-p", Partition+"."+name+"="+value)
	return err
}

// Instance waits for nc1 to be known and returns its instance id.
func (c *Cloud) Instance(ctx context.Context) (string, error) { return c.InstanceOf(ctx, "nc1") }

// InstanceOf waits for a node to be known and returns its instance id.
func (c *Cloud) InstanceOf(ctx context.Context, name string) (string, error) {
	var id string
	err := Eventually(ctx, 500*time.Millisecond, func() (bool, error) {
		out, err := c.AWS(ctx, "describe-instances", "--filters", "Name=private-dns-name,Values="+name,
			"--query", "Reservations[].Instances[?State.Name=='running'].InstanceId[]")
		if err != nil {
			return false, err
		}
		var ids []string
		if err := json.Unmarshal([]byte(out), &ids); err != nil || len(ids) != 1 {
			return false, fmt.Errorf("%d nodes are known: %w", len(ids), err)
		}
		id = ids[0]
		return true, nil
	})
	return id, err
}

// Path is one path as "mallee path list --output json" tells it.
type Path struct {
	VolumeID  string           `json:"volume_id"`
	Text      string           `json:"text"`
	NetDevice string           `json:"net_device"`
	Portal    string           `json:"portal"`
	State     mallee.PathState `json:"state"`
	BlockDev  string           `json:"block_dev"`
	Reason    string           `json:"reason"`
}

// Paths returns the path table of a volume.
func (c *Cloud) Paths(ctx context.Context, volume string) ([]Path, error) {
	out, err := c.Tool(ctx, "mallee", "path", "list", "--volume", volume, "--output", "json")
	if err != nil {
		return nil, err
	}
	var paths []Path
	return paths, json.Unmarshal([]byte(out), &paths)
}

// AwaitPaths waits until exactly up of a volume's expected paths are up.
func (c *Cloud) AwaitPaths(ctx context.Context, volume string, expected, up int) error {
	return Eventually(ctx, 300*time.Millisecond, func() (bool, error) {
		paths, err := c.Paths(ctx, volume)
		if err != nil {
			return false, err
		}
		n := Up(paths)
		return len(paths) == expected && n == up, fmt.Errorf("%d of %d paths up: %v", n, len(paths), paths)
	})
}

// Up returns how many paths are up.
func Up(paths []Path) int {
	n := 0
	for _, p := range paths {
		if p.State == mallee.PathUp {
			n++
		}
	}
	return n
}
