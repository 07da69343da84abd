// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"context"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/mallee-io/mallee/internal/lab"
)

var chapPassword = regexp.MustCompile(`(?m)^node\.session\.auth\.password = (\S+)$`)

// testSecrets looks for the nodes' CHAP secrets everywhere but in the files that
// must hold them.
func testSecrets(t *testing.T, w *world) {
	ctx := patience(t, 4*time.Minute)
	stop := w.watchArguments(ctx, t)
	volume := w.create(t)
	w.attach(t, volume)
	must(t, w.AwaitPaths(ctx, volume, 4, 4))
	second := w.create(t)
	w.attachTo(t, second, w.instanceOf(t, "nc2"))
	must(t, w.AwaitPaths(ctx, second, 4, 4))
	secrets := []string{w.secretOf(ctx, t, w.NC1), w.secretOf(ctx, t, w.Nodes[1].Machine)}
	if secrets[0] == secrets[1] {
		t.Error("two nodes have one secret")
	}

	// Who has no secret, or another's, gets nothing.
	for _, test := range []struct {
		name, password string
		works          bool
	}{
		{"no", "", false}, {"another node's", secrets[1], false}, {"the node's own", secrets[0], true},
	} {
		if out, err := w.logInBy(ctx, w.NC1, test.password); (err == nil) != test.works || !test.works && !strings.Contains(fmt.Sprint(err), "authorization failure") {
			t.Errorf("a login with %s secret: %v\n%s", test.name, err, out)
		}
	}

	replies := map[string]string{}
	for _, command := range [][]string{
		{"volume", "show", volume, "-o", "json"},
		{"volume", "list", "-o", "yaml"},
		{"node", "list", "-o", "json"},
		{"node", "show", w.instance, "-o", "json"},
		{"path", "list", "-o", "json"},
		{"partition", "list", "-o", "json"},
	} {
		out, err := w.Tool(ctx, "mallee", command...)
		must(t, err)
		replies["mallee "+strings.Join(command, " ")] = out
	}
	for _, call := range []string{"describe-volumes", "describe-instances", "describe-volume-status", "describe-tags"} {
		out, err := w.AWS(ctx, call)
		must(t, err)
		replies["aws ec2 "+call] = out
	}
	for _, m := range w.Lab.Machines() {
		for _, argv := range [][]string{
			{"dmesg"}, {"sh", "-c", "iscsiadm -m session -P 3 || true"}, {"sh", "-c", "cat /proc/*/environ || true"}, {"sh", "-c", "multipath -ll || true"},
		} {
			result, err := m.Run(ctx, argv...)
			must(t, err)
			replies[m.Spec.Name+": "+strings.Join(argv, " ")] = result.Stdout + result.Stderr
		}
		console, err := os.ReadFile(m.ConsolePath())
		must(t, err)
		replies["console of "+m.Spec.Name] = string(console)
	}
	for _, id := range []string{volume, second} {
		w.detach(t, id)
		w.delete(t, id)
	}
	w.clean(t)
	for name, text := range stop() {
		replies["arguments of processes on "+name] = text
	}
	for _, part := range w.Parts() {
		replies["log of "+part.Name] = part.Log(ctx)
	}
	for where, text := range replies {
		if text == "" && strings.HasPrefix(where, "log of") {
			t.Errorf("%s is empty: nothing was looked at", where)
		}
		for _, secret := range append(secrets, w.AdminSecret()) {
			if strings.Contains(text, secret) {
				t.Errorf("%s holds a secret", where)
			}
		}
	}

	// On disks, only what root alone can read: the storage processor's memory of
	// its exports. The nodes' records went with the volumes.
	for _, m := range w.Lab.Machines() {
		result, err := m.RunInput(ctx, []byte(strings.Join(secrets, "\n")), "sh", "-c",
			`cat >/dev/shm/secrets; grep -rlF -f /dev/shm/secrets /etc /var /run /tmp /root 2>/dev/null | while read -r f; do stat -c "%a %n" "$f"; done; rm /dev/shm/secrets`)
		must(t, err)
		for line := range strings.Lines(result.Stdout) {
			if m != w.SAN || !strings.HasPrefix(line, "600 /var/lib/mallee/") {
				t.Errorf("%s: a secret is in %s", m.Spec.Name, strings.TrimSpace(line))
			}
		}
	}
}

// secretOf returns the secret in the node records of a machine.
func (w *world) secretOf(ctx context.Context, t *testing.T, m *lab.Machine) string {
	t.Helper()
	result, err := m.Run(ctx, "sh", "-ec", "find /etc/iscsi/nodes -type f ! -perm 600; find /etc/iscsi/nodes -type f -exec cat {} +")
	must(t, err)
	if strings.HasPrefix(result.Stdout, "/") {
		t.Errorf("%s: a node record is not of mode 600:\n%s", m.Spec.Name, result.Stdout[:100])
	}
	found := chapPassword.FindStringSubmatch(result.Stdout)
	if found == nil || len(found[1]) < 12 {
		t.Fatalf("%s has no CHAP secret in its node records", m.Spec.Name)
	}
	return found[1]
}

// logInBy logs in to the target by hand, over a record of another interface, and
// out again.
func (w *world) logInBy(ctx context.Context, m *lab.Machine, password string) (string, error) {
	const script = `
read -r password
target=$(cat /sys/class/iscsi_session/session*/targetname | head -n 1)
iscsiadm -m iface -I byhand -o new >/dev/null
trap 'iscsiadm -m node -T "$target" -I byhand -o delete >/dev/null 2>&1; iscsiadm -m iface -I byhand -o delete >/dev/null' EXIT
iscsiadm -m node -T "$target" -p 10.107.1.200,1 -I byhand -o new >/dev/null
record=$(find /etc/iscsi/nodes -path "*10.107.1.200*" -name byhand)
user=$(sed -n 's/^node.session.auth.username = //p' $(find /etc/iscsi/nodes -type f -name "mallee-*" | head -n 1))
sed -i -e '/^node.session.auth/d' -e '/^node.startup/d' -e '/^node.session.scan/d' -e '/^node.session.initial_login_retry_max/d' "$record"
sed -i "s/^# END RECORD/node.startup = manual\nnode.session.scan = manual\nnode.session.initial_login_retry_max = 1\n# END RECORD/" "$record"
if [ -n "$password" ]; then
	sed -i "s/^# END RECORD/node.session.auth.authmethod = CHAP\nnode.session.auth.username = $user\nnode.session.auth.password = $password\n# END RECORD/" "$record"
fi
iscsiadm -m node -T "$target" -p 10.107.1.200 -I byhand --login
iscsiadm -m node -T "$target" -p 10.107.1.200 -I byhand --logout`
	result, err := m.RunInput(ctx, []byte(password+"\n"), "sh", "-ec", script)
	return result.Stdout + result.Stderr, err
}

// watchArguments collects the arguments of every process on every machine, as
// often as it can, until the function that it returns is called.
func (w *world) watchArguments(ctx context.Context, t *testing.T) (stop func() map[string]string) {
	t.Helper()
	const script = `mkdir -p /tmp/seen; while :; do cat /proc/[0-9]*/cmdline 2>/dev/null | tr '\0' ' ' >>/tmp/seen/arguments; sleep 0.05; done`
	watching := map[string]*lab.Process{}
	for _, m := range w.Lab.Machines() {
		p, err := m.Spawn(ctx, "arguments", "sh", "-c", script)
		must(t, err)
		watching[m.Spec.Name] = p
	}
	return func() map[string]string {
		t.Helper()
		seen := map[string]string{}
		for name, p := range watching {
			must(t, p.Kill(ctx))
			text, err := w.Lab.Machine(name).ReadFile(ctx, "/tmp/seen/arguments")
			must(t, err)
			_, err = w.Lab.Machine(name).Run(ctx, "rm", "-r", "/tmp/seen")
			must(t, err)
			if !strings.Contains(string(text), "malleed") {
				t.Errorf("on %s no argument was seen", name)
			}
			seen[name] = string(text)
		}
		return seen
	}
}
