// SPDX-License-Identifier: Apache-2.0

package scenario

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/mallee-io/mallee/internal/lab"
)

func (c *Cloud) startCLC(ctx context.Context) (process, error) {
	n, err := c.startNative("clc", fmt.Sprintf(`
[clc]
state_dir = %q
listen = "10.109.1.1:8773"
agent_listen = %q
names = ["10.109.1.1"]
`, filepath.Join(c.dir, "clc"), AgentAddr))
	if err != nil {
		return nil, err
	}
	if err := listening(ctx, "10.109.1.1:8773"); err != nil {
		return n, err
	}
	return n, c.readAdminEnv()
}

// readAdminEnv takes the admin's keys and endpoints from the file that the cloud
// controller has written for them.
func (c *Cloud) readAdminEnv() error {
	text, err := os.ReadFile(filepath.Join(c.dir, "clc", "admin.env"))
	if err != nil {
		return err
	}
	// Nothing of the caller's own AWS settings may get in.
	c.env = []string{
		"PATH=" + c.bin + ":/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
		"HOME=" + c.dir, "LC_ALL=C.UTF-8", "AWS_PAGER=", "AWS_EC2_METADATA_DISABLED=true",
	}
	for line := range strings.Lines(string(text)) {
		if variable, ok := strings.CutPrefix(strings.TrimSpace(line), "export "); ok {
			name, value, _ := strings.Cut(variable, "=")
			c.env = append(c.env, name+"="+strings.Trim(value, `"'`))
		}
	}
	return nil
}

func (c *Cloud) startSC(ctx context.Context) (process, error) {
	bundle, err := c.Issue(ctx, "sc", "sc1")
	if err != nil {
		return nil, err
	}
	return c.startNative("sc", fmt.Sprintf(`
[sc]
partition = %q
clc = [%q]
certs = %q
`, Partition, AgentAddr, bundle))
}

func (c *Cloud) startSP(ctx context.Context) (process, error) {
	// What an admin does once on a new machine, and the system at each boot.
	const prepare = `
if ! blkid /dev/ubdb >/dev/null; then mkfs.ext4 -q /dev/ubdb; fi
mkdir -p /var/lib/mallee
mountpoint -q /var/lib/mallee || mount /dev/ubdb /var/lib/mallee
vgs ` + vgName + ` >/dev/null 2>&1 || vgcreate -q ` + vgName + ` /dev/ubda
`
	if _, err := c.SAN.Run(ctx, "sh", "-ec", prepare); err != nil {
		return nil, err
	}
	if err := c.install(ctx, c.SAN, "sp", spName, fmt.Sprintf(`
[sp]
name = %q
volume_group = %q
admin_addresses = [%s]
data_addresses = [%s]
certs = "/etc/mallee/sp"
`, spName, vgName, quoted(AdminAddrs), quoted(DataAddrs))); err != nil {
		return nil, err
	}
	p, err := c.SAN.Spawn(ctx, "sp", "malleed", "sp")
	if err != nil {
		return nil, err
	}
	return inMachine{p}, listening(ctx, AdminAddrs[0]+":8775")
}

func (c *Cloud) startNC(ctx context.Context) (process, error) {
	// What the distribution's units start.
	if _, err := c.NC1.Run(ctx, "multipathd", "show", "daemon"); err != nil {
		for name, argv := range map[string][]string{"iscsid": {"iscsid", "-f"}, "multipathd": {"multipathd", "-d"}} {
			if _, err := c.NC1.Spawn(ctx, name, argv...); err != nil {
				return nil, err
			}
		}
		if err := Eventually(ctx, 200*time.Millisecond, func() (bool, error) {
			_, err := c.NC1.Run(ctx, "multipathd", "show", "daemon")
			return err == nil, err
		}); err != nil {
			return nil, err
		}
	}
	if err := c.install(ctx, c.NC1, "nc", "nc1", fmt.Sprintf(`
[nc]
partition = %q
clc = [%q]
certs = "/etc/mallee/nc"
`, Partition, AgentAddr)); err != nil {
		return nil, err
	}
	p, err := c.NC1.Spawn(ctx, "nc", "malleed", "nc")
	if err != nil {
		return nil, err
	}
	return inMachine{p}, nil
}

// install puts a configuration and a certificate bundle onto a machine.
func (c *Cloud) install(ctx context.Context, m *lab.Machine, role, name, configuration string) error {
	bundle, err := c.Issue(ctx, role, name)
	if err != nil {
		return err
	}
	for _, file := range []string{"ca.pem", "cert.pem", "key.pem"} {
		content, err := os.ReadFile(filepath.Join(bundle, file))
		if err != nil {
			return err
		}
		if err := m.WriteFile(ctx, "/etc/mallee/"+role+"/"+file, content, 0o600); err != nil {
			return err
		}
	}
	return m.WriteFile(ctx, "/etc/mallee/malleed.toml", []byte(configuration), 0o644)
}

// Issue has the cloud controller issue a certificate bundle, once, and returns
// its directory.
func (c *Cloud) Issue(ctx context.Context, role, name string) (string, error) {
	dir := c.Bundle(role, name)
	if _, err := os.Stat(dir); err == nil {
		return dir, nil
	}
	out, err := exec.CommandContext(ctx, filepath.Join(c.bin, "malleed"), "clc", "issue",
		"--config", filepath.Join(c.dir, "clc.toml"), "--role", role, "--name", name, "--out", dir).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("malleed clc issue: %w: %s", err, out)
	}
	return dir, nil
}

// Bundle returns the directory of a part's certificates.
func (c *Cloud) Bundle(role, name string) string { return filepath.Join(c.dir, "certs", role+"-"+name) }

func quoted(list []string) string { return `"` + strings.Join(list, `", "`) + `"` }
