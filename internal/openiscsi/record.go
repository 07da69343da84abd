// SPDX-License-Identifier: Apache-2.0

package openiscsi

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
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
		return in.writeFiles(map[string]string{file: ifaceText(DefaultIface)})
	})
}

// WriteRecords makes or replaces the node records of portals, readable by root
// alone, and makes the iface records of their network devices where there are
// none. All are checked, and written under other names, before the first is
// replaced; what is there already as it should be is left alone. iscsid takes the
// secret from a record at the next login. Nothing but us starts such a session and
// nothing but us scans it: startup and scan are manual, so that a boot or a LUN of
// another volume brings up no device before it is verified.
//
// The files are written, not sent through "iscsiadm -o update", because that takes
// a process for each setting and would put a CHAP secret into argv.
func (in *Initiator) WriteRecords(ctx context.Context, portals []Portal, s Settings, secret Secret) error {
	err := secret.check()
	for _, p := range portals {
		err = cmp.Or(err, p.check())
	}
	if err != nil {
		return err
	}
	want := map[string]string{}
	for _, p := range portals {
		if p.NetDevice() != "" { // DefaultIface is an admin's to change; see PrepareIface
			want[in.etc("ifaces", p.Iface)] = ifaceText(p.Iface)
		}
		want[in.recordFile(p)] = recordText(p, s, secret)
	}
	// Without the lock: what we write gets its name when it is whole and on the
	// disk, and who writes in place cannot have come to the same text midway.
	maps.DeleteFunc(want, isFile)
	if len(want) == 0 && !in.isLocked() {
		return nil
	}
	// With nothing to write too while somebody holds the lock: if that is one who
	// was killed, the login for which this is would wait for it in vain.
	return in.locked(ctx, func() error { return in.writeFiles(want) })
}

// recordText is the content of a node record.
func recordText(p Portal, s Settings, secret Secret) string {
	lines := [][2]any{
		{"node.name", p.Target},
		{"node.tpgt", p.TPGT},
		{"node.startup", "manual"},
		{"node.leading_login", "No"},
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
	var b strings.Builder
	b.WriteString(ifaceText(p.Iface))
	for _, line := range lines {
		fmt.Fprintf(&b, "%v = %v\n", line[0], line[1])
	}
	return b.String()
}

// RemoveRecord removes the node record of p, whatever its portal group, the
// directories that this leaves empty, and the iface record that nothing uses any
// more. None there is success.
func (in *Initiator) RemoveRecord(ctx context.Context, p Portal) error {
	if err := p.check(); err != nil {
		return err
	}
	return in.locked(ctx, func() error {
		// What p.check lets pass is no pattern.
		files, err := filepath.Glob(in.etc("nodes", p.Target, recordPortal(p)+",*", p.Iface))
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
		os.Remove(in.etc("nodes", p.Target))
		return in.removeUnusedIfaces()
	})
}

// Recorded returns the portals that have a node record of ours. A file that none
// of ours can be is passed over.
func (in *Initiator) Recorded() ([]Portal, error) {
	files, err := filepath.Glob(in.etc("nodes", "*", "*", Prefix+"*"))
	var portals []Portal
	for _, file := range files {
		p := Portal{Iface: filepath.Base(file), Target: filepath.Base(filepath.Dir(filepath.Dir(file)))}
		if p.parse(filepath.Base(filepath.Dir(file))) && p.check() == nil {
			portals = append(portals, p)
		}
	}
	return portals, err
}

// recordFile follows open-iscsi's layout: nodes/TARGET/ADDRESS,PORT,TPGT/IFACE,
// without brackets.
func (in *Initiator) recordFile(p Portal) string {
	return in.etc("nodes", p.Target, fmt.Sprintf("%s,%d", recordPortal(p), p.TPGT), p.Iface)
}

func recordPortal(p Portal) string { return fmt.Sprintf("%s,%d", p.Addr.Addr(), p.Addr.Port()) }

// parse reads ADDRESS,PORT,TPGT.
func (p *Portal) parse(s string) bool {
	field := strings.Split(s, ",")
	if len(field) != 3 {
		return false
	}
	addr, addrErr := netip.ParseAddr(field[0])
	port, portErr := strconv.ParseUint(field[1], 10, 16)
	tag, tagErr := strconv.ParseUint(field[2], 10, 16)
	p.Addr, p.TPGT = netip.AddrPortFrom(addr, uint16(port)), uint16(tag)
	return addrErr == nil && portErr == nil && tagErr == nil
}
