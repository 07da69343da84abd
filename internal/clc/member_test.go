// SPDX-License-Identifier: Apache-2.0

package clc

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"

	"github.com/mallee-io/mallee"
	cloudv1 "github.com/mallee-io/mallee/api/cloud/v1"
	"github.com/mallee-io/mallee/internal/ca"
	"github.com/mallee-io/mallee/internal/join"
	"github.com/mallee-io/mallee/internal/rpc"
)

// renewed calls Renew with a bundle and returns the bundle that comes of it.
func (c *cluster) renewed(b *rpc.Bundle) *rpc.Bundle {
	c.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		c.t.Fatal(err)
	}
	csr, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, key)
	if err != nil {
		c.t.Fatal(err)
	}
	answer, err := c.dialWith(b).Renew(c.t.Context(), &cloudv1.RenewRequest{Csr: csr})
	if err != nil {
		c.t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		c.t.Fatal(err)
	}
	next, err := rpc.ParseBundle(answer.GetCa(), answer.GetCertificate(), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
	if err != nil {
		c.t.Fatal(err)
	}
	return next
}

// Certificates are renewed while streams that were opened with an earlier one go on.
func TestRenewalUnderRunningStreams(t *testing.T) {
	c := newClusterOf(t, 6*time.Second)
	s := c.sc("sc1", partition)
	s.until("the first state", func(*cloudv1.PartitionState) bool { return true })
	dir := t.TempDir()
	b, err := c.join(dir, c.token(nodeToken("nc1")), initiator("nc1"))
	if err != nil {
		t.Fatal(err)
	}
	c.bundles[memberID(rpc.NC, "nc1")] = b
	n := c.nc("nc1")
	first, err := rpc.LoadBundle(dir)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- join.Renewal{
			Bundle: b, Dir: dir, CLC: []string{c.addr}, Log: slog.New(slog.DiscardHandler),
			Dial: func(addr string) (*grpc.ClientConn, error) { return rpc.Dial(addr, b, rpc.CLC) },
		}.Run(ctx)
	}()
	defer func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.After(patience); b.Identity() == first.Identity(); {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatal("the certificate was not renewed")
		}
	}
	c.set("PARTI00.storage.nopathtimeout", "30")
	n.until("the new timeout over the stream of the first certificate", func(m *cloudv1.NodeState) bool { return m.NopathTimeoutSeconds == 30 })
	c.renewed(b) // which uses it, over a connection of its own
	if _, err := n.client.ReportNode(t.Context(), &cloudv1.NodeReport{}); err != nil {
		t.Errorf("a report over the connection of the first certificate: %v", err)
	}
	_, err = c.dialWith(first).ReportNode(t.Context(), &cloudv1.NodeReport{})
	wantError(t, err, mallee.Denied, "old one")
	onDisk, err := rpc.LoadBundle(dir)
	if err != nil || onDisk.Identity().Serial == first.Identity().Serial {
		t.Errorf("on the disk there is still the first certificate, %v", err)
	}
}

// The answer to a renewal can be lost: the former certificate is good until the
// new one has been used.
func TestTheFormerCertificateIsGoodUntilTheNextIsUsed(t *testing.T) {
	c := newCluster(t)
	first := c.bundle(rpc.SP, "sp1", partition)
	lost := c.renewed(first)
	second := c.renewed(first)
	third := c.renewed(second)
	for name, b := range map[string]*rpc.Bundle{"the first": first, "one that was never used": lost} {
		_, err := c.dialWith(b).Renew(t.Context(), &cloudv1.RenewRequest{})
		wantError(t, err, mallee.Denied)
		wantHint(t, err, "join again with a new token")
		t.Log(name, err)
	}
	c.renewed(second) // nobody has used the third
	_, err := c.dialWith(third).Renew(t.Context(), &cloudv1.RenewRequest{})
	wantError(t, err, mallee.Denied, "old one")
}

func TestARemovedNodeIsLockedOut(t *testing.T) {
	c := newCluster(t)
	s, n := c.sc("sc1", partition), c.nc("nc1")
	id, _ := c.attached(s, n)
	wantError(t, c.RemoveNode(t.Context(), n.instance), mallee.InUse, string(id))
	wantError(t, c.RemoveNode(t.Context(), "i-1a2b3c4d"), mallee.NotFound, "i-1a2b3c4d")

	idle := c.nc("nc2")
	if err := c.RemoveNode(t.Context(), idle.instance); err != nil {
		t.Fatal(err)
	}
	err := idle.failure()
	wantError(t, err, mallee.Denied, "no part of this cloud")
	wantHint(t, err, "mallee token create --role nc --name nc2")
	_, err = idle.client.ReportNode(t.Context(), &cloudv1.NodeReport{})
	wantError(t, err, mallee.Denied)
	wantError(t, c.connect("nc2", partition, initiator("nc2")).failure(), mallee.Denied)
	_, err = c.AttachVolume(t.Context(), c.available(s), idle.instance, "/dev/sdf")
	wantError(t, err, mallee.NotFound, string(idle.instance))

	if _, err := c.join(t.TempDir(), c.token(nodeToken("nc3")), initiator("nc2")); err != nil {
		t.Errorf("the initiator name of the removed node is not free: %v", err)
	}
	c.bundles = map[string]*rpc.Bundle{memberID(rpc.SC, "sc1"): c.bundles[memberID(rpc.SC, "sc1")]}
	b, err := c.join(t.TempDir(), c.token(nodeToken("nc2")), "iqn.2026-11.io.mallee:node:another")
	if err != nil {
		t.Fatal(err)
	}
	c.bundles[memberID(rpc.NC, "nc2")] = b
	if again := mallee.InstanceID(c.connect("nc2", partition, "iqn.2026-11.io.mallee:node:another").
		until("the first state", func(*cloudv1.NodeState) bool { return true }).InstanceId); again == idle.instance {
		t.Error("a node that was removed has its instance id again")
	}
}

// Parts come back with a certificate that was renewed long ago, and the store may
// be full by then.
func TestPartsGetInWhileTheStoreIsFull(t *testing.T) {
	c := newCluster(t)
	c.bundles[memberID(rpc.NC, "nc1")] = c.renewed(c.bundle(rpc.NC, "nc1", partition))
	n := c.nc("nc1")
	c.hangUp("nc1", n)
	c.bundles[memberID(rpc.NC, "nc1")] = c.renewed(c.bundle(rpc.NC, "nc1", partition))
	c.restart()
	c.full.Store(true)
	_, err := c.CreateJoinToken(t.Context(), mallee.JoinTokenSpec{Role: mallee.RoleNC, Name: "nc2", Partition: partition})
	wantError(t, err, mallee.Unavailable, "0 MiB free")
	if again := c.nc("nc1"); again.instance != n.instance {
		t.Errorf("the node is %s and was %s", again.instance, n.instance)
	}
}

// The node may be removed after its call was let in and before it was carried out.
func TestANodeIsNotMadeAnewByItsOwnRemoval(t *testing.T) {
	c := newCluster(t)
	b := c.bundle(rpc.NC, "nc1", partition)
	list, err := c.Nodes(t.Context())
	if err != nil || len(list) != 1 {
		t.Fatal(list, err)
	}
	if err := c.RemoveNode(t.Context(), list[0].InstanceID); err != nil {
		t.Fatal(err)
	}
	_, err = c.admit(t.Context(), b.Identity(), mallee.IQN(initiator("nc1")))
	wantError(t, err, mallee.Denied, "no part of this cloud")
	if list, err = c.Nodes(t.Context()); err != nil || len(list) != 0 {
		t.Errorf("the removed node is listed: %v, %v", list, err)
	}
}

// Each call of the agents' API, by parts that it is not for.
func TestNobodyReachesBeyondItsPart(t *testing.T) {
	c := newCluster(t)
	s, n, other := c.sc("sc1", partition), c.nc("nc1"), c.nc("nc2")
	id, generation := c.attached(s, n)
	far := c.sc("far", "ELSEWHERE")
	far.until("the first state", func(*cloudv1.PartitionState) bool { return true })
	sp := c.dial(rpc.SP, "sp1", partition)

	watchPartition := func(client cloudv1.CloudClient, p string) error {
		stream, err := client.WatchPartition(t.Context(), &cloudv1.WatchPartitionRequest{Partition: p})
		if err == nil {
			_, err = stream.Recv()
		}
		return err
	}
	watchNode := func(client cloudv1.CloudClient, p string) error {
		stream, err := client.WatchNode(t.Context(), &cloudv1.WatchNodeRequest{Partition: p, Initiator: initiator("nc1")})
		if err == nil {
			_, err = stream.Recv()
		}
		return err
	}
	reportPartition := func(client cloudv1.CloudClient, p string) error {
		_, err := client.ReportPartition(t.Context(), &cloudv1.PartitionReport{Partition: p})
		return err
	}
	reportNode := func(client cloudv1.CloudClient) error {
		_, err := client.ReportNode(t.Context(), &cloudv1.NodeReport{})
		return err
	}
	for name, err := range map[string]error{
		"a node watches its partition":                 watchPartition(n.client, partition),
		"a node reports on its partition":              reportPartition(n.client, partition),
		"a node joins another partition":               watchNode(c.dial(rpc.NC, "nc3", partition), "ELSEWHERE"),
		"a storage controller watches a node":          watchNode(s.client, partition),
		"a storage controller reports as a node":       reportNode(s.client),
		"a storage controller watches another's":       watchPartition(far.client, partition),
		"a storage controller reports on another's":    reportPartition(far.client, partition),
		"a storage processor watches a partition":      watchPartition(sp, partition),
		"a storage processor reports on its partition": reportPartition(sp, partition),
		"a storage processor watches a node":           watchNode(sp, partition),
		"a storage processor reports as a node":        reportNode(sp),
	} {
		t.Run(name, func(t *testing.T) { wantError(t, err, mallee.Denied) })
	}

	// What is another node's is neither shown nor changed.
	if _, err := c.DetachVolume(t.Context(), id, "", ""); err != nil {
		t.Fatal(err)
	}
	other.report(id, generation, cloudv1.AttachmentReport_STATE_DETACHED, &cloudv1.PathReport{Portal: "10.107.1.200:3260", State: "up"})
	if c.attachmentRecord(id).Released {
		t.Error("a node has let go of the volume of another")
	}
	if paths, err := c.Paths(t.Context()); err != nil || len(paths) != 0 {
		t.Errorf("a node has told of the paths of another: %v, %v", paths, err)
	}
	c.set("PARTI00.storage.nopathtimeout", "30")
	other.until("the new timeout and nothing of the other node", func(m *cloudv1.NodeState) bool {
		if len(m.Attachments) > 0 || m.GetChap().GetUsername() != string(other.instance) {
			t.Errorf("a node is told %v", m)
		}
		return m.NopathTimeoutSeconds == 30
	})
	far.report(&cloudv1.PartitionReport{Exports: []*cloudv1.ExportReport{{VolumeId: string(id), InstanceId: string(n.instance), Generation: generation, Known: true}}})
	if c.attachment(id) == nil {
		t.Error("the storage controller of another partition has taken an export away")
	}
}

func (c *cluster) attachmentRecord(id mallee.VolumeID) attachmentRecord {
	c.t.Helper()
	r, _, err := attachments.Find(c.t.Context(), c.store, string(id))
	if err != nil {
		c.t.Fatal(err)
	}
	return r
}

func TestCHAPIsToldToNodeAndSANAlone(t *testing.T) {
	c := newCluster(t)
	s, n, other := c.sc("sc1", partition), c.connect("nc1", partition, initiator("nc1")), c.nc("nc2")
	chap := n.until("its secret", func(m *cloudv1.NodeState) bool { return m.Chap != nil }).Chap
	n.instance = mallee.InstanceID(chap.Username)
	if !n.instance.Valid() || len(chap.Password) != 16 || strings.ContainsAny(chap.Password, "\"' \t") {
		t.Errorf("user %q with a password of %d characters", chap.Username, len(chap.Password))
	}
	id, _ := c.attached(s, n)
	otherID, _ := c.attached(s, other)
	for volume, same := range map[mallee.VolumeID]bool{id: true, otherID: false} {
		for _, e := range c.view().partitionState(partition).Exports {
			if e.VolumeId == string(volume) && (e.GetChap().GetPassword() == chap.Password) != same || e.GetChap().GetPassword() == "" {
				t.Errorf("the export of %s has user %q", e.VolumeId, e.GetChap().GetUsername())
			}
		}
	}
	c.hangUp("nc1", n)
	c.restart()
	if again := c.connect("nc1", partition, initiator("nc1")).until("its secret", func(m *cloudv1.NodeState) bool { return m.Chap != nil }).Chap; again.Password != chap.Password {
		t.Error("the secret has changed with a restart")
	}

	// Everything that people see.
	list, err := c.Nodes(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(c.log.String(), chap.Password) {
		t.Error("the secret is in the log")
	}
	refused := c.RemoveNode(t.Context(), n.instance)
	if seen := slog.AnyValue(list).String() + refused.Error(); strings.Contains(seen, chap.Password) {
		t.Error("the secret is in an answer")
	}
}

func TestASecretThatTheKernelTakesForNoneIsDrawnAgain(t *testing.T) {
	drawn := strings.NewReader("\x35\x42\xcb" + strings.Repeat("x", 9) + strings.Repeat("y", 12))
	if got := newCHAP("i-1a2b3c4d", drawn.Read).Password; got != "eXl5eXl5eXl5eXl5" {
		t.Errorf("the password is %q", got)
	}
}

// A controller that runs for longer than its certificate is good goes on.
func TestTheControllerRenewsItsOwnCertificate(t *testing.T) {
	authority, err := ca.OpenOrCreate(filepath.Join(t.TempDir(), "ca"))
	if err != nil {
		t.Fatal(err)
	}
	o := ca.IssueOptions{Role: rpc.CLC, Name: "clc", Hosts: []string{"127.0.0.1"}, Validity: 2 * time.Second}
	b, err := ownBundle(authority, o)
	if err != nil {
		t.Fatal(err)
	}
	before := b.Identity()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := renewOwn(ctx, authority, o, b, slog.New(calledHandler{slog.DiscardHandler, cancel})); err != nil {
		t.Fatal(err)
	}
	if b.Identity() == before {
		t.Errorf("it has %+v still", before)
	}
}

// calledHandler calls a function at each line of a log.
type calledHandler struct {
	slog.Handler
	f func()
}

func (h calledHandler) Enabled(context.Context, slog.Level) bool { return true }

func (h calledHandler) Handle(context.Context, slog.Record) error {
	h.f()
	return nil
}
