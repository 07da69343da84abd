// SPDX-License-Identifier: Apache-2.0

package openiscsi_test

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mallee-io/mallee/internal/openiscsi"
)

const target = "iqn.2026-11.io.mallee:san"

var compareAddr = cmp.Comparer(func(a, b netip.AddrPort) bool { return a == b })

// kernel is a tree laid out as sysfs shows iSCSI sessions.
type kernel struct {
	t   testing.TB
	dir string
}

func newKernel(t *testing.T) kernel {
	t.Helper()
	return kernel{t, t.TempDir()}
}

// login shows a session on a host, with the given attributes beside the usual.
func (k kernel) login(id, host int, session, connection map[string]string) {
	k.t.Helper()
	base := filepath.Join(k.dir, "devices", "platform", fmt.Sprintf("host%d", host), fmt.Sprintf("session%d", id))
	name := fmt.Sprintf("session%d", id)
	k.device("iscsi_session", name, filepath.Join(base, "iscsi_session", name), map[string]string{
		"ifacename": openiscsi.DefaultIface, "targetname": target, "state": "LOGGED_IN", "tpgt": "1",
	}, session)
	name = fmt.Sprintf("connection%d:0", id)
	k.device("iscsi_connection", name, filepath.Join(base, name, "iscsi_connection", name), map[string]string{
		"persistent_address": "10.107.1.200", "persistent_port": "3260", "address": "192.0.2.99", "port": "1",
	}, connection)
}

// device makes a device's directory and the link of its class to it. An
// attribute of value "-" is not there.
func (k kernel) device(class, name, dir string, usual, others map[string]string) {
	k.t.Helper()
	write := func(attributes map[string]string) {
		for attribute, value := range attributes {
			file := filepath.Join(dir, attribute)
			if value == "-" {
				os.Remove(file)
			} else if err := os.WriteFile(file, []byte(value+"\n"), 0o600); err != nil {
				k.t.Fatal(err)
			}
		}
	}
	links := filepath.Join(k.dir, "class", class)
	for _, d := range []string{dir, links} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			k.t.Fatal(err)
		}
	}
	relative, err := filepath.Rel(links, dir)
	if err != nil {
		k.t.Fatal(err)
	}
	if err := os.Symlink(relative, filepath.Join(links, name)); err != nil {
		k.t.Fatal(err)
	}
	write(usual)
	write(others)
}

func (k kernel) sessions() []openiscsi.Session {
	k.t.Helper()
	sessions, err := (&openiscsi.Initiator{Sys: k.dir}).Sessions()
	if err != nil {
		k.t.Fatal(err)
	}
	return sessions
}

func portal(addr string) openiscsi.Portal {
	return openiscsi.Portal{Target: target, Addr: netip.MustParseAddrPort(addr), TPGT: 1, Iface: openiscsi.DefaultIface}
}

func TestSessionsAreReadAsTheKernelShowsThem(t *testing.T) {
	k := newKernel(t)
	k.login(10, 12, map[string]string{"state": "FAILED"}, map[string]string{"persistent_address": "10.107.1.201"})
	k.login(2, 4, map[string]string{"tpgt": "7"}, nil)
	k.login(3, 5, nil, map[string]string{"persistent_address": "2001:db8::1", "persistent_port": "860"})

	second := portal("10.107.1.200:3260")
	second.TPGT = 7
	want := []openiscsi.Session{ // by number, not by name
		{ID: 2, Host: 4, Portal: second, State: "LOGGED_IN"},
		{ID: 3, Host: 5, Portal: portal("[2001:db8::1]:860"), State: "LOGGED_IN"},
		{ID: 10, Host: 12, Portal: portal("10.107.1.201:3260"), State: "FAILED"},
	}
	got := k.sessions()
	if diff := cmp.Diff(want, got, compareAddr); diff != "" {
		t.Fatalf("(-want +got)\n%s", diff)
	}
	if !got[0].LoggedIn() || got[2].LoggedIn() {
		t.Error("LoggedIn must be true of LOGGED_IN alone")
	}
}

func TestStatesAreThoseOfAllSessions(t *testing.T) {
	k := newKernel(t)
	in := &openiscsi.Initiator{Sys: k.dir}
	if got, err := in.States(); err != nil || len(got) != 0 {
		t.Errorf("without the module: %v, %v", got, err)
	}
	k.login(10, 12, map[string]string{"state": "FAILED"}, nil)
	k.login(2, 4, map[string]string{"ifacename": "default"}, nil) // another tool's
	k.login(3, 5, map[string]string{"state": "-"}, nil)           // just going
	got, err := in.States()
	if diff := cmp.Diff(map[int]string{2: "LOGGED_IN", 10: "FAILED"}, got); diff != "" || err != nil {
		t.Errorf("%v (-want +got)\n%s", err, diff)
	}
}

// The address of a session is what stood in its record. Where a device is named it
// tells the link, and the zone says nothing more.
func TestSessionsShowWhatTheyAreBoundTo(t *testing.T) {
	k := newKernel(t)
	for i, device := range []string{"default", "net-eth1", "net-bond0.107"} {
		k.login(i+1, i+1, map[string]string{"ifacename": openiscsi.Prefix + device}, map[string]string{"persistent_address": "fe80::1%eth1"})
	}
	want := []struct{ addr, device string }{
		{"[fe80::1%eth1]:3260", ""}, {"[fe80::1]:3260", "eth1"}, {"[fe80::1]:3260", "bond0.107"},
	}
	for i, s := range k.sessions() {
		if s.Portal.Addr.String() != want[i].addr || s.Portal.NetDevice() != want[i].device {
			t.Errorf("session %d: %s over %q, want %+v", s.ID, s.Portal, s.Portal.NetDevice(), want[i])
		}
	}
}

// A session of another's making under a name of ours must not hide the others.
func TestASessionToANameIsNoneOfOurs(t *testing.T) {
	k := newKernel(t)
	k.login(1, 1, nil, map[string]string{"persistent_address": "san1"})
	k.login(2, 2, nil, nil)
	if got := k.sessions(); len(got) != 1 || got[0].ID != 2 {
		t.Errorf("got %+v, want session 2 alone", got)
	}
}

func TestSessionsOfOthersAreNotReturned(t *testing.T) {
	for _, iface := range []string{"default", "iface0", "(null)", "", "-", "xmallee-a", "Mallee-a"} {
		t.Run(iface, func(t *testing.T) {
			k := newKernel(t)
			k.login(1, 1, map[string]string{"ifacename": iface}, nil)
			k.login(2, 2, map[string]string{"ifacename": "mallee-iface1"}, nil)
			got := k.sessions()
			if len(got) != 1 || got[0].ID != 2 {
				t.Errorf("got %+v, want session 2 alone", got)
			}
		})
	}
}

// Between the listing and the reading a session may go, and one that comes has
// its attributes set one by one. Neither must hide the others.
func TestSessionsThatComeOrGoAreLeftOut(t *testing.T) {
	for _, test := range []struct {
		name                string
		session, connection map[string]string
	}{
		{"no state any more", map[string]string{"state": "-"}, nil},
		{"no target name", map[string]string{"targetname": "-"}, nil},
		{"no portal group", map[string]string{"tpgt": "-"}, nil},
		{"no address any more", nil, map[string]string{"persistent_address": "-"}},
		{"no port any more", nil, map[string]string{"persistent_port": "-"}},
		{"address not yet set", nil, map[string]string{"persistent_address": "(null)"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			k := newKernel(t)
			k.login(1, 1, test.session, test.connection)
			k.login(2, 2, nil, nil)
			got := k.sessions()
			if len(got) != 1 || got[0].ID != 2 {
				t.Errorf("got %+v, want session 2 alone", got)
			}
		})
	}
	t.Run("directory gone", func(t *testing.T) {
		k := newKernel(t)
		k.login(1, 1, nil, nil)
		if err := os.RemoveAll(filepath.Join(k.dir, "devices")); err != nil {
			t.Fatal(err)
		}
		k.login(2, 2, nil, nil)
		if got := k.sessions(); len(got) != 1 || got[0].ID != 2 {
			t.Errorf("got %+v, want session 2 alone", got)
		}
	})
}

func TestNoSessionsBeforeTheModuleIsLoaded(t *testing.T) {
	if got := newKernel(t).sessions(); len(got) != 0 {
		t.Errorf("got %+v", got)
	}
}

func TestName(t *testing.T) {
	for _, test := range []struct {
		name    string
		content string
		want    string
	}{
		{"alone", "InitiatorName=iqn.1993-08.org.debian:01:abc\n", "iqn.1993-08.org.debian:01:abc"},
		{"as Debian writes it", "## DO NOT EDIT OR REMOVE THIS FILE!\n# InitiatorName=iqn.old\nInitiatorName=iqn.1993-08.org.debian:01:abc", "iqn.1993-08.org.debian:01:abc"},
		{"blanks", "  InitiatorName= iqn.1993-08.org.debian:01:abc \n", "iqn.1993-08.org.debian:01:abc"},
		{"not yet made", "GenerateName=yes\n", ""},
		{"empty", "InitiatorName=\n", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			etc := t.TempDir()
			if err := os.WriteFile(filepath.Join(etc, "initiatorname.iscsi"), []byte(test.content), 0o600); err != nil {
				t.Fatal(err)
			}
			got, err := (&openiscsi.Initiator{Etc: etc}).Name()
			if got != test.want || (err == nil) != (test.want != "") {
				t.Errorf("got %q, %v, want %q", got, err, test.want)
			}
		})
	}
	if _, err := (&openiscsi.Initiator{Etc: t.TempDir()}).Name(); err == nil {
		t.Error("no error without the file")
	}
}
