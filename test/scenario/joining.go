// SPDX-License-Identifier: Apache-2.0

package scenario

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/mallee-io/mallee/internal/lab"
	"github.com/mallee-io/mallee/internal/rpc"
)

// Token returns a join token for a part of the partition, as "mallee token
// create" has printed it.
func (c *Cloud) Token(ctx context.Context, role, name string) (string, error) {
	return c.Tool(ctx, "mallee", "token", "create", "--role", role, "--name", name, "--partition", Partition)
}

// joinMachine has a machine join as a part whose bundle is in dir, unless it has
// done so. A machine that has lost its bundle in a reboot joins again.
func (c *Cloud) joinMachine(ctx context.Context, m *lab.Machine, role, name, dir string) error {
	if _, err := m.Run(ctx, "test", "-e", filepath.Join(dir, rpc.BundleFile)); err == nil {
		return nil
	}
	token, err := c.Token(ctx, role, name)
	if err != nil {
		return err
	}
	_, err = m.RunInput(ctx, []byte(token), "malleed", role, "join", Endpoint, "-")
	return err
}

// joinNative has a part that runs beside the machines join, unless it has done so.
func (c *Cloud) joinNative(ctx context.Context, role, name, dir string) error {
	if _, err := os.Stat(filepath.Join(dir, rpc.BundleFile)); err == nil {
		return nil
	}
	token, err := c.Token(ctx, role, name)
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, filepath.Join(c.bin, "malleed"), role, "join", "--config", c.configFile(role), Endpoint, "-")
	cmd.Stdin = bytes.NewReader([]byte(token))
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("malleed %s join: %w: %s", role, err, out)
	}
	return nil
}
