// SPDX-License-Identifier: Apache-2.0

package clc

import (
	"crypto/tls"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mallee-io/mallee"
	cloudv1 "github.com/mallee-io/mallee/api/cloud/v1"
	"github.com/mallee-io/mallee/internal/ca"
	"github.com/mallee-io/mallee/internal/join"
	"github.com/mallee-io/mallee/internal/rpc"
	"github.com/mallee-io/mallee/internal/store"
)

func nodeToken(name string) mallee.JoinTokenSpec {
	return mallee.JoinTokenSpec{Role: mallee.RoleNC, Name: name, Partition: partition}
}

// wantHint checks that an error tells what to do next.
func wantHint(t *testing.T, err error, hint string) {
	t.Helper()
	if e, ok := errors.AsType[*mallee.Error](err); !ok || !strings.Contains(e.Hint, hint) {
		t.Errorf("%v does not hint at %q", err, hint)
	}
}

func TestJoinMakesAPart(t *testing.T) {
	c := newCluster(t)
	dir := t.TempDir()
	token := c.token(nodeToken("nc1"))
	b, err := c.join(dir, token, initiator("nc1"))
	if err != nil {
		t.Fatal(err)
	}
	want := rpc.Identity{Role: rpc.NC, Name: "nc1", Partition: partition, Joining: token.ID, Serial: b.Identity().Serial}
	if got := b.Identity(); got != want || got.Serial == "" {
		t.Errorf("the certificate is for %+v, want %+v", got, want)
	}
	list, err := c.Nodes(t.Context())
	if err != nil || len(list) != 1 {
		t.Fatal(list, err)
	}
	if n := list[0]; n.Name != "nc1" || !n.InstanceID.Valid() || string(n.Initiator) != initiator("nc1") || time.Since(n.Joined) > time.Minute || !n.CertificateEnds.Equal(b.Ends()) {
		t.Errorf("the node is %+v, and its certificate ends at %s", n, b.Ends())
	}
	if clc, err := join.Addresses(dir); err != nil || len(clc) != 1 || clc[0] != c.addr {
		t.Errorf("the agents' addresses are %v, %v", clc, err)
	}
	if _, err := c.join(dir, token, initiator("nc1")); err != nil {
		t.Errorf("the same joining once more: %v", err)
	}
}

func TestJoinRefusals(t *testing.T) {
	c := newCluster(t)
	used, err := c.CreateJoinToken(t.Context(), nodeToken("nc1"))
	if err != nil {
		t.Fatal(err)
	}
	usedToken, err := join.ParseToken(used.Token)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.join(t.TempDir(), usedToken, initiator("nc1")); err != nil {
		t.Fatal(err)
	}
	expired := c.token(nodeToken("nc2"))
	if err := c.store.Update(t.Context(), func(tx *store.Tx) error {
		r, _, err := joinTokens.Get(tx, expired.ID)
		if err != nil {
			return err
		}
		r.Expires = time.Now().Add(-time.Second)
		return joinTokens.Put(tx, expired.ID, r)
	}); err != nil {
		t.Fatal(err)
	}
	fresh := c.token(nodeToken("nc3"))
	with := func(change func(*join.Token)) join.Token {
		changed := fresh
		change(&changed)
		return changed
	}
	guess := join.NewToken(mallee.RoleNC, "nc3", partition, c.authority.Certificate())
	for name, r := range map[string]struct {
		token     join.Token
		initiator string
		kind      mallee.Kind
		tells     string
		hint      string
	}{
		"used by another machine": {usedToken, initiator("nc9"), mallee.Denied, "good for once", "mallee token create"},
		"expired":                 {expired, initiator("nc2"), mallee.Denied, "has expired at", "mallee token create"},
		"unknown":                 {guess, initiator("nc3"), mallee.Denied, "the token is unknown here", "mallee token create"},
		"guessed":                 {with(func(t *join.Token) { t.Secret = guess.Secret }), initiator("nc3"), mallee.Denied, "the token is unknown here", "mallee token create"},
		"of another role":         {with(func(t *join.Token) { t.Role = mallee.RoleSC }), "", mallee.Denied, "for a part of role nc and not", "malleed nc join"},
		"forged pin":              {with(func(t *join.Token) { t.Pin = strings.Repeat("0", 64) }), initiator("nc3"), mallee.Internal, "another authority", ""},
		"another's initiator":     {fresh, initiator("nc1"), mallee.InUse, "belongs to node nc1", "/etc/iscsi/initiatorname.iscsi"},
		"no initiator":            {fresh, "", mallee.Invalid, "no iqn name", ""},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := c.join(t.TempDir(), r.token, r.initiator)
			wantError(t, err, r.kind, r.tells)
			if r.hint != "" {
				wantHint(t, err, r.hint)
			}
			if err != nil && strings.Contains(err.Error(), r.token.Secret) {
				t.Error("the error tells the secret")
			}
		})
	}
	if _, err := c.join(t.TempDir(), fresh, initiator("nc3")); err != nil {
		t.Errorf("after all that was refused, the token is no longer good: %v", err)
	}
	for _, secret := range []string{usedToken.Secret, expired.Secret, fresh.Secret} {
		if strings.Contains(c.log.String(), secret) {
			t.Error("a secret is in the log")
		}
	}
}

// Whoever listens at the address of the cloud controller gets no token.
func TestTheTokenIsForItsCloudAlone(t *testing.T) {
	c := newCluster(t)
	other, err := ca.OpenOrCreate(filepath.Join(t.TempDir(), "ca"))
	if err != nil {
		t.Fatal(err)
	}
	impostor, err := ownBundle(other, ca.IssueOptions{Role: rpc.CLC, Name: "clc", Hosts: []string{"127.0.0.1"}})
	if err != nil {
		t.Fatal(err)
	}
	for name, b := range map[string]*rpc.Bundle{
		"cloud controller of another CA": impostor,
		"node of the same":               c.bundle(rpc.NC, "nc1", partition),
	} {
		t.Run(name, func(t *testing.T) {
			s := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("it was asked") }))
			s.TLS = &tls.Config{Certificates: []tls.Certificate{*b.Certificate()}}
			s.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelDebug)
			s.StartTLS()
			defer s.Close()
			err := join.Join(t.Context(), join.Options{URL: s.URL, Token: c.token(nodeToken("nc2")), Dir: t.TempDir(), Initiator: mallee.IQN(initiator("nc2"))})
			if err == nil {
				t.Error("the machine has joined")
			}
		})
	}
}

// The cloud controller may be killed after it has made the part and before the
// machine has heard of it.
func TestALostAnswerIsAskedForAgain(t *testing.T) {
	c := newCluster(t)
	token, dir := c.token(nodeToken("nc1")), t.TempDir()
	c.loses.Store(true)
	if _, err := c.join(dir, token, initiator("nc1")); err == nil {
		t.Fatal("an answer that was lost was success")
	}
	before, err := c.Nodes(t.Context())
	if err != nil || len(before) != 1 {
		t.Fatal(before, err)
	}
	c.restart()
	b, err := c.join(dir, token, initiator("nc1"))
	if err != nil {
		t.Fatal(err)
	}
	after, err := c.Nodes(t.Context())
	if err != nil || len(after) != 1 || after[0].InstanceID != before[0].InstanceID {
		t.Errorf("the node was %v and is %v, %v", before, after, err)
	}
	c.bundles[memberID(rpc.NC, "nc1")] = b
	c.nc("nc1")
}

func TestJoiningAgainLocksTheFormerMachineOut(t *testing.T) {
	c := newCluster(t)
	// A machine that has lost everything in a reboot, its certificate too, comes
	// back to its volumes.
	s, n := c.sc("sc1", partition), c.nc("nc1")
	id, _ := c.attached(s, n)
	former, secret := c.bundles[memberID(rpc.NC, "nc1")], c.view().nodes["nc1"].CHAP.Password
	delete(c.bundles, memberID(rpc.NC, "nc1"))
	c.bundle(rpc.NC, "nc1", partition)
	err := n.failure()
	wantError(t, err, mallee.Denied, "has joined anew")
	wantHint(t, err, "mallee token create --role nc --name nc1")
	_, err = c.dialWith(former).ReportNode(t.Context(), &cloudv1.NodeReport{})
	wantError(t, err, mallee.Denied, "has joined anew")
	again := c.connect("nc1", partition, initiator("nc1"))
	told := again.until("the attachment as before", func(m *cloudv1.NodeState) bool {
		return len(m.Attachments) == 1 && m.Attachments[0].VolumeId == string(id) && withExport(m.Attachments[0])
	})
	if told.GetChap().GetPassword() == secret {
		t.Error("the machine that is locked out can log in to the SAN with the secret that it knows")
	}
	s.until("the new secret", func(m *cloudv1.PartitionState) bool {
		return m.Exports[0].GetChap().GetPassword() == told.GetChap().GetPassword()
	})
	if at := c.attachment(id); at == nil || at.InstanceID != n.instance {
		t.Errorf("the volume is attached to %v and was to %s", at, n.instance)
	}
}
