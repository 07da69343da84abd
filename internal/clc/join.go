// SPDX-License-Identifier: Apache-2.0

package clc

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/mallee-io/mallee"
	"github.com/mallee-io/mallee/internal/join"
	"github.com/mallee-io/mallee/internal/rpc"
	"github.com/mallee-io/mallee/internal/store"
)

const joinTimeout = 20 * time.Second

const opJoin = "join as"

// serveJoin answers a machine that wants to become a part.
func (c *Controller) serveJoin(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), joinTimeout)
	defer cancel()
	status := http.StatusOK
	var answer any
	if a, err := c.takeJoin(ctx, http.MaxBytesReader(w, r.Body, join.MaxBody)); err != nil {
		status, answer = join.NewRefusal(err)
		c.strangers.WarnContext(ctx, "joining refused", "remote", r.RemoteAddr, "error", err)
	} else {
		answer = a
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	// A machine that has gone away asks again.
	_ = json.NewEncoder(w).Encode(answer)
}

func (c *Controller) takeJoin(ctx context.Context, body io.Reader) (join.Answer, error) {
	var req join.Request
	if err := json.NewDecoder(body).Decode(&req); err != nil {
		// The decoder's own words may quote the secret.
		return join.Answer{}, refuse(opJoin, mallee.Invalid, "", "the request is not the JSON that it should be, of at most %d bytes", join.MaxBody)
	}
	var t joinTokenRecord
	var m memberRecord
	err := c.store.Update(ctx, func(tx *store.Tx) (err error) {
		t, m, err = c.join(ctx, tx, req)
		return err
	})
	if err != nil {
		return join.Answer{}, err
	}
	c.log.InfoContext(ctx, "part joined", "joining", req.ID, "part_role", t.Role, "name", t.Name, "partition", t.Partition, "serial", m.Serial, "ends", m.Ends)
	return join.Answer{Certificate: t.Certificate, CA: c.parts.CA.CertPEM(), CLC: c.parts.Addresses}, nil
}

// join makes a machine the part that its token is for. The token is used up in
// the transaction that makes the part: whatever fails leaves it as it was.
func (c *Controller) join(ctx context.Context, tx *store.Tx, req join.Request) (joinTokenRecord, memberRecord, error) {
	failed := func(err error) (joinTokenRecord, memberRecord, error) {
		return joinTokenRecord{}, memberRecord{}, err
	}
	t, err := readJoinToken(tx, req)
	if err != nil {
		return failed(err)
	}
	csr, err := x509.ParseCertificateRequest(req.CSR)
	if err != nil {
		return failed(refuse(opJoin, mallee.Invalid, t.Name, "the request for a certificate is bad"))
	}
	sum := sha256.Sum256(csr.RawSubjectPublicKeyInfo)
	key := hex.EncodeToString(sum[:])
	m, _, err := members.Get(tx, memberID(t.Role, t.Name))
	if err != nil {
		return failed(err)
	}
	now := time.Now().UTC()
	switch {
	case !t.Used.IsZero() && t.KeyHash == key && m.Joining == req.ID:
		return t, m, nil
	case !t.Used.IsZero():
		return failed(newToken(t, "the token was used at %s, and is good for once", t.Used.Format(time.RFC3339)))
	case now.After(t.Expires):
		return failed(newToken(t, "the token has expired at %s", t.Expires.Format(time.RFC3339)))
	}
	if t.Role == mallee.RoleNC {
		r, err := c.putNode(ctx, tx, opJoin, t.Name, t.Partition, req.Initiator)
		if err != nil {
			return failed(err)
		}
		// Who had the name before is locked out, and must not be let in by the SAN
		// with the secret that it knows. Sessions that are up go on.
		r.CHAP = newCHAP(r.InstanceID, rand.Read)
		if err := nodes.Put(tx, t.Name, r); err != nil {
			return failed(err)
		}
	}
	m = memberRecord{Partition: t.Partition, Hosts: t.Hosts, Joining: req.ID, Joined: now}
	cert, err := c.parts.CA.Sign(req.CSR, c.certificateOf(t.Role, t.Name, m))
	if err != nil {
		return failed(&mallee.Error{Op: opJoin, Kind: mallee.Invalid, ID: t.Name, Err: err})
	}
	m.Serial, m.Ends = rpc.Serial(cert), cert.NotAfter.UTC()
	t.Used, t.KeyHash, t.Certificate = now, key, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Raw})
	if err := members.Put(tx, memberID(t.Role, t.Name), m); err != nil {
		return failed(err)
	}
	return t, m, joinTokens.Put(tx, req.ID, t)
}

// readJoinToken returns the record of a token whose secret the machine knows.
// Whoever does not is told no more than that.
func readJoinToken(tx *store.Tx, req join.Request) (joinTokenRecord, error) {
	var t joinTokenRecord
	if join.ValidID(req.ID) {
		var err error
		if t, _, err = joinTokens.Get(tx, req.ID); err != nil {
			return t, err
		}
	}
	if !join.SecretIs(req.Secret, t.SecretHash) {
		return t, newToken(joinTokenRecord{}, "the token is unknown here")
	}
	if t.Role != req.Role {
		return t, &mallee.Error{
			Op: opJoin, Kind: mallee.Denied, ID: t.Name, Hint: fmt.Sprintf("malleed %s join", t.Role),
			Err: fmt.Errorf("the token is for a part of role %s and not %q", t.Role, req.Role),
		}
	}
	return t, nil
}

func newToken(t joinTokenRecord, format string, args ...any) error {
	return &mallee.Error{
		Op: opJoin, Kind: mallee.Denied, ID: t.Name, Hint: "have an admin make another: mallee token create",
		Err: fmt.Errorf(format, args...),
	}
}
