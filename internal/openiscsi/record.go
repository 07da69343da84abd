// SPDX-License-Identifier: Apache-2.0

package openiscsi

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// Settings are the timers and limits of a node record. Times are in whole
// seconds, which is all that open-iscsi knows.
type Settings struct {
	LoginTimeout       int // until one attempt to log in is given up
	NoopInterval       int // between two NOP-Outs on a session
	NoopTimeout        int // until a NOP-Out without an answer fails the session
	ReplacementTimeout int // from a failed session until its I/O is sent back to dm-multipath
	CommandsMax        int // commands outstanding on a session, over all LUNs
	QueueDepth         int // commands outstanding on a LUN
}

// Secret is what is sent to a target that asks for CHAP (RFC 7143 §12.1.4). The
// zero value offers no authentication.
type Secret struct{ Username, Password string }

// Format prints the user name alone, whatever the verb.
func (s Secret) Format(f fmt.State, _ rune) { fmt.Fprint(f, s.Username) }

// What stands in a record is one line of at most 255 characters, and blanks
// around it are not part of it (open-iscsi's usr/idbm.c, VALUE_MAXVAL and
// idbm_recinfo_config).
var secretForm = regexp.MustCompile(`^[!-~]{1,255}$`)

// check names the rule that s breaks, and never the password.
func (s Secret) check() error {
	switch {
	case s == Secret{}:
		return nil
	case !secretForm.MatchString(s.Username):
		return fmt.Errorf("the CHAP user name %q is not of 1 to 255 printable ASCII characters without blanks", s.Username)
	case !secretForm.MatchString(s.Password):
		return errors.New("the CHAP password is not of 1 to 255 printable ASCII characters without blanks")
	}
	return nil
}

// temporary begins the names of files that are being written.
const temporary = ".mallee-"

// PrepareIface makes the iface record DefaultIface if it is not there, and
// removes what a process that was killed had half written.
func (in *Initiator) PrepareIface(ctx context.Context) error {
	file := in.etc("ifaces", DefaultIface)
	return in.locked(ctx, func() error {
		left, _ := filepath.Glob(in.etc(temporary + "*")) // the pattern is good
		for _, file := range left {
			if err := os.Remove(file); err != nil {
				return fmt.Errorf("cannot remove a file that was half written: %w", err)
			}
		}
		if _, err := os.Stat(file); err == nil {
			return nil
		}
		return in.writeFile(file, "iface.iscsi_ifacename = "+DefaultIface+"\niface.transport_name = tcp\n")
	})
}

// WriteRecord makes or replaces the node record of p, readable by root alone.
// iscsid takes the secret from it at the next login. Nothing but us starts such
// a session and nothing but us scans it: startup and scan are manual, so that a
// boot or a LUN of another volume brings up no device before it is verified.
//
// The file is written, not sent through "iscsiadm -o update", because that takes
// a process for each setting and would put a CHAP secret into argv.
func (in *Initiator) WriteRecord(ctx context.Context, p Portal, s Settings, secret Secret) error {
	if err := cmp.Or(p.check(), secret.check()); err != nil {
		return err
	}
	var b strings.Builder
	lines := [][2]any{
		{"node.name", p.Target},
		{"node.tpgt", p.TPGT},
		{"node.startup", "manual"},
		{"node.leading_login", "No"},
		{"iface.iscsi_ifacename", p.Iface},
		{"iface.transport_name", "tcp"},
		{"node.discovery_type", "static"},
		{"node.session.scan", "manual"},
		// One attempt: we try again ourselves, and know why the last one failed.
		{"node.session.initial_login_retry_max", 1},
		{"node.session.cmds_max", s.CommandsMax},
		{"node.session.queue_depth", s.QueueDepth},
		{"node.session.nr_sessions", 1},
		{"node.session.timeo.replacement_timeout", s.ReplacementTimeout},
		{"node.conn[0].address", p.Addr.Addr()},
		{"node.conn[0].port", p.Addr.Port()},
		{"node.conn[0].startup", "manual"},
		{"node.conn[0].timeo.login_timeout", s.LoginTimeout},
		{"node.conn[0].timeo.logout_timeout", s.LoginTimeout},
		{"node.conn[0].timeo.noop_out_interval", s.NoopInterval},
		{"node.conn[0].timeo.noop_out_timeout", s.NoopTimeout},
	}
	if secret != (Secret{}) {
		lines = append(lines, [][2]any{
			{"node.session.auth.authmethod", "CHAP"},
			{"node.session.auth.username", secret.Username},
			{"node.session.auth.password", secret.Password},
		}...)
	}
	for _, line := range lines {
		fmt.Fprintf(&b, "%v = %v\n", line[0], line[1])
	}
	return in.locked(ctx, func() error { return in.writeFile(in.recordFile(p), b.String()) })
}

// RemoveRecords removes our node records of target, and the directories that
// this leaves empty. None there is success.
func (in *Initiator) RemoveRecords(ctx context.Context, target string) error {
	if !targetForm.MatchString(target) {
		return fmt.Errorf("%q is no iSCSI target name", target)
	}
	return in.locked(ctx, func() error {
		files, err := filepath.Glob(in.etc("nodes", target, "*", Prefix+"*"))
		if err != nil {
			return err
		}
		for _, file := range files {
			if err := os.Remove(file); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return fmt.Errorf("cannot remove a node record: %w", err)
			}
			// Fails where somebody else has a record: that is what is wanted.
			os.Remove(filepath.Dir(file))
		}
		os.Remove(in.etc("nodes", target))
		return nil
	})
}

// RecordedTargets returns the targets that have a node record of ours, some of
// them more than once.
func (in *Initiator) RecordedTargets() ([]string, error) {
	files, err := filepath.Glob(in.etc("nodes", "*", "*", Prefix+"*"))
	for i, file := range files {
		files[i] = filepath.Base(filepath.Dir(filepath.Dir(file)))
	}
	return files, err
}

// recordFile follows open-iscsi's layout: nodes/TARGET/ADDRESS,PORT,TPGT/IFACE.
func (in *Initiator) recordFile(p Portal) string {
	portal := fmt.Sprintf("%s,%d,%d", p.Addr.Addr(), p.Addr.Port(), p.TPGT)
	return in.etc("nodes", p.Target, portal, p.Iface)
}

// writeFile replaces file at once, readable by root alone: iscsid must never see
// half a record, and records may hold secrets.
func (in *Initiator) writeFile(file, content string) error {
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return err
	}
	// Beside its final name iscsiadm would take the temporary file for a record.
	temp, err := os.CreateTemp(in.etc(), temporary+"*")
	if err != nil {
		return err
	}
	defer os.Remove(temp.Name())
	if _, err = temp.WriteString(content); err == nil {
		err = temp.Sync()
	}
	if err = errors.Join(err, temp.Close()); err != nil {
		return err
	}
	return os.Rename(temp.Name(), file)
}
