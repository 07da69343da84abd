// SPDX-License-Identifier: Apache-2.0

package scenario

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/mallee-io/mallee/internal/lab"
)

func (c *Cloud) startCLC(ctx context.Context) (process, error) {
	if err := c.configure("clc", fmt.Sprintf(`
[clc]
state_dir = %q
listen = "10.109.1.1:8773"
agent_listen = %q
names = ["10.109.1.1"]
`, filepath.Join(c.dir, "clc"), AgentAddr)); err != nil {
		return nil, err
	}
	n, err := c.startNative("clc")
	if err != nil {
		return nil, err
	}
	if err := listening(ctx, "10.109.1.1:8773"); err != nil {
		return n, err
	}
	// It takes connections before it has written the file for the first time.
	return n, c.AwaitAdmin(ctx)
}

// ForgetCLC takes away all that the cloud controller, which must not be running,
// has ever written.
func (c *Cloud) ForgetCLC() error { return os.RemoveAll(filepath.Join(c.dir, "clc")) }

// AwaitAdmin takes the admin's keys from the file that the cloud controller
// writes for them, as soon as it has, and the API takes them.
func (c *Cloud) AwaitAdmin(ctx context.Context) error {
	return Eventually(ctx, 100*time.Millisecond, func() (bool, error) {
		if err := c.readAdminEnv(); err != nil {
			return false, err
		}
		_, err := c.Tool(ctx, "mallee", "volume", "list")
		return err == nil, err
	})
}

// AdminSecret returns the secret of the admin's access key.
func (c *Cloud) AdminSecret() string { return c.variable("AWS_SECRET_ACCESS_KEY") }

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
	dir := filepath.Join(c.dir, "sc")
	if err := c.configure("sc", fmt.Sprintf(`
[sc]
partition = %q
certs = %q
`, Partition, dir)); err != nil {
		return nil, err
	}
	if err := c.joinNative(ctx, "sc", "sc1", dir); err != nil {
		return nil, err
	}
	return c.startNative("sc")
}

func (c *Cloud) startSP(ctx context.Context) (process, error) {
	// What an admin does once on a new machine, and the system at each boot.
	const prepare = `
if ! blkid $2 >/dev/null; then mkfs.ext4 -q $2; fi
mkdir -p /var/lib/mallee
mountpoint -q /var/lib/mallee || mount $2 /var/lib/mallee
vgs ` + vgName + ` >/dev/null 2>&1 || vgcreate -q ` + vgName + ` $1
`
	if _, err := c.SAN.Run(ctx, "sh", "-ec", prepare, "sh", c.SAN.Disk(0), c.SAN.Disk(1)); err != nil {
		return nil, err
	}
	// The certificate is kept where a reboot does not take it.
	const certs = "/var/lib/mallee/certs"
	if err := c.SAN.WriteFile(ctx, "/etc/mallee/malleed.toml", fmt.Appendf(nil, `
[sp]
name = %q
volume_group = %q
admin_addresses = [%s]
data_addresses = [%s]
certs = %q
`, spName, vgName, quoted(AdminAddrs), quoted(c.portals), certs), 0o644); err != nil {
		return nil, err
	}
	if err := c.joinMachine(ctx, c.SAN, "sp", spName, certs); err != nil {
		return nil, err
	}
	p, err := c.SAN.Spawn(ctx, "sp", "malleed", "sp")
	if err != nil {
		return nil, err
	}
	return inMachine{p}, listening(ctx, AdminAddrs[0]+":8775")
}

// startNC starts the node controller of a machine that has nothing of ours but
// the binary: the joining writes its configuration.
func (c *Cloud) startNC(ctx context.Context, m *lab.Machine) (process, error) {
	if _, err := m.Run(ctx, "multipathd", "show", "daemon"); err != nil {
		if err := bootNode(ctx, m); err != nil {
			return nil, err
		}
	}
	if err := c.joinMachine(ctx, m, "nc", m.Spec.Name, "/etc/mallee/nc"); err != nil {
		return nil, err
	}
	p, err := m.Spawn(ctx, "nc", "malleed", "nc")
	if err != nil {
		return nil, err
	}
	return inMachine{p}, nil
}

// bootNode does what the distribution's units do at boot, with what they find on
// a disk, as everywhere but in the lab. It must log in to nothing: that is for
// malleed alone, which proves what it has logged in to.
func bootNode(ctx context.Context, m *lab.Machine) error {
	const mount = `
mkdir -p /etc/mallee
if ! blkid $1 >/dev/null; then
	mkfs.ext4 -q $1
	mount $1 /mnt
	cp -a /etc/iscsi /etc/mallee /mnt/
else
	mount $1 /mnt
fi
mount --bind /mnt/iscsi /etc/iscsi
mount --bind /mnt/mallee /etc/mallee
`
	if _, err := m.Run(ctx, "sh", "-ec", mount, "sh", m.Disk(0)); err != nil {
		return err
	}
	for name, argv := range map[string][]string{"iscsid": {"iscsid", "-f"}, "multipathd": {"multipathd", "-d"}} {
		if _, err := m.Spawn(ctx, name, argv...); err != nil {
			return err
		}
	}
	if err := Eventually(ctx, 200*time.Millisecond, func() (bool, error) {
		_, err := m.Run(ctx, "multipathd", "show", "daemon")
		return err == nil, err
	}); err != nil {
		return err
	}
	// 21 says that no record is automatic: open-iscsi.service takes it for
	// success, too.
	const login = `
iscsiadm -m node --loginall=automatic || [ $? -eq 21 ]
sessions=$(ls /sys/class/iscsi_session 2>/dev/null || true)
if [ "$sessions" ]; then echo "logged in at boot: $sessions" >&2; exit 1; fi
`
	_, err := m.Run(ctx, "sh", "-ec", login)
	return err
}

func quoted(list []string) string { return `"` + strings.Join(list, `", "`) + `"` }
