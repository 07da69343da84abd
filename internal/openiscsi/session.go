// SPDX-License-Identifier: Apache-2.0

package openiscsi

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/mallee-io/mallee/internal/sysfs"
)

// Session is a session of ours as the kernel shows it.
type Session struct {
	ID     int // the kernel's number: /sys/class/iscsi_session/session<ID>
	Host   int // the SCSI host that carries its LUNs
	Portal Portal
	State  string // LOGGED_IN, FAILED or FREE (drivers/scsi/scsi_transport_iscsi.c)
}

// LoggedIn reports whether the session carries commands now.
func (s Session) LoggedIn() bool { return s.State == "LOGGED_IN" }

// Sessions returns the sessions of ours, in the order of their numbers. One that
// goes or comes while the list is read may be missing.
func (in *Initiator) Sessions() ([]Session, error) {
	dirs, err := os.ReadDir(in.sys("class", "iscsi_session"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil // the module is not loaded: nobody ever logged in
	}
	if err != nil {
		return nil, fmt.Errorf("cannot list iSCSI sessions: %w", err)
	}
	var sessions []Session
	for _, d := range dirs {
		s, ok, err := in.session(d.Name())
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENODEV) {
			continue // gone since the directory was read, or not yet complete
		}
		if err != nil {
			return nil, fmt.Errorf("cannot read %s: %w", d.Name(), err)
		}
		if ok {
			sessions = append(sessions, s)
		}
	}
	slices.SortFunc(sessions, func(a, b Session) int { return cmp.Compare(a.ID, b.ID) })
	return sessions, nil
}

// States returns the State of every session of the machine, by its ID, whoever's it
// is. It reads a tenth of what Sessions does.
func (in *Initiator) States() (map[int]string, error) {
	dirs, err := os.ReadDir(in.sys("class", "iscsi_session"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("cannot list iSCSI sessions: %w", err)
	}
	states := map[int]string{}
	for _, d := range dirs {
		id, err := strconv.Atoi(strings.TrimPrefix(d.Name(), "session"))
		if err != nil {
			return nil, fmt.Errorf("cannot list iSCSI sessions: %w", err)
		}
		if state, err := attribute(in.sys("class", "iscsi_session", d.Name()), "state"); err == nil { // it is not just going
			states[id] = state
		}
	}
	return states, nil
}

// Secret returns what a session of ours proves itself with, now and whenever it
// is lost: iscsid reads the node record at the first login alone. Root only.
func (in *Initiator) Secret(s Session) (Secret, error) {
	var secret Secret
	for name, value := range map[string]*string{"username": &secret.Username, "password": &secret.Password} {
		var err error
		*value, err = attribute(in.sys("class", "iscsi_session", fmt.Sprintf("session%d", s.ID)), name)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return Secret{}, fmt.Errorf("cannot read the CHAP %s of session %d: %w", name, s.ID, err)
		}
	}
	return secret, nil
}

// session reads one session; ok is false for one that is not ours.
func (in *Initiator) session(name string) (s Session, ok bool, err error) {
	if s.ID, err = strconv.Atoi(strings.TrimPrefix(name, "session")); err != nil {
		return s, false, err
	}
	dir := in.sys("class", "iscsi_session", name)
	conn := in.sys("class", "iscsi_connection", fmt.Sprintf("connection%d:0", s.ID))
	if s.Portal.Iface, err = attribute(dir, "ifacename"); err != nil || !strings.HasPrefix(s.Portal.Iface, Prefix) {
		return s, false, err
	}
	// The persistent address is the one that was asked for; a target may have
	// redirected the login to another (RFC 7143 §11.13.5, status class 1).
	var tag, addr, port string
	for _, a := range []struct {
		value     *string
		dir, name string
	}{
		{&s.Portal.Target, dir, "targetname"},
		{&s.State, dir, "state"},
		{&tag, dir, "tpgt"},
		{&addr, conn, "persistent_address"},
		{&port, conn, "persistent_port"},
	} {
		if *a.value, err = attribute(a.dir, a.name); err != nil {
			return s, false, err
		}
	}
	// …/host2/session1/iscsi_session/session1
	device, err := os.Readlink(dir)
	if err != nil {
		return s, false, err
	}
	host := filepath.Base(filepath.Dir(filepath.Dir(filepath.Dir(device))))
	if s.Host, err = strconv.Atoi(strings.TrimPrefix(host, "host")); err != nil {
		return s, false, fmt.Errorf("no SCSI host in %s", device)
	}
	if n, err := strconv.ParseUint(tag, 10, 16); err == nil {
		s.Portal.TPGT = uint16(n)
	}
	ip, err := netip.ParseAddr(addr)
	if err != nil {
		return s, false, nil // a name: no record of ours has one, and it must hide no other session
	}
	if s.Portal.NetDevice() != "" {
		ip = ip.WithZone("") // the device tells the link
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return s, false, err
	}
	s.Portal.Addr = netip.AddrPortFrom(ip.Unmap(), uint16(n))
	return s, true, nil
}

// attribute reads one attribute. It answers ENODEV, not ENOENT, for one that goes while
// it is read (fs/kernfs/file.c), and "(null)" for one that iscsid has not yet set.
func attribute(dir, name string) (string, error) {
	value, err := sysfs.Read(dir + "/" + name)
	if err != nil {
		return "", err
	}
	if value == "(null)" {
		return "", fs.ErrNotExist
	}
	return value, nil
}
